//! The jobs that the page can run: registered plugins, job files, and built-in plugins whose runs
//! had no arguments other than directories.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use syncmgr_install::{History, ItemState, JobFile, Registration, RunFilter};

use super::job::Job;
use super::server::Server;
use crate::plugin_source::PluginSource;

/// The maximum number of items that are shown.
pub(super) const MAX_ITEMS: usize = 200;

impl Job {
    fn registered(plugin: &Registration) -> Self {
        let (name, schedule) = (&plugin.name, plugin.grants.schedule.clone());
        // A name may begin with `-`.
        Self::new(name, vec!["--".into(), name.into()], schedule)
    }

    /// Returns the job of a job file, if it still is one.
    fn file(path: &str) -> Option<Self> {
        let file = Path::new(path).is_absolute().then_some(Path::new(path))?;
        let job = JobFile::parse(&JobFile::read(file).ok()?).ok()?;
        // Also the runs of a component have a path.
        job.plugin()?;
        let schedule = job.schedule().map(str::to_owned);
        Some(Self::new(path, vec![format!("--job={path}").into()], schedule))
    }

    /// Returns the job of a built-in plugin with these directories.
    fn built_in(name: &str, directories: &[(String, String)]) -> Option<Self> {
        // The end of such a path would be taken for an access.
        let is_plain =
            |(_, path): &(String, String)| !path.ends_with(":ro") && Path::new(path).is_absolute();
        if directories.is_empty() || !directories.iter().all(is_plain) {
            return None;
        }
        let directories = directories.iter().map(|(name, path)| format!("--dir={name}={path}"));
        let arguments = directories.map(OsString::from).chain(["--".into(), name.into()]);
        Some(Self::new(name, arguments.collect(), None))
    }

    /// Returns the job of an item, if it can be run.
    pub(super) fn of(item: &ItemState, server: &Server, history: &History) -> Option<Self> {
        let registered = server.registrations.find(&item.job).ok();
        if registered.is_none() && PluginSource::built_in(&item.job).is_none() {
            return Self::file(&item.job);
        }
        let last = RunFilter { id: Some(item.run.clone()), limit: Some(1), ..RunFilter::default() };
        let last = history.runs(&last).ok()?.pop()?;
        match registered {
            // A run with other directories has other items.
            Some(plugin) => {
                let granted = plugin.grants.directories.iter();
                let granted = granted
                    .map(|grant| (grant.name().to_owned(), grant.path().display().to_string()));
                let granted: BTreeSet<_> = granted.collect();
                let recorded: BTreeSet<_> = last.directories.into_iter().collect();
                (granted == recorded).then(|| Self::registered(&plugin))
            }
            None if last.repeatable => Self::built_in(&item.job, &last.directories),
            None => None,
        }
    }
}

/// Returns all jobs that can be run.
pub(super) fn all(server: &Server) -> anyhow::Result<Vec<Job>> {
    let registered = server.registrations.list().into_iter().flatten();
    let mut jobs: Vec<_> = registered.map(|plugin| Job::registered(&plugin)).collect();
    if let Some(history) = server.history()? {
        let states = history.states()?;
        jobs.extend(
            states.iter().take(MAX_ITEMS).filter_map(|item| Job::of(item, server, &history)),
        );
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_another_meaning_are_not_arguments() {
        let root = if cfg!(windows) { "C:\\" } else { "/" };
        let pair = |path: &str| vec![("left".to_owned(), path.to_owned())];
        for (directories, expected) in [
            (pair(&format!("{root}docs")), Some(format!("--dir=left={root}docs"))),
            (pair(&format!("{root}a=b --x")), Some(format!("--dir=left={root}a=b --x"))),
            (pair(&format!("{root}docs:ro")), None),
            (pair("docs"), None),
            (pair("--help"), None),
            (Vec::new(), None),
        ] {
            let job = Job::built_in("folder", &directories);
            let first = job.map(|job| job.arguments[0].clone().into_string().unwrap());
            assert_eq!(first, expected);
        }
    }

    #[test]
    fn a_job_file_is_read_before_it_is_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sync.toml");
        let name = path.to_str().unwrap();
        assert!(Job::file(name).is_none(), "it does not exist");
        for (content, is_job) in [
            (&b"plugin = \"folder\""[..], true),
            (b"\0asm\x0d\0\x01\0", false),
            (b"a = 1", false),
            (b"", false),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(Job::file(name).is_some(), is_job, "{content:?}");
        }
        assert!(Job::file("sync.toml").is_none(), "relative to which directory?");
    }
}

//! The directories that the files in the trash are from.

use std::path::{Path, PathBuf};

use syncmgr_host::{Access, Grant};
use syncmgr_install::{Grants, History, Registrations};
use uuid::Uuid;

use crate::args::{GrantArgs, TrashOf};
use crate::command::history::job_name;
use crate::exit::UsageError;
use crate::job;
use crate::options;
use crate::output::note;
use crate::plugin_source::PluginSource;

/// Directories with their ids.
#[derive(Debug, Default)]
pub(super) struct Directories {
    pub(super) grants: Vec<Grant>,
    /// Whether pairs have a side on a server, so that only one id of a pair is that of a directory.
    has_servers: bool,
    /// Whether the trash of other pairs is excluded.
    is_filter: bool,
}

impl Directories {
    fn of(grants: Grants, is_filter: bool) -> Self {
        let has_servers = !grants.http.is_empty();
        Self::new(grants.directories, has_servers, is_filter)
    }

    fn new(mut grants: Vec<Grant>, has_servers: bool, is_filter: bool) -> Self {
        let mut paths: Vec<PathBuf> = Vec::new();
        grants.retain(|grant| {
            let is_new = !paths.iter().any(|path| path == grant.path());
            paths.push(grant.path().to_owned());
            is_new
        });
        Self { grants, has_servers, is_filter }
    }

    /// Returns the granted directory with this id.
    pub(super) fn by_id(&self, id: Uuid) -> Option<Grant> {
        self.grants.iter().find(|grant| grant.id() == id).cloned()
    }

    /// Returns the paths of the granted directories of a pair.
    pub(super) fn of_pair(&self, pair: Option<[Uuid; 2]>) -> Vec<PathBuf> {
        let grants = pair.into_iter().flatten().filter_map(|id| self.by_id(id));
        grants.map(|grant| grant.path().to_owned()).collect()
    }

    /// Returns whether the trash of a pair in the storage of the plugin is included.
    pub(super) fn includes(&self, pair: Option<[Uuid; 2]>) -> bool {
        !self.is_filter || pair.is_some_and(|pair| self.has(pair))
    }

    /// Returns whether these can be the directories of a pair.
    pub(super) fn has(&self, pair: [Uuid; 2]) -> bool {
        let known = pair.iter().filter(|id| self.by_id(**id).is_some()).count();
        known == pair.len() || self.has_servers && known > 0
    }
}

/// Returns the name of the plugin's folder, and the directories that it is granted.
pub(super) fn find(
    of: &TrashOf,
    registrations: &Registrations,
) -> anyhow::Result<(String, Directories)> {
    let given = match of.dirs.is_empty() {
        true => None,
        false => {
            let args = GrantArgs { dirs: of.dirs.clone(), ..GrantArgs::default() };
            Some(options::grants(&args)?)
        }
    };
    match (&of.plugin, &of.job) {
        (Some(_), Some(_)) => {
            Err(UsageError("a job file names its plugin; give one of them".to_owned()).into())
        }
        (None, None) => Err(UsageError(
            "name a plugin, or a job file with `--job`; `syncmgr trash du` lists the plugins"
                .to_owned(),
        )
        .into()),
        (None, Some(file)) => {
            let (plugin, grants) = job::read(file, registrations)?;
            Ok((plugin.storage_name()?, Directories::of(given.unwrap_or(grants), true)))
        }
        (Some(plugin), None) => {
            let found = match PluginSource::find(plugin, registrations) {
                // The trash of a plugin remains when it is removed.
                Err(_) if registrations.homes()?.contains(plugin) => None,
                found => Some(found?),
            };
            let name = match &found {
                Some(found) => found.storage_name()?,
                None => plugin.clone(),
            };
            let directories = match (given, found) {
                (Some(given), _) => Directories::new(given.directories, true, true),
                (None, Some(PluginSource::Installed(found))) => {
                    Directories::of(found.grants, false)
                }
                (None, Some(PluginSource::File(file))) => {
                    recorded(&job_name(&file.to_string_lossy()), registrations)
                }
                (None, Some(PluginSource::BuiltIn(_)) | None) => recorded(&name, registrations),
            };
            Ok((name, directories))
        }
    }
}

/// Returns the directories of an installed plugin, or of all runs of one that is not installed.
pub(super) fn of_plugin(
    plugin: &str,
    registrations: &Registrations,
) -> anyhow::Result<Directories> {
    match registrations.find(plugin) {
        Ok(registration) => Ok(Directories::of(registration.grants, false)),
        Err(syncmgr_install::InstallError::Unknown { .. }) => Ok(recorded(plugin, registrations)),
        Err(error) => Err(error.into()),
    }
}

/// Returns the directories that the history recorded for a plugin or a job. Only those whose ids
/// are in the trash are used.
fn recorded(of: &str, registrations: &Registrations) -> Directories {
    let history = History::open(registrations.state_dir());
    let recorded = history.and_then(|history| match history {
        Some(history) => history.directories(of),
        None => Ok(Vec::new()),
    });
    let recorded = recorded.unwrap_or_else(|error| {
        let error = syncmgr_host::full_message(&error);
        note(&format!("cannot read from the history where the trash is from: {error}"));
        Vec::new()
    });
    let grant = |(name, path): (String, String)| {
        Grant::new(&name, Path::new(&path), Access::ReadWrite).ok()
    };
    Directories::new(recorded.into_iter().filter_map(grant).collect(), true, false)
}

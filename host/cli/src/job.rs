//! A plugin with its grants, from the command line, a job file or its registration.

use std::io::Write;
use std::path::Path;

use syncmgr_host::{Access, Host, HostOptions, Plugin, SessionOptions};
use syncmgr_install::{Grants, JobFile, PrivateFolder, Registrations};

use crate::args::{GrantArgs, PluginArgs};
use crate::compiler::in_own_process;
use crate::confine::{Directories, disable_core_dumps};
use crate::escape::escape;
use crate::exit::UsageError;
use crate::options::{grants, set_limits};
use crate::places::grant_places;
use crate::plugin_source::{PluginSource, registrations};

/// A plugin with its grants.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) plugin: PluginSource,
    pub(crate) grants: Grants,
    /// The plugin's folder in the state directory.
    pub(crate) home: PrivateFolder,
    registrations: Registrations,
}

impl Job {
    pub(crate) fn new(args: &PluginArgs) -> anyhow::Result<Self> {
        Self::with_places(args, &[])
    }

    /// Creates a job with directories and URLs that have no names.
    pub(crate) fn with_places(args: &PluginArgs, places: &[String]) -> anyhow::Result<Self> {
        let registrations = registrations(args.state_dir.path.as_deref())?;
        let (plugin, mut granted) = match (&args.plugin, &args.job) {
            (_, Some(file)) => {
                let (plugin, mut job) = read(file, &registrations)?;
                override_settings(&mut job.settings, grants(&args.grants)?.settings);
                job.protect("the job file", file);
                (plugin, job)
            }
            (plugin, None) => from_args(plugin.as_deref(), &args.grants, places, &registrations)?,
        };
        set_limits(&mut granted, &args.limits)?;
        if args.grants.http_proxy.is_some() {
            granted.http_proxy.clone_from(&args.grants.http_proxy);
        }
        Self::of(plugin, granted, registrations)
    }

    pub(crate) fn of(
        plugin: PluginSource,
        mut grants: Grants,
        registrations: Registrations,
    ) -> anyhow::Result<Self> {
        let home = registrations.create_home(&plugin.storage_name()?)?;
        if let PluginSource::File(file) = &plugin {
            grants.protect("the plugin's file", file);
        }
        Ok(Self { plugin, grants, home, registrations })
    }

    /// Sets a setting of every item.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let overriding = vec![(name.to_owned(), value.to_owned())];
        override_settings(&mut self.grants.settings, overriding);
    }

    /// Loads the plugin, for an installed one what it was compiled to on installation.
    pub(crate) fn load(&self) -> anyhow::Result<Plugin> {
        let limits = self.grants.limits().load;
        if let PluginSource::Installed(registration) = &self.plugin {
            let options = self.grants.host_options(syncmgr_install::host_options(limits))?;
            let host = self.host(options)?;
            return Ok(self.registrations.load(&host, registration)?);
        }
        let options = self.grants.host_options(HostOptions::new().limits(limits))?;
        let host = self.host(options)?;
        Ok(self.plugin.load(&host, &self.registrations)?)
    }

    fn host(&self, options: HostOptions) -> anyhow::Result<Host> {
        let host = Host::with_options(in_own_process(options))?;
        if !self.grants.http.is_empty() {
            // A run is confined, but its network is not.
            host.start_network();
        }
        Ok(host)
    }

    /// The BLAKE3 digest of the component, in hexadecimal digits.
    pub(crate) fn component_digest(&self) -> anyhow::Result<String> {
        Ok(self.plugin.digest(&self.grants.limits().load)?.into_owned())
    }

    /// The state directory.
    pub(crate) fn state_dir(&self) -> &Path {
        self.registrations.state_dir()
    }

    /// Prints a note about each requested capability that is denied. Its use terminates the plugin.
    pub(crate) fn note_denied(&self, plugin: &Plugin) {
        if self.plugin.is_built_in() {
            return;
        }
        let requested = &plugin.description().requests.capabilities;
        let denied = requested.iter().filter(|(one, _)| !self.grants.allow.contains(one));
        for (capability, why) in denied {
            let (name, why) = (escape(plugin.name()), escape(why));
            let capability = capability.name();
            // The run does not depend on the note.
            let _ = writeln!(
                std::io::stderr(),
                "note: plugin `{name}` requests `{capability}` ({why}), which is not granted: the \
                 host terminates it when it uses that; grant it with `--allow {capability}`"
            );
        }
    }

    /// Returns the directories that a run of the plugin accesses.
    pub(crate) fn directories(&self, dry_run: bool) -> Directories {
        let access = |access| if dry_run { Access::ReadOnly } else { access };
        let granted = self.grants.directories.iter();
        let granted = granted.map(|grant| (grant.path().to_owned(), access(grant.access())));
        let storage = self.home.path().join("storage");
        granted.chain([(storage, access(Access::ReadWrite))]).collect()
    }

    /// Returns the options for a session of the plugin.
    pub(crate) fn session_options(&self, plugin: &Plugin) -> anyhow::Result<SessionOptions> {
        if !self.grants.secrets.is_empty() || !self.grants.http_auth.is_empty() {
            disable_core_dumps();
        }
        let mut options =
            self.registrations.session_options(plugin, &self.grants, self.home.path())?;
        if self.plugin.is_built_in() {
            for (capability, _) in &plugin.description().requests.capabilities {
                options = options.allow(*capability);
            }
        }
        Ok(options)
    }
}

/// Overrides settings of a job file: a name without an item overrides the setting of every item.
fn override_settings(settings: &mut Vec<(String, String)>, overriding: Vec<(String, String)>) {
    settings.retain(|(key, _)| {
        overriding.iter().all(|(name, _)| {
            let is_of_item = key.strip_suffix(name).is_some_and(|item| item.ends_with('.'));
            key != name && !is_of_item
        })
    });
    settings.extend(overriding);
}

fn from_args(
    plugin: Option<&str>,
    args: &GrantArgs,
    places: &[String],
    registrations: &Registrations,
) -> anyhow::Result<(PluginSource, Grants)> {
    let plugin = PluginSource::find_or_build(plugin, registrations)?;
    let given = match places {
        [] => grants(args)?,
        places => {
            let mut args = args.clone();
            grant_places(&plugin, places, &mut args)?;
            grants(&args)?
        }
    };
    match &plugin {
        // Any grant of the command line replaces all that were registered.
        PluginSource::Installed(registration) if given.is_empty() => {
            let grants = registration.grants.clone();
            Ok((plugin, grants))
        }
        PluginSource::Installed(_) | PluginSource::BuiltIn(..) | PluginSource::File(_) => {
            Ok((plugin, given))
        }
    }
}

/// Reads a job file.
pub(crate) fn read(
    file: &Path,
    registrations: &Registrations,
) -> anyhow::Result<(PluginSource, Grants)> {
    let (text, base) = read_text(file)?;
    parse(&text, base, registrations)
        .map_err(|error| UsageError(format!("job file {}: {error:#}", file.display())).into())
}

/// Returns a job file's text, and the folder against which its relative paths are resolved.
pub(crate) fn read_text(file: &Path) -> anyhow::Result<(String, &Path)> {
    let text = JobFile::read(file).map_err(|error| {
        UsageError(format!("cannot read the job file {}: {error}", file.display()))
    })?;
    Ok((text, file.parent().unwrap_or(Path::new(""))))
}

pub(crate) fn parse(
    text: &str,
    base: &Path,
    registrations: &Registrations,
) -> anyhow::Result<(PluginSource, Grants)> {
    let job = JobFile::parse(text)?;
    let plugin =
        job.plugin().ok_or_else(|| UsageError("the key `plugin` is missing".to_owned()))?;
    let plugin = match PluginSource::find(plugin, registrations) {
        Ok(PluginSource::File(path)) => PluginSource::File(base.join(path)),
        other => other?,
    };
    Ok((plugin, job.grants(base)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_on_the_command_line_overrides_the_job_file() {
        let job = [("mode", "1"), ("docs.mode", "2"), ("photos.mode", "3"), ("docs.rawmode", "4")];
        for (overriding, left) in [
            (&["mode"][..], &["docs.rawmode", "mode"][..]),
            (&["docs.mode"], &["mode", "photos.mode", "docs.rawmode", "docs.mode"]),
            // Settings of the command line do not override each other, in any order.
            (&["docs.mode", "mode"], &["docs.rawmode", "docs.mode", "mode"]),
            (&["mode", "docs.mode"], &["docs.rawmode", "mode", "docs.mode"]),
            (&[], &["mode", "docs.mode", "photos.mode", "docs.rawmode"]),
        ] {
            let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let mut settings = job.map(|(name, value)| owned(name, value)).to_vec();
            override_settings(
                &mut settings,
                overriding.iter().map(|name| owned(name, "new")).collect(),
            );
            let names: Vec<_> = settings.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, left);
            let new = |name: &str| overriding.contains(&name);
            assert!(settings.iter().all(|(name, value)| (value == "new") == new(name)));
        }
    }

    #[test]
    fn an_invalid_job_file_is_an_error_with_the_reason() {
        let none = Registrations::new(Path::new("/nowhere"));
        for (job, words) in [
            ("", "plugin"),
            ("plugin = \"folder\"\nitem = 1", "unknown field `item`"),
            ("plugin = \"folder\"\nallow = [\"all\"]", "`all`"),
            ("plugin = \"nothing\"", "no plugin `nothing`"),
        ] {
            let error = format!("{:#}", parse(job, Path::new(""), &none).err().unwrap());
            assert!(error.contains(words), "{job:?}: {error}");
        }
    }
}

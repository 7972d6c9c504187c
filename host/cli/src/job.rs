//! What a plugin is given, from the command line, a job file or its registration.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use syncmgr_host::{Access, Host, HostOptions, Plugin, SessionOptions};
use syncmgr_store::{CodeCache, Granted, PrivateFolder, Registrations, Secret, default_state_dir};

use crate::args::{Given, Grants};
use crate::builtin::Named;
use crate::compiler::in_own_process;
use crate::escape::escape;
use crate::exit::UsageError;
use crate::second_line::{Places, hide_memory};

/// A plugin and what it is given.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) plugin: Named,
    pub(crate) granted: Granted,
    /// The plugin's own part of the state directory.
    pub(crate) home: PrivateFolder,
    registrations: Registrations,
    cache: CodeCache,
}

impl Job {
    pub(crate) fn new(given: &Given) -> anyhow::Result<Self> {
        let registrations = registrations(given.state_dir.as_deref())?;
        let (plugin, mut granted) = match (&given.plugin, &given.job) {
            (_, Some(file)) => {
                let (plugin, mut job) = read(file, &registrations)?;
                replace(&mut job.settings, granted(&given.grants)?.settings);
                job.protect("the job file", file);
                (plugin, job)
            }
            (plugin, None) => from_args(plugin.as_deref(), &given.grants, &registrations)?,
        };
        set_limits(&mut granted, &given.limits)?;
        Self::of(plugin, granted, registrations)
    }

    /// An installed plugin, with what it was granted.
    pub(crate) fn of(
        plugin: Named,
        mut granted: Granted,
        registrations: Registrations,
    ) -> anyhow::Result<Self> {
        let home = registrations.create_home(&plugin.storage_name()?)?;
        if let Named::File(file) = &plugin {
            granted.protect("the plugin's file", file);
        }
        let cache = CodeCache::new(registrations.state_dir());
        Ok(Self { plugin, granted, home, registrations, cache })
    }

    /// A host for it, and the plugin, compiled.
    pub(crate) fn load(&self) -> anyhow::Result<Plugin> {
        let limits = self.granted.limits().load;
        if let Named::Installed(registration) = &self.plugin {
            let host = Host::with_options(in_own_process(syncmgr_store::host_options(limits)))?;
            return Ok(self.registrations.load(&host, registration)?);
        }
        let host = Host::with_options(in_own_process(HostOptions::new().limits(limits)))?;
        let component = self.plugin.bytes(host.limits())?;
        let name = self.plugin.name();
        Ok(match self.plugin.digest() {
            Some(digest) => self.cache.load_digested(&host, &name, &component, digest)?,
            None => self.cache.load(&host, &name, &component)?,
        })
    }

    /// The BLAKE3 digest of the component, in hexadecimal digits.
    pub(crate) fn component_digest(&self) -> anyhow::Result<String> {
        Ok(match self.plugin.digest() {
            Some(digest) => digest.to_owned(),
            None => {
                let component = self.plugin.bytes(&self.granted.limits().load)?;
                blake3::hash(&component).to_hex().to_string()
            }
        })
    }

    /// The state directory.
    pub(crate) fn state_dir(&self) -> &Path {
        self.registrations.state_dir()
    }

    /// Reports the capabilities that the plugin requests and does not have: it ends when it uses one.
    pub(crate) fn note_denied(&self, plugin: &Plugin) {
        if self.plugin.is_built_in() {
            return;
        }
        let requested = &plugin.description().requests.capabilities;
        let denied = requested.iter().filter(|(one, _)| !self.granted.allow.contains(one));
        for (capability, why) in denied {
            let (name, why) = (escape(plugin.name()), escape(why));
            let capability = capability.name();
            // What cannot be written here is no reason not to run.
            let _ = writeln!(
                std::io::stderr(),
                "note: plugin `{name}` requests `{capability}` ({why}), which is not granted: the \
                 host terminates it when it uses that; grant it with `--allow {capability}`"
            );
        }
    }

    /// The directories that a run of the plugin needs.
    pub(crate) fn places(&self, dry_run: bool) -> Places {
        let access = |access| if dry_run { Access::ReadOnly } else { access };
        let granted = self.granted.directories.iter();
        let granted = granted.map(|grant| (grant.path().to_owned(), access(grant.access())));
        let storage = self.home.path().join("storage");
        granted.chain([(storage, access(Access::ReadWrite))]).collect()
    }

    /// What a session of the plugin is given.
    pub(crate) fn session_options(&self, plugin: &Plugin) -> anyhow::Result<SessionOptions> {
        if !self.granted.secrets.is_empty() {
            hide_memory();
        }
        let mut options =
            self.registrations.session_options(plugin, &self.granted, self.home.path())?;
        if self.plugin.is_built_in() {
            for (capability, _) in &plugin.description().requests.capabilities {
                options = options.allow(*capability);
            }
        }
        Ok(options)
    }
}

/// The items to run, by name or id. A key of a job file becomes the name that the job gives it.
pub(crate) fn selected(
    items: &[String],
    settings: &[(String, String)],
) -> anyhow::Result<Vec<String>> {
    let names: Vec<_> = settings.iter().filter(|(key, _)| key.ends_with(".name")).collect();
    let mut selected = Vec::new();
    for item in items {
        let key = format!("{item}.name");
        let given = names.iter().find(|(known, name)| *known == key && !name.is_empty());
        let is_name = names.iter().any(|(_, name)| name == item);
        let Some((_, name)) = given.filter(|_| !is_name) else {
            selected.push(item.clone());
            continue;
        };
        if names.iter().filter(|(_, other)| other == name).count() > 1 {
            return Err(UsageError(format!(
                "the item `{item}` is named `{name}`, and so is another one; give them different \
                 names, or select by id (`syncmgr items` lists them)"
            ))
            .into());
        }
        selected.push(name.clone());
    }
    Ok(selected)
}

/// Gives settings in the place of what a job file says: each for all items, or for the one it names.
fn replace(settings: &mut Vec<(String, String)>, given: Vec<(String, String)>) {
    settings.retain(|(key, _)| {
        given.iter().all(|(name, _)| {
            let is_of_item = key.strip_suffix(name).is_some_and(|item| item.ends_with('.'));
            key != name && !is_of_item
        })
    });
    settings.extend(given);
}

/// The installed plugins of this user.
pub(crate) fn registrations(state_dir: Option<&Path>) -> anyhow::Result<Registrations> {
    let state_dir = match state_dir {
        // As from a variable that is not set.
        Some(dir) if dir.as_os_str().is_empty() => {
            return Err(UsageError(
                "the state directory has no path; give one with --state-dir or SYNCMGR_STATE_DIR"
                    .to_owned(),
            )
            .into());
        }
        Some(dir) => dir.to_owned(),
        None => default_state_dir()?,
    };
    Ok(Registrations::new(&state_dir))
}

fn from_args(
    plugin: Option<&str>,
    grants: &Grants,
    registrations: &Registrations,
) -> anyhow::Result<(Named, Granted)> {
    let plugin = Named::find_or_build(plugin, registrations)?;
    let given = granted(grants)?;
    match &plugin {
        // What stands on the command line takes the place of all that was granted.
        Named::Installed(registration) if given.is_empty() => {
            let granted = registration.granted.clone();
            Ok((plugin, granted))
        }
        Named::Installed(_) | Named::BuiltIn(..) | Named::File(_) => Ok((plugin, given)),
    }
}

/// What the options of the command line grant.
pub(crate) fn granted(grants: &Grants) -> anyhow::Result<Granted> {
    let mut granted = Granted::default();
    let mut names = HashSet::new();
    for dir in &grants.dirs {
        let (name, path) = key_value(dir, "--dir NAME=PATH")?;
        once(&mut names, "--dir", name)?;
        granted.directories.push(syncmgr_store::grant(name, path, Path::new(""))?);
    }
    for setting in &grants.settings {
        let (name, value) = key_value(setting, "--set KEY=VALUE")?;
        once(&mut names, "--set", name)?;
        granted.settings.push((name.to_owned(), value.to_owned()));
    }
    for secret in &grants.secrets {
        const FORM: &str = "--secret KEY=env:VARIABLE|file:PATH";
        let (name, place) = key_value(secret, FORM)?;
        once(&mut names, "--secret", name)?;
        let secret = match place.split_once(':') {
            Some(("env", variable)) => Secret::Env(variable.to_owned()),
            Some(("file", path)) => Secret::File(path.into()),
            // What was given may be the secret itself, so it is not repeated.
            Some(_) | None => {
                let message = format!("the secret `{name}` is not of the form `{FORM}`");
                return Err(UsageError(message).into());
            }
        };
        granted.secrets.push((name.to_owned(), secret));
    }
    for name in &grants.allow {
        granted.allow.push(name.parse()?);
    }
    Ok(granted)
}

pub(crate) fn set_limits(granted: &mut Granted, limits: &[String]) -> anyhow::Result<()> {
    let mut names = HashSet::new();
    for limit in limits {
        let (name, value) = key_value(limit, "--limit NAME=VALUE")?;
        once(&mut names, "--limit", name)?;
        granted.set_limit(name, value)?;
    }
    Ok(())
}

/// Refuses an option that is given twice for one name: one of the two would be ignored.
pub(crate) fn once<'a>(
    seen: &mut HashSet<(&'static str, &'a str)>,
    option: &'static str,
    name: &'a str,
) -> anyhow::Result<()> {
    match seen.insert((option, name)) {
        true => Ok(()),
        false => {
            Err(UsageError(format!("`{option} {name}=...` is given twice; give it once")).into())
        }
    }
}

pub(crate) fn key_value<'a>(text: &'a str, form: &str) -> anyhow::Result<(&'a str, &'a str)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        Some(_) | None => Err(UsageError(format!("`{text}` is not of the form `{form}`")).into()),
    }
}

fn read(file: &Path, registrations: &Registrations) -> anyhow::Result<(Named, Granted)> {
    let (text, base) = read_text(file)?;
    parse(&text, base, registrations)
        .map_err(|error| UsageError(format!("the job {}: {error:#}", file.display())).into())
}

/// A job file's text, and the folder at which its relative paths start.
pub(crate) fn read_text(file: &Path) -> anyhow::Result<(String, &Path)> {
    let text = syncmgr_store::read_grants_file(file)
        .map_err(|error| UsageError(format!("cannot read the job {}: {error}", file.display())))?;
    Ok((text, file.parent().unwrap_or(Path::new(""))))
}

pub(crate) fn parse(
    text: &str,
    base: &Path,
    registrations: &Registrations,
) -> anyhow::Result<(Named, Granted)> {
    let plugin = syncmgr_store::grants_file_plugin(text)?
        .ok_or_else(|| UsageError("it names no `plugin`".to_owned()))?;
    let plugin = match Named::find(&plugin, registrations) {
        Ok(Named::File(path)) => Named::File(base.join(path)),
        other => other?,
    };
    Ok((plugin, Granted::parse(text, base)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_on_the_command_line_beats_those_of_the_job() {
        let job = [("mode", "1"), ("docs.mode", "2"), ("photos.mode", "3"), ("docs.rawmode", "4")];
        for (given, left) in [
            (&["mode"][..], &["docs.rawmode", "mode"][..]),
            (&["docs.mode"], &["mode", "photos.mode", "docs.rawmode", "docs.mode"]),
            // Those given leave each other alone, in any order.
            (&["docs.mode", "mode"], &["docs.rawmode", "docs.mode", "mode"]),
            (&["mode", "docs.mode"], &["docs.rawmode", "mode", "docs.mode"]),
            (&[], &["mode", "docs.mode", "photos.mode", "docs.rawmode"]),
        ] {
            let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            let mut settings = job.map(|(name, value)| owned(name, value)).to_vec();
            replace(&mut settings, given.iter().map(|name| owned(name, "new")).collect());
            let names: Vec<_> = settings.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, left);
            let new = |name: &str| given.contains(&name);
            assert!(settings.iter().all(|(name, value)| (value == "new") == new(name)));
        }
    }

    #[test]
    fn an_item_is_selected_by_its_key() {
        let settings = [
            ("docs.name", "Documents"),
            ("photos.mode", "mirror"),
            ("x.name", "Twice"),
            ("y.name", "Twice"),
            ("z.name", "other"),
            ("other.name", "last"),
            ("empty.name", ""),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (item, expected) in [
            ("docs", Some("Documents")),
            ("Documents", Some("Documents")),
            ("photos", Some("photos")),
            ("x", None),
            ("Twice", Some("Twice")),
            ("other", Some("other")),
            ("empty", Some("empty")),
            ("nowhere", Some("nowhere")),
        ] {
            let found = selected(&[item.to_owned()], &settings).ok();
            assert_eq!(found, expected.map(|name| vec![name.to_owned()]), "{item}");
        }
    }

    #[test]
    fn an_option_is_given_once_for_each_name() {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        for (dirs, settings, secrets, good) in [
            (&["a=/x", "b=/x"][..], &["a=1", "b=1"][..], &["c=env:C"][..], true),
            (&["a=/x", "a=/y"], &[], &[], false),
            (&[], &["mode=a", "mode=a"], &[], false),
            (&[], &["mode=a", "docs.mode=b"], &[], true),
            (&[], &[], &["t=env:A", "t=env:B"], false),
        ] {
            let grants = Grants {
                dirs: texts(dirs),
                settings: texts(settings),
                secrets: texts(secrets),
                allow: Vec::new(),
            };
            let given = granted(&grants);
            assert_eq!(given.is_ok(), good, "{dirs:?} {settings:?} {secrets:?}: {given:?}");
        }
        let twice = ["items=1".to_owned(), "items=2".to_owned()];
        assert!(set_limits(&mut Granted::default(), &twice).is_err());
    }

    #[test]
    fn a_wrong_job_file_says_what_is_wrong() {
        let none = Registrations::new(Path::new("/nowhere"));
        for (job, words) in [
            ("", "plugin"),
            ("plugin = \"folder\"\nitem = 1", "unknown field `item`"),
            ("plugin = \"folder\"\nallow = [\"all\"]", "cannot be allowed"),
            ("plugin = \"nothing\"", "nor a registered one"),
        ] {
            let error = format!("{:#}", parse(job, Path::new(""), &none).err().unwrap());
            assert!(error.contains(words), "{job:?}: {error}");
        }
    }
}

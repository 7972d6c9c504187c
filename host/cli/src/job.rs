//! What a plugin is given, from the command line or from a job file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use etcetera::BaseStrategy;
use serde::Deserialize;
use syncmgr_host::{Access, Capability, Grant, Limits, LoadLimits, Plugin, SessionOptions};

use crate::args::Given;
use crate::builtin::Named;
use crate::exit::UsageError;

/// A plugin and what it is given.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) plugin: Named,
    pub(crate) grants: Vec<Grant>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) secrets: Vec<(String, Secret)>,
    pub(crate) allow: Vec<Capability>,
    pub(crate) limits: AllLimits,
    /// The plugin's own part of the state folder.
    pub(crate) home: PathBuf,
}

/// The limits of loading and of running.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllLimits {
    pub(crate) load: LoadLimits,
    pub(crate) session: Limits,
}

impl AllLimits {
    fn set(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        let set = match LoadLimits::NAMES.contains(&name) {
            true => self.load.set(name, value),
            false => self.session.set(name, value),
        };
        set.map_err(|error| UsageError(error.to_string()).into())
    }
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Secret {
    /// In a variable of the environment.
    Env(String),
    /// In a file.
    File(PathBuf),
}

/// A job file:
///
/// ```toml
/// plugin = "folder"
/// allow = ["wall-clock"]
/// [settings]
/// durable = true
/// [secrets]
/// token = { env = "TOKEN" }
/// [limits]
/// memory-bytes = "64MiB"
/// [items.docs]
/// name = "Documents"
/// dirs = { left = "~/docs", right = "/mnt/docs:ro" }
/// settings = { mode = "mirror" }
/// ```
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobFile {
    plugin: String,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    settings: BTreeMap<String, Setting>,
    #[serde(default)]
    secrets: BTreeMap<String, Secret>,
    #[serde(default)]
    limits: BTreeMap<String, Setting>,
    #[serde(default)]
    dirs: BTreeMap<String, String>,
    #[serde(default)]
    items: BTreeMap<String, JobItem>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobItem {
    name: Option<String>,
    #[serde(default)]
    dirs: BTreeMap<String, String>,
    #[serde(default)]
    settings: BTreeMap<String, Setting>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Setting {
    Flag(bool),
    Number(i64),
    Text(String),
    Lines(Vec<String>),
}

impl Setting {
    fn into_text(self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
            Self::Lines(lines) => lines.join("\n"),
        }
    }
}

impl Secret {
    fn read(&self, name: &str) -> anyhow::Result<String> {
        match self {
            Self::Env(variable) => std::env::var(variable).map_err(|error| {
                let message = format!("the secret `{name}`: the variable {variable}: {error}");
                UsageError(message).into()
            }),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    UsageError(format!("the secret `{name}`: {}: {error}", path.display()))
                })?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
            }
        }
    }
}

impl Job {
    pub(crate) fn new(given: &Given) -> anyhow::Result<Self> {
        let mut contents = match (&given.plugin, &given.job) {
            (_, Some(file)) => read(file)?,
            (Some(plugin), None) => from_args(plugin, given)?,
            (None, None) => return Err(UsageError("no plugin was named".to_owned()).into()),
        };
        for limit in &given.limits {
            let (name, value) = key_value(limit, "--limit NAME=VALUE")?;
            contents.limits.set(name, value)?;
        }
        let state = match &given.state_dir {
            Some(dir) => dir.clone(),
            None => default_state_dir()?,
        };
        let home = state.join("plugins").join(contents.plugin.storage_name()?);
        let storage = home.join("storage");
        create_private(&storage)
            .with_context(|| format!("cannot make the plugin's storage {}", storage.display()))?;
        Ok(Self {
            plugin: contents.plugin,
            grants: contents.grants,
            settings: contents.settings,
            secrets: contents.secrets,
            allow: contents.allow,
            limits: contents.limits,
            home,
        })
    }

    /// What a session of the plugin is given.
    ///
    /// What is granted and not asked for is most likely misspelt, so that is an error.
    pub(crate) fn session_options(&self, plugin: &Plugin) -> anyhow::Result<SessionOptions> {
        let mut options = SessionOptions::new()
            .storage(self.home.join("storage"))
            .limits(self.limits.session.clone());
        for grant in &self.grants {
            options = options.grant(grant.clone());
        }
        for (name, value) in &self.settings {
            options = options.setting(name, value);
        }
        for (name, secret) in &self.secrets {
            options = options.secret(name, secret.read(name)?);
        }
        for &capability in &self.allow {
            options = options.allow(capability);
        }
        let unrequested = plugin.unrequested(&options);
        if !unrequested.is_empty() {
            return Err(UsageError(format!(
                "{} does not ask for {}; `syncmgr inspect` lists what it asks for",
                plugin.name(),
                unrequested.join(", ")
            ))
            .into());
        }
        if let Named::BuiltIn(..) = self.plugin {
            for (capability, _) in &plugin.description().requests.capabilities {
                options = options.allow(*capability);
            }
        }
        Ok(options)
    }
}

fn from_args(plugin: &str, given: &Given) -> anyhow::Result<Contents> {
    let grants = given.dirs.iter().map(|dir| {
        let (name, path) = key_value(dir, "--dir NAME=PATH")?;
        grant(name, path, Path::new(""))
    });
    let settings = given.settings.iter().map(|setting| {
        let (name, value) = key_value(setting, "--set KEY=VALUE")?;
        Ok((name.to_owned(), value.to_owned()))
    });
    let secrets = given.secrets.iter().map(|secret| {
        const FORM: &str = "--secret KEY=env:VARIABLE|file:PATH";
        let (name, place) = key_value(secret, FORM)?;
        let secret = match place.split_once(':') {
            Some(("env", variable)) => Secret::Env(variable.to_owned()),
            Some(("file", path)) => Secret::File(path.into()),
            // What was given may be the secret itself, so it is not repeated.
            Some(_) | None => {
                let message = format!("the secret `{name}` is not of the form `{FORM}`");
                return Err(UsageError(message).into());
            }
        };
        Ok((name.to_owned(), secret))
    });
    Ok(Contents {
        plugin: Named::find(plugin)?,
        grants: grants.collect::<anyhow::Result<_>>()?,
        settings: settings.collect::<anyhow::Result<_>>()?,
        secrets: secrets.collect::<anyhow::Result<_>>()?,
        allow: given.allow.iter().map(|name| Ok(name.parse()?)).collect::<anyhow::Result<_>>()?,
        limits: AllLimits::default(),
    })
}

fn default_state_dir() -> anyhow::Result<PathBuf> {
    let base = etcetera::choose_base_strategy()
        .context("cannot find your home folder; name a folder with --state-dir")?;
    Ok(base.state_dir().unwrap_or_else(|| base.data_dir()).join("syncmgr"))
}

/// What plugins remember is nobody else's business.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn key_value<'a>(text: &'a str, form: &str) -> anyhow::Result<(&'a str, &'a str)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        Some(_) | None => Err(UsageError(format!("`{text}` is not of the form `{form}`")).into()),
    }
}

fn grant(name: &str, path: &str, base: &Path) -> anyhow::Result<Grant> {
    let (path, access) = match path.strip_suffix(":ro") {
        Some(path) => (path, Access::ReadOnly),
        None => (path, Access::ReadWrite),
    };
    if path.is_empty() {
        return Err(UsageError(format!("the directory `{name}` has no path")).into());
    }
    Ok(Grant::new(name, &from_home(Path::new(path), base), access)?)
}

/// A path with `~` for the home folder, or below `base` if it is relative.
fn from_home(path: &Path, base: &Path) -> PathBuf {
    match path.strip_prefix("~").ok().zip(etcetera::home_dir().ok()) {
        Some((rest, home)) => home.join(rest),
        None => base.join(path),
    }
}

/// What a job file, or a command line, says.
pub(crate) struct Contents {
    pub(crate) plugin: Named,
    pub(crate) grants: Vec<Grant>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) secrets: Vec<(String, Secret)>,
    pub(crate) allow: Vec<Capability>,
    pub(crate) limits: AllLimits,
}

fn read(file: &Path) -> anyhow::Result<Contents> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| UsageError(format!("cannot read the job {}: {error}", file.display())))?;
    let base = file.parent().unwrap_or(Path::new(""));
    parse(&text, base)
        .map_err(|error| UsageError(format!("the job {}: {error:#}", file.display())).into())
}

pub(crate) fn parse(text: &str, base: &Path) -> anyhow::Result<Contents> {
    let job: JobFile = toml::from_str(text)?;
    let plugin = match Named::find(&job.plugin) {
        Ok(Named::File(path)) => Named::File(base.join(path)),
        other => other?,
    };
    let mut grants = Vec::new();
    let mut settings = Vec::new();
    let mut limits = AllLimits::default();
    for (name, value) in job.limits {
        limits.set(&name, &value.into_text())?;
    }
    let allow = job.allow.iter().map(|name| Ok(name.parse()?)).collect::<anyhow::Result<_>>()?;
    let secrets = job.secrets.into_iter().map(|(name, secret)| match secret {
        Secret::Env(variable) => (name, Secret::Env(variable)),
        Secret::File(path) => (name, Secret::File(from_home(&path, base))),
    });
    for (name, path) in &job.dirs {
        grants.push(grant(name, path, base)?);
    }
    for (name, value) in job.settings {
        settings.push((name, value.into_text()));
    }
    for (key, item) in job.items {
        for (name, path) in &item.dirs {
            grants.push(grant(&format!("{key}.{name}"), path, base)?);
        }
        if let Some(name) = item.name {
            settings.push((format!("{key}.name"), name));
        }
        for (name, value) in item.settings {
            settings.push((format!("{key}.{name}"), value.into_text()));
        }
    }
    Ok(Contents { plugin, grants, settings, secrets: secrets.collect(), allow, limits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_file_becomes_grants_and_settings() {
        let job = r#"
            plugin = "folder"
            allow = ["wall-clock"]
            [settings]
            durable = false
            [secrets]
            one = { env = "ONE" }
            two = { file = "two.txt" }
            [limits]
            memory-bytes = "64MiB"
            items = 7
            component-bytes = "1MiB"
            [items.docs]
            name = "Documents"
            dirs = { left = "a", right = "/nowhere/b:ro" }
            settings = { mode = "mirror", ignore = ["*.o", "*.tmp"], max-delete = 7 }
        "#;
        let Contents { plugin, grants, settings, secrets, allow, limits } =
            parse(job, Path::new("/jobs")).unwrap();
        assert_eq!(plugin.name(), "folder");
        assert_eq!(allow, [Capability::WallClock]);
        let two = Secret::File("/jobs/two.txt".into());
        assert_eq!(
            secrets,
            [("one".to_owned(), Secret::Env("ONE".to_owned())), ("two".to_owned(), two)]
        );
        assert_eq!((limits.session.memory_bytes, limits.session.items), (64 << 20, 7));
        assert_eq!(limits.load.component_bytes, 1 << 20);
        let grants: Vec<_> =
            grants.iter().map(|g| (g.name(), g.path().to_str().unwrap(), g.access())).collect();
        assert_eq!(
            grants,
            [
                ("docs.left", "/jobs/a", Access::ReadWrite),
                ("docs.right", "/nowhere/b", Access::ReadOnly),
            ]
        );
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            settings,
            [
                ("durable", "false"),
                ("docs.name", "Documents"),
                ("docs.ignore", "*.o\n*.tmp"),
                ("docs.max-delete", "7"),
                ("docs.mode", "mirror"),
            ]
        );
    }

    #[test]
    fn a_wrong_job_file_says_what_is_wrong() {
        for (job, words) in [
            ("plugin = 1", "plugin"),
            ("", "plugin"),
            ("plugin = \"folder\"\nitem = 1", "unknown field `item`"),
            ("plugin = \"folder\"\n[dirs]\n\"a b\" = \"/x\"", "cannot be the name"),
            ("plugin = \"folder\"\nallow = [\"all\"]", "cannot be allowed"),
            ("plugin = \"folder\"\n[limits]\nspeed = 1", "there is no limit"),
            ("plugin = \"folder\"\n[limits]\ngrace = 1", "a time such as"),
            ("plugin = \"folder\"\n[secrets]\nx = \"plain\"", "invalid type"),
            ("plugin = \"nothing\"", "neither a file nor a built-in"),
            ("plugin = ", "TOML"),
        ] {
            let error = format!("{:#}", parse(job, Path::new("")).err().unwrap());
            assert!(error.contains(words), "{job:?}: {error}");
        }
    }
}

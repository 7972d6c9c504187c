//! What a plugin is given, from the command line or from a job file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use etcetera::BaseStrategy;
use serde::Deserialize;
use syncmgr_host::{Access, Grant, SessionOptions};

use crate::args::Given;
use crate::builtin::Named;
use crate::exit::UsageError;

/// A plugin and what it is given.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) plugin: Named,
    pub(crate) grants: Vec<Grant>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) storage: PathBuf,
}

/// A job file:
///
/// ```toml
/// plugin = "folder"
/// [settings]
/// durable = true
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
    settings: BTreeMap<String, Setting>,
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

impl Job {
    pub(crate) fn new(given: &Given) -> anyhow::Result<Self> {
        let (plugin, grants, settings) = match (&given.plugin, &given.job) {
            (_, Some(file)) => read(file)?,
            (Some(plugin), None) => {
                let grants = given.dirs.iter().map(|dir| {
                    let (name, path) = key_value(dir, "--dir NAME=PATH")?;
                    grant(name, path, Path::new(""))
                });
                let settings = given.settings.iter().map(|setting| {
                    let (name, value) = key_value(setting, "--set KEY=VALUE")?;
                    Ok((name.to_owned(), value.to_owned()))
                });
                (
                    Named::find(plugin)?,
                    grants.collect::<anyhow::Result<_>>()?,
                    settings.collect::<anyhow::Result<_>>()?,
                )
            }
            (None, None) => return Err(UsageError("no plugin was named".to_owned()).into()),
        };
        let state = match &given.state_dir {
            Some(dir) => dir.clone(),
            None => default_state_dir()?,
        };
        let storage = state.join("plugins").join(plugin.storage_name()?).join("storage");
        create_private(&storage)
            .with_context(|| format!("cannot make the plugin's storage {}", storage.display()))?;
        Ok(Self { plugin, grants, settings, storage })
    }

    pub(crate) fn session_options(&self) -> SessionOptions {
        let mut options = SessionOptions::new().storage(&self.storage);
        for grant in &self.grants {
            options = options.grant(grant.clone());
        }
        for (name, value) in &self.settings {
            options = options.setting(name, value);
        }
        options
    }
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
    let path = match path.strip_prefix("~/").zip(etcetera::home_dir().ok()) {
        Some((rest, home)) => home.join(rest),
        None => base.join(path),
    };
    Ok(Grant::new(name, &path, access)?)
}

type Contents = (Named, Vec<Grant>, Vec<(String, String)>);

fn read(file: &Path) -> anyhow::Result<Contents> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| UsageError(format!("cannot read the job {}: {error}", file.display())))?;
    let base = file.parent().unwrap_or(Path::new(""));
    parse(&text, base)
        .map_err(|error| UsageError(format!("the job {}: {error:#}", file.display())).into())
}

fn parse(text: &str, base: &Path) -> anyhow::Result<Contents> {
    let job: JobFile = toml::from_str(text)?;
    let plugin = match Named::find(&job.plugin) {
        Ok(Named::File(path)) => Named::File(base.join(path)),
        other => other?,
    };
    let mut grants = Vec::new();
    let mut settings = Vec::new();
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
    Ok((plugin, grants, settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_file_becomes_grants_and_settings() {
        let job = r#"
            plugin = "folder"
            [settings]
            durable = false
            [items.docs]
            name = "Documents"
            dirs = { left = "a", right = "/nowhere/b:ro" }
            settings = { mode = "mirror", ignore = ["*.o", "*.tmp"], max-delete = 7 }
        "#;
        let (plugin, grants, settings) = parse(job, Path::new("/jobs")).unwrap();
        assert_eq!(plugin.name(), "folder");
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
            ("plugin = \"nothing\"", "neither a file nor a built-in"),
            ("plugin = ", "TOML"),
        ] {
            let error = format!("{:#}", parse(job, Path::new("")).unwrap_err());
            assert!(error.contains(words), "{job:?}: {error}");
        }
    }
}

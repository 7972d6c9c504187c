//! What a plugin is given, and the files that say so.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncmgr_host::{
    Access, Capability, Grant, Limits, LoadLimits, Plugin, Requests, SessionOptions,
};

use crate::error::StoreError;
use crate::protected::Guard;
use crate::registered_directory::RegisteredDirectory;

/// What a plugin is given.
#[derive(Clone, Debug, Default)]
pub struct Granted {
    /// Directories.
    pub directories: Vec<Grant>,
    /// Settings, by name.
    pub settings: Vec<(String, String)>,
    /// Secrets, by name.
    pub secrets: Vec<(String, Secret)>,
    /// The time of day and the like.
    pub allow: Vec<Capability>,
    /// Limits that are not the default, by name.
    limits: Vec<(String, String)>,
    /// What the directories were when the plugin was registered.
    registered: Vec<RegisteredDirectory>,
    /// Files that decide what the plugin is or gets, each with a word for it.
    protected: Vec<(&'static str, PathBuf)>,
}

/// The limits of loading and of running.
#[derive(Clone, Debug, Default)]
pub struct AllLimits {
    /// Of loading.
    pub load: LoadLimits,
    /// Of running.
    pub session: Limits,
}

impl AllLimits {
    fn set(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        let set = match LoadLimits::NAMES.contains(&name) {
            true => self.load.set(name, value),
            false => self.session.set(name, value),
        };
        set.map_err(|error| StoreError::Text { what: error.to_string() })
    }
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Secret {
    /// In a variable of the environment.
    Env(String),
    /// In a file, without the newline at its end.
    File(PathBuf),
}

impl Secret {
    fn read(&self, name: &str) -> Result<String, StoreError> {
        let fail = |what: String| StoreError::Text { what: format!("the secret `{name}`: {what}") };
        match self {
            Self::Env(variable) => std::env::var(variable)
                .map_err(|error| fail(format!("the variable {variable}: {error}"))),
            Self::File(path) => {
                let text = read_text(path)
                    .map_err(|error| fail(format!("{}: {error}", path.display())))?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
            }
        }
    }
}

/// A job file, or the grants of a registration:
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
/// [dirs]
/// left = "~/docs"
/// [items.photos]
/// name = "Photos"
/// dirs = { left = "~/photos", right = "/mnt/photos:ro" }
/// settings = { mode = "mirror" }
/// ```
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantsFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    settings: BTreeMap<String, Setting>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<String, Secret>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<String, Setting>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    dirs: BTreeMap<String, String>,
    #[serde(default, skip_serializing)]
    items: BTreeMap<String, Item>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    name: Option<String>,
    #[serde(default)]
    dirs: BTreeMap<String, String>,
    #[serde(default)]
    settings: BTreeMap<String, Setting>,
}

#[derive(Debug, Deserialize, Serialize)]
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

/// Which plugin a job file is for; `None`: it does not say.
///
/// # Errors
/// [`StoreError::Text`].
pub fn grants_file_plugin(text: &str) -> Result<Option<String>, StoreError> {
    Ok(read(text)?.plugin)
}

fn read(text: &str) -> Result<GrantsFile, StoreError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let line = |at: usize| text.get(..at)?.rsplit('\n').next().map(str::len).map(|n| at - n);
        let start = error.span().and_then(|span| line(span.start)).unwrap_or(text.len());
        let line = text[start..].lines().next().unwrap_or_default();
        let mut what = error.to_string();
        if line.contains('\\') {
            what = format!(
                "{}\n`\\` begins an escape in \"...\"; write a path in single quotes, as in \
                 'C:\\Users\\me'",
                what.trim_end()
            );
        }
        StoreError::Text { what }
    })
}

/// How much is read of a job file or a secret.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Reads a job file, or a file of grants.
///
/// # Errors
/// Those of the system, and [`InvalidData`](std::io::ErrorKind::InvalidData) for a file that is no
/// text in UTF-8, or too large for one.
pub fn read_grants_file(path: &Path) -> std::io::Result<String> {
    let text = read_text(path)?;
    // What some editors begin a file with.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn read_text(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let invalid = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let mut bytes = Vec::new();
    // What a device or a pipe has, it does not tell.
    std::fs::File::open(path)?.take(MAX_TEXT_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT_BYTES {
        return Err(invalid(format!("it is larger than {} MiB", MAX_TEXT_BYTES >> 20)));
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") || bytes.contains(&0) {
        return Err(invalid("it is UTF-16 or no text; save it as UTF-8".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| invalid(format!("it is not UTF-8 ({error})")))
}

impl Granted {
    /// Reads a job file that lies in the folder `base`: relative paths start there, and `~` is
    /// the user's home. Which plugin it is for does not matter here.
    ///
    /// # Errors
    /// [`StoreError::Text`] and [`StoreError::Grant`].
    pub fn parse(text: &str, base: &Path) -> Result<Self, StoreError> {
        Self::from_file(read(text)?, base)
    }

    pub(crate) fn from_file(file: GrantsFile, base: &Path) -> Result<Self, StoreError> {
        let mut granted = Self::default();
        for (name, value) in file.limits {
            granted.set_limit(&name, &value.into_text())?;
        }
        for name in file.allow {
            granted.allow.push(name.parse()?);
        }
        for (name, secret) in file.secrets {
            let secret = match secret {
                Secret::Env(variable) => Secret::Env(variable),
                Secret::File(path) => Secret::File(from_home(&path, base)?),
            };
            granted.secrets.push((name, secret));
        }
        for (name, path) in &file.dirs {
            granted.directories.push(grant(name, path, base)?);
        }
        granted.settings.extend(file.settings.into_iter().map(|(n, v)| (n, v.into_text())));
        for (key, item) in file.items {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            if key.is_empty() || !key.bytes().all(plain) {
                let what = format!(
                    "the item key `{key}` can have letters, digits, `_` and `-`, and no dot; give \
                     the item another key, and what people see as its `name`"
                );
                return Err(StoreError::Text { what });
            }
            for (name, path) in &item.dirs {
                granted.directories.push(grant(&format!("{key}.{name}"), path, base)?);
            }
            let name = item.name.map(|name| (format!("{key}.name"), name));
            granted.settings.extend(name);
            for (name, value) in item.settings {
                granted.settings.push((format!("{key}.{name}"), value.into_text()));
            }
        }
        let mut names = HashSet::new();
        for (name, _) in &granted.settings {
            if !names.insert(name) {
                let what = format!("the setting `{name}` is given twice; give it once");
                return Err(StoreError::Text { what });
            }
        }
        Ok(granted)
    }

    /// Adds the directories of a registration.
    pub(crate) fn with_directories(
        mut self,
        registered: Vec<RegisteredDirectory>,
    ) -> Result<Self, StoreError> {
        for directory in &registered {
            self.directories.push(directory.grant()?);
        }
        self.registered = registered;
        Ok(self)
    }

    /// The directories, for a registration.
    pub(crate) fn registered_directories(&self) -> Result<Vec<RegisteredDirectory>, StoreError> {
        self.directories.iter().map(RegisteredDirectory::of).collect()
    }

    /// Grants every directory for reading only.
    pub fn make_read_only(&mut self) {
        self.directories = self.directories.iter().map(Grant::read_only).collect();
    }

    /// Keeps a file, which decides what the plugin is or gets, out of its reach: a directory that
    /// holds it cannot be granted for changing. `what` names it, as in "the job file".
    pub fn protect(&mut self, what: &'static str, file: &Path) {
        self.protected.push((what, file.to_owned()));
    }

    /// The other way, without the directories: with absolute paths, and items as parts of names.
    pub(crate) fn to_file(&self) -> Result<GrantsFile, StoreError> {
        let path = |path: &Path| match path.to_str() {
            Some(path) => Ok(path.to_owned()),
            None => Err(StoreError::Text {
                what: format!("the path {} is not Unicode, and cannot be kept", path.display()),
            }),
        };
        let text = |(name, value): &(String, String)| (name.clone(), Setting::Text(value.clone()));
        let absolute = |secret: &Secret| match secret {
            Secret::Env(variable) => Ok(Secret::Env(variable.clone())),
            Secret::File(file) => {
                let file = std::path::absolute(file).map_err(StoreError::file(file))?;
                path(&file).map(|file| Secret::File(file.into()))
            }
        };
        Ok(GrantsFile {
            plugin: None,
            allow: self.allow.iter().map(|allowed| allowed.name().to_owned()).collect(),
            settings: self.settings.iter().map(text).collect(),
            secrets: self
                .secrets
                .iter()
                .map(|(name, secret)| Ok((name.clone(), absolute(secret)?)))
                .collect::<Result<_, StoreError>>()?,
            limits: self.limits.iter().map(text).collect(),
            dirs: BTreeMap::new(),
            items: BTreeMap::new(),
        })
    }

    /// Changes a limit.
    ///
    /// # Errors
    /// [`StoreError::Text`] where there is no such limit, or it cannot have this value.
    pub fn set_limit(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        AllLimits::default().set(name, value)?;
        self.limits.retain(|(known, _)| known != name);
        self.limits.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// The limits.
    pub fn limits(&self) -> AllLimits {
        let mut limits = AllLimits::default();
        for (name, value) in &self.limits {
            // They were checked when they were set.
            let _ = limits.set(name, value);
        }
        limits
    }

    /// Whether nothing is given, and every limit is the default.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
            && self.settings.is_empty()
            && self.secrets.is_empty()
            && self.allow.is_empty()
            && self.limits.is_empty()
    }

    pub(crate) fn session_options(&self, storage: &Path) -> Result<SessionOptions, StoreError> {
        let mut options = self.without_secrets().storage(storage);
        for (name, secret) in &self.secrets {
            options = options.secret(name, secret.read(name)?);
        }
        Ok(options)
    }

    /// Whether the plugin asks for all of it. What it does not ask for is misspelt most likely.
    pub(crate) fn check(&self, plugin: &Plugin) -> Result<(), StoreError> {
        let mut options = self.without_secrets();
        for (name, _) in &self.secrets {
            options = options.secret(name, "");
        }
        let unrequested = plugin.excess_grants(&options);
        match unrequested.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Unrequested {
                plugin: plugin.name().to_owned(),
                options: unrequested.iter().map(ToString::to_string).collect(),
            }),
        }
    }

    /// Whether each directory is the one that was registered, and holds nothing that is trusted.
    pub(crate) fn check_directories(
        &self,
        requests: &Requests,
        state_dirs: &[&Path],
    ) -> Result<(), StoreError> {
        self.registered.iter().try_for_each(RegisteredDirectory::check)?;
        if self.directories.is_empty() {
            return Ok(());
        }
        let guard = Guard::new(&self.directories, requests);
        state_dirs.iter().try_for_each(|state| guard.check_state(state))?;
        for (what, file) in &self.protected {
            guard.check_file(what, file)?;
        }
        for (_, secret) in &self.secrets {
            if let Secret::File(file) = secret {
                guard.check_file("the secret file", file)?;
            }
        }
        Ok(())
    }

    fn without_secrets(&self) -> SessionOptions {
        let mut options = SessionOptions::new().limits(self.limits().session);
        for grant in &self.directories {
            options = options.grant(grant.clone());
        }
        for (name, value) in &self.settings {
            options = options.setting(name, value);
        }
        for &capability in &self.allow {
            options = options.allow(capability);
        }
        options
    }
}

/// Reads a granted directory: a path, with `:ro` behind it for reading only.
///
/// # Errors
/// [`StoreError::Text`] without a path, and [`StoreError::Grant`].
pub fn grant(name: &str, path: &str, base: &Path) -> Result<Grant, StoreError> {
    let (path, access) = match path.strip_suffix(":ro") {
        Some(path) => (path, Access::ReadOnly),
        None => (path, Access::ReadWrite),
    };
    if path.is_empty() {
        return Err(StoreError::Text { what: format!("the directory `{name}` has no path") });
    }
    Ok(Grant::new(name, &from_home(Path::new(path), base)?, access)?)
}

/// A path with `~` for the home folder, or below `base` if it is relative.
fn from_home(path: &Path, base: &Path) -> Result<PathBuf, StoreError> {
    let Ok(rest) = path.strip_prefix("~") else { return Ok(base.join(path)) };
    match etcetera::home_dir().ok().filter(|home| home.is_absolute()) {
        Some(home) => Ok(home.join(rest)),
        None => Err(StoreError::Text {
            what: format!("{} needs a home directory; set HOME", path.display()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"
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

    fn names(settings: &[(String, String)]) -> Vec<(&str, &str)> {
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn directories(granted: &Granted) -> Vec<(&str, &Path, Access)> {
        granted.directories.iter().map(|g| (g.name(), g.path(), g.access())).collect()
    }

    #[test]
    fn a_job_file_becomes_grants_and_settings() {
        let granted = Granted::parse(JOB, Path::new("/jobs")).unwrap();
        assert_eq!(grants_file_plugin(JOB).unwrap().as_deref(), Some("folder"));
        assert_eq!(granted.allow, [Capability::WallClock]);
        let two = Secret::File("/jobs/two.txt".into());
        assert_eq!(
            granted.secrets,
            [("one".to_owned(), Secret::Env("ONE".to_owned())), ("two".to_owned(), two)]
        );
        let limits = granted.limits();
        assert_eq!((limits.session.memory_bytes, limits.session.items), (64 << 20, 7));
        assert_eq!(limits.load.component_bytes, 1 << 20);
        assert_eq!(
            directories(&granted),
            [
                ("docs.left", Path::new("/jobs/a"), Access::ReadWrite),
                ("docs.right", Path::new("/nowhere/b"), Access::ReadOnly),
            ]
        );
        assert_eq!(
            names(&granted.settings),
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
    fn what_is_kept_says_the_same_anywhere() {
        let granted = Granted::parse(JOB, Path::new("/jobs")).unwrap();
        let kept = toml::to_string(&granted.to_file().unwrap()).unwrap();
        let again = Granted::parse(&kept, Path::new("/elsewhere")).unwrap();
        let again = again.with_directories(granted.registered_directories().unwrap()).unwrap();
        assert_eq!(directories(&again), directories(&granted));
        assert_eq!(again.secrets, granted.secrets);
        assert_eq!(again.allow, granted.allow);
        let sorted = |granted: &Granted| {
            let mut settings = granted.settings.clone();
            settings.sort();
            settings
        };
        assert_eq!(sorted(&again), sorted(&granted));
        assert_eq!(again.limits().session, granted.limits().session);
        assert_eq!(again.limits().load, granted.limits().load);
    }

    #[test]
    fn a_wrong_file_says_what_is_wrong() {
        for (job, words) in [
            ("plugin = 1", "plugin"),
            ("item = 1", "unknown field `item`"),
            ("[dirs]\n\"a b\" = \"/x\"", "cannot be the name"),
            ("[dirs]\na = \":ro\"", "has no path"),
            ("allow = [\"all\"]", "cannot be allowed"),
            ("[limits]\nspeed = 1", "there is no limit"),
            ("[limits]\ngrace = 1", "a time such as"),
            ("[secrets]\nx = \"plain\"", "expected `env` or `file`"),
            ("plugin = ", "TOML"),
            ("[items.\"my.docs\"]\nname = \"Docs\"", "the item key `my.docs` can have"),
            ("[items.\"\"]\nname = \"Docs\"", "the item key `` can have"),
            ("[settings]\n\"a.b\" = 1\n[items.a]\nsettings = { b = 2 }", "`a.b` is given twice"),
            ("[dirs]\na = \"C:\\Users\\me\"", "write a path in single quotes"),
            ("[dirs]\na = \"C:\\docs\"\n[items]\n", "write a path in single quotes"),
        ] {
            let error = Granted::parse(job, Path::new("")).err().unwrap().to_string();
            assert!(error.contains(words), "{job:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_no_text_says_what_it_is() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("job.toml");
        let utf16 = |text: &str, big: bool| -> Vec<u8> {
            let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            text.encode_utf16().flat_map(bytes).collect()
        };
        for (bytes, words) in [
            (utf16("\u{feff}plugin = \"folder\"", false), "UTF-16"),
            (utf16("\u{feff}plugin = \"folder\"", true), "UTF-16"),
            (utf16("plugin = \"folder\"", false), "UTF-16"),
            (b"plugin = \"caf\xe9\"".to_vec(), "not UTF-8"),
            (vec![b' '; 2 << 20], "larger than 1 MiB"),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let error = read_grants_file(&file).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
        std::fs::write(&file, "\u{feff}plugin = 1").unwrap();
        assert_eq!(read_grants_file(&file).unwrap(), "plugin = 1");
    }
}

//! Job files.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncmgr_host::{Access, Grant};

use crate::error::InstallError;
use crate::grants::{Grants, Secret, Server, ServerAuth, split_access};
use crate::text_file;

/// A job file, or the grants of a registration:
///
/// ```toml
/// plugin = "folder"
/// allow = ["wall-clock"]
/// [settings]
/// durable = true
/// [secrets]
/// token = { env = "TOKEN" }
/// [http]
/// remote = "https://dav.example.org/files/me/"
/// api = true
/// [http-auth.remote]
/// kind = "basic"
/// secret = { keyring = "dav" }
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
pub struct JobFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    settings: BTreeMap<String, Setting>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<String, Secret>,
    #[serde(rename = "http-ca", skip_serializing_if = "Option::is_none")]
    http_ca: Option<PathBuf>,
    #[serde(rename = "http-proxy", skip_serializing_if = "Option::is_none")]
    http_proxy: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    http: BTreeMap<String, ServerText>,
    #[serde(rename = "http-auth", default, skip_serializing_if = "BTreeMap::is_empty")]
    http_auth: BTreeMap<String, AuthText>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<String, Setting>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    dirs: BTreeMap<String, String>,
    #[serde(default, skip_serializing)]
    items: BTreeMap<String, Item>,
}

/// A server: its URL, or whether to grant the one that the plugin requests.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum ServerText {
    Requested(bool),
    Url(String),
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AuthText {
    kind: String,
    secret: Secret,
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

impl JobFile {
    /// Reads the text of a job file, without a byte order mark.
    ///
    /// # Errors
    /// Returns the errors of the system, and [`InvalidData`](std::io::ErrorKind::InvalidData) for a
    /// file that is too large or not UTF-8.
    pub fn read(path: &Path) -> std::io::Result<String> {
        let text = text_file::read(path)?;
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }

    /// Parses the text of a job file.
    ///
    /// # Errors
    /// [`InstallError::Text`].
    pub fn parse(text: &str) -> Result<Self, InstallError> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let line =
                |at: usize| text.get(..at)?.rsplit('\n').next().map(str::len).map(|n| at - n);
            let start = error.span().and_then(|span| line(span.start)).unwrap_or(text.len());
            let line = text[start..].lines().next().unwrap_or_default();
            let mut what = error.to_string();
            if line.contains('\\') {
                what = format!(
                    "{}\n`\\` starts an escape sequence in \"...\"; write a path in single quotes, \
                     such as 'C:\\Users\\me'",
                    what.trim_end()
                );
            }
            InstallError::Text { what }
        })
    }

    /// Returns the plugin that the job is for, if the file names one.
    pub fn plugin(&self) -> Option<&str> {
        self.plugin.as_deref()
    }

    /// Returns the grants of a job file in the folder `base`: relative paths start there, and `~`
    /// is the user's home directory.
    ///
    /// # Errors
    /// [`InstallError::Text`] and [`InstallError::Grant`].
    pub fn grants(self, base: &Path) -> Result<Grants, InstallError> {
        let mut grants = Grants::default();
        for (name, value) in self.limits {
            grants.set_limit(&name, &value.into_text())?;
        }
        for name in self.allow {
            grants.allow.push(name.parse()?);
        }
        let resolve = |secret| match secret {
            Secret::Env(variable) => Ok(Secret::Env(variable)),
            Secret::File(path) => from_home(&path, base).map(Secret::File),
            Secret::Keyring(name) => Ok(Secret::Keyring(name)),
        };
        for (name, secret) in self.secrets {
            grants.secrets.push((name, resolve(secret)?));
        }
        for (name, server) in self.http {
            match server {
                ServerText::Url(url) => grants.http.push(Server::parse(&name, &url)?),
                ServerText::Requested(true) => grants.http.push(Server::requested(&name)),
                ServerText::Requested(false) => {}
            }
        }
        for (server, AuthText { kind, secret }) in self.http_auth {
            grants.http_auth.push(ServerAuth { server, kind, secret: resolve(secret)? });
        }
        grants.http_proxy = self.http_proxy;
        grants.http_ca = self.http_ca.map(|file| from_home(&file, base)).transpose()?;
        for (name, path) in &self.dirs {
            grants.directories.push(parse_directory(name, path, base)?);
        }
        grants.settings.extend(self.settings.into_iter().map(|(n, v)| (n, v.into_text())));
        for (key, item) in self.items {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            if key.is_empty() || !key.bytes().all(plain) {
                let what = format!(
                    "invalid item key `{key}`: a key consists of letters, digits, `_` and `-`; \
                     change it, and set the item's `name` to what users see"
                );
                return Err(InstallError::Text { what });
            }
            for (name, path) in &item.dirs {
                grants.directories.push(parse_directory(&format!("{key}.{name}"), path, base)?);
            }
            let name = item.name.map(|name| (format!("{key}.name"), name));
            grants.settings.extend(name);
            for (name, value) in item.settings {
                grants.settings.push((format!("{key}.{name}"), value.into_text()));
            }
        }
        let mut names = HashSet::new();
        for (name, _) in &grants.settings {
            if !names.insert(name) {
                let what = format!("setting `{name}` is given twice; remove one of them");
                return Err(InstallError::Text { what });
            }
        }
        Ok(grants)
    }

    /// Converts grants, except directories: with absolute paths, and items as parts of names.
    pub(crate) fn of(grants: &Grants) -> Result<Self, InstallError> {
        let path = |path: &Path| match path.to_str() {
            Some(path) => Ok(path.to_owned()),
            None => Err(InstallError::Text {
                what: format!("path {} is not Unicode and cannot be registered", path.display()),
            }),
        };
        let text = |(name, value): &(String, String)| (name.clone(), Setting::Text(value.clone()));
        let absolute = |secret: &Secret| match secret {
            Secret::Env(_) | Secret::Keyring(_) => Ok(secret.clone()),
            Secret::File(file) => {
                let file = std::path::absolute(file).map_err(InstallError::file(file))?;
                path(&file).map(|file| Secret::File(file.into()))
            }
        };
        Ok(Self {
            plugin: None,
            allow: grants.allow.iter().map(|allowed| allowed.name().to_owned()).collect(),
            settings: grants.settings.iter().map(text).collect(),
            secrets: grants
                .secrets
                .iter()
                .map(|(name, secret)| Ok((name.clone(), absolute(secret)?)))
                .collect::<Result<_, InstallError>>()?,
            http_ca: match &grants.http_ca {
                Some(file) => {
                    let file = std::path::absolute(file).map_err(InstallError::file(file))?;
                    Some(path(&file)?.into())
                }
                None => None,
            },
            http_proxy: grants.http_proxy.clone(),
            http: grants.http.iter().map(server_text).collect(),
            http_auth: grants
                .http_auth
                .iter()
                .map(|auth| {
                    let secret = absolute(&auth.secret)?;
                    Ok((auth.server.clone(), AuthText { kind: auth.kind.clone(), secret }))
                })
                .collect::<Result<_, InstallError>>()?,
            limits: grants.limits.iter().map(text).collect(),
            dirs: BTreeMap::new(),
            items: BTreeMap::new(),
        })
    }
}

fn server_text(server: &Server) -> (String, ServerText) {
    let suffix = match server.access {
        Access::ReadOnly => ":ro",
        Access::ReadWrite => "",
    };
    match &server.url {
        Some(url) => (server.name.clone(), ServerText::Url(format!("{url}{suffix}"))),
        None => (format!("{}{suffix}", server.name), ServerText::Requested(true)),
    }
}

/// Parses a directory to grant: a path, with the suffix `:ro` for read-only access.
///
/// # Errors
/// [`InstallError::Text`] for an empty path, and [`InstallError::Grant`].
pub fn parse_directory(name: &str, path: &str, base: &Path) -> Result<Grant, InstallError> {
    let (path, access) = split_access(path);
    if path.is_empty() {
        return Err(InstallError::Text { what: format!("directory `{name}` has no path") });
    }
    Ok(Grant::new(name, from_home(Path::new(path), base)?, access)?)
}

/// Resolves `~` to the home directory, and a relative path against `base`.
fn from_home(path: &Path, base: &Path) -> Result<PathBuf, InstallError> {
    let Ok(rest) = path.strip_prefix("~") else { return Ok(base.join(path)) };
    match etcetera::home_dir().ok().filter(|home| home.is_absolute()) {
        Some(home) => Ok(home.join(rest)),
        None => Err(InstallError::Text {
            what: format!("path {} needs a home directory; set HOME", path.display()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use syncmgr_host::Capability;

    use super::*;

    const JOB: &str = r#"
        plugin = "folder"
        allow = ["wall-clock"]
        [settings]
        durable = false
        [secrets]
        one = { env = "ONE" }
        two = { file = "two.txt" }
        zoo = { keyring = "dav" }
        [limits]
        memory-bytes = "64MiB"
        items = 7
        component-bytes = "1MiB"
        [items.docs]
        name = "Documents"
        dirs = { left = "a", right = "/nowhere/b:ro" }
        settings = { mode = "mirror", ignore = ["*.o", "*.tmp"], max-delete = 7 }
    "#;

    fn parse(text: &str, base: &str) -> Result<Grants, InstallError> {
        JobFile::parse(text)?.grants(Path::new(base))
    }

    fn names(settings: &[(String, String)]) -> Vec<(&str, &str)> {
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn directories(grants: &Grants) -> Vec<(&str, &Path, Access)> {
        grants.directories.iter().map(|g| (g.name(), g.path(), g.access())).collect()
    }

    #[test]
    fn a_job_file_becomes_grants_and_settings() {
        let grants = parse(JOB, "/jobs").unwrap();
        assert_eq!(JobFile::parse(JOB).unwrap().plugin(), Some("folder"));
        assert_eq!(grants.allow, [Capability::WallClock]);
        let two = Secret::File("/jobs/two.txt".into());
        let zoo = Secret::Keyring("dav".parse().unwrap());
        let secrets = [("one", Secret::Env("ONE".to_owned())), ("two", two), ("zoo", zoo)];
        assert_eq!(grants.secrets, secrets.map(|(name, secret)| (name.to_owned(), secret)));
        let limits = grants.limits();
        assert_eq!((limits.session.memory_bytes, limits.session.items), (64 << 20, 7));
        assert_eq!(limits.load.component_bytes, 1 << 20);
        assert_eq!(
            directories(&grants),
            [
                ("docs.left", Path::new("/jobs/a"), Access::ReadWrite),
                ("docs.right", Path::new("/nowhere/b"), Access::ReadOnly),
            ]
        );
        assert_eq!(
            names(&grants.settings),
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
    fn registered_grants_do_not_depend_on_the_folder() {
        let grants = parse(JOB, "/jobs").unwrap();
        let kept = toml::to_string(&JobFile::of(&grants).unwrap()).unwrap();
        let again = parse(&kept, "/elsewhere").unwrap();
        let again = again.with_directories(grants.registered_directories().unwrap()).unwrap();
        assert_eq!(directories(&again), directories(&grants));
        assert_eq!(again.secrets, grants.secrets);
        assert_eq!(again.allow, grants.allow);
        let sorted = |grants: &Grants| {
            let mut settings = grants.settings.clone();
            settings.sort();
            settings
        };
        assert_eq!(sorted(&again), sorted(&grants));
        assert_eq!(again.limits().session, grants.limits().session);
        assert_eq!(again.limits().load, grants.limits().load);
    }

    #[test]
    fn an_invalid_job_file_is_an_error_with_the_reason() {
        for (job, words) in [
            ("plugin = 1", "plugin"),
            ("item = 1", "unknown field `item`"),
            ("[dirs]\n\"a b\" = \"/x\"", "`a b`"),
            ("[dirs]\na = \":ro\"", "has no path"),
            ("allow = [\"all\"]", "`all`"),
            ("[limits]\nspeed = 1", "`speed`"),
            ("[limits]\ngrace = 1", "grace"),
            ("[secrets]\nx = \"plain\"", "expected one of `env`, `file`, `keyring`"),
            ("[secrets]\nx = { keyring = \"a\\nb\" }", "1 to 128 bytes"),
            ("plugin = ", "TOML"),
            ("[items.\"my.docs\"]\nname = \"Docs\"", "invalid item key `my.docs`"),
            ("[items.\"\"]\nname = \"Docs\"", "invalid item key ``"),
            ("[settings]\n\"a.b\" = 1\n[items.a]\nsettings = { b = 2 }", "`a.b` is given twice"),
            ("[dirs]\na = \"C:\\Users\\me\"", "write a path in single quotes"),
            ("[dirs]\na = \"C:\\docs\"\n[items]\n", "write a path in single quotes"),
        ] {
            let error = parse(job, "").err().unwrap().to_string();
            assert!(error.contains(words), "{job:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_not_text_is_an_error_with_the_reason() {
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
            let error = JobFile::read(&file).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
        }
        std::fs::write(&file, "\u{feff}plugin = 1").unwrap();
        assert_eq!(JobFile::read(&file).unwrap(), "plugin = 1");
    }
}

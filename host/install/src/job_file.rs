//! Job files.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncmgr_host::{Access, Grant};

use crate::error::InstallError;
use crate::grants::{Grants, Secret, Server, ServerAuth, split_access};
use crate::hooks::Hooks;
use crate::paths::from_home;
use crate::text_file;

/// A job file, or the grants of a registration:
///
/// ```toml
/// plugin = "folder"
/// allow = ["wall-clock"]
/// schedule = "*/15 * * * *"
/// [hooks]
/// on-failure = ["notify-send", "sync failed"]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    hooks: Hooks,
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

    /// Returns the schedule of the job, if the file has one.
    pub fn schedule(&self) -> Option<&str> {
        self.schedule.as_deref()
    }

    /// Returns the grants of a job file in the folder `base`: relative paths start there, and `~`
    /// is the user's home directory.
    ///
    /// # Errors
    /// [`InstallError::Text`] and [`InstallError::Grant`].
    pub fn grants(self, base: &Path) -> Result<Grants, InstallError> {
        let mut grants = Grants::default();
        grants.schedule = self.schedule;
        grants.hooks = self.hooks.resolved(base)?;
        // The plugin could replace a program that runs outside of its sandbox.
        for program in grants.hooks.clone().paths() {
            grants.protect("the program of a hook", program);
        }
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
            schedule: grants.schedule.clone(),
            hooks: grants.hooks.clone().absolute()?,
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

#[cfg(test)]
mod tests;

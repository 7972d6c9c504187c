//! The grants, settings and limits of a plugin, with the hooks and the schedule of its runs.

#[cfg(feature = "registry")]
mod merge;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncmgr_host::http::{HttpAuth, HttpGrant};
use syncmgr_host::{
    Access, Capability, ExcessGrant, Grant, HostOptions, Limits, LoadLimits, Plugin, Requests,
    SessionOptions,
};

use crate::error::InstallError;
use crate::hooks::Hooks;
use crate::keyring::{SecretName, read_secret};
use crate::protected::Guard;
use crate::registered_directory::RegisteredDirectory;
use crate::text_file;

/// The grants, settings and limits of a plugin, with the hooks and the schedule of its runs.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// The directories.
    pub directories: Vec<Grant>,
    /// The settings, by name.
    pub settings: Vec<(String, String)>,
    /// The secrets, by name.
    pub secrets: Vec<(String, Secret)>,
    /// The servers.
    pub http: Vec<Server>,
    /// The credentials for servers, which the host adds to requests.
    pub http_auth: Vec<ServerAuth>,
    /// A file of certificates in PEM to trust for servers, in addition to those of the system.
    pub http_ca: Option<PathBuf>,
    /// The URL of the proxy for servers, `http://[USER:PASSWORD@]HOST[:PORT]`.
    pub http_proxy: Option<String>,
    /// The capabilities.
    pub allow: Vec<Capability>,
    /// The commands that a run starts at its end.
    pub hooks: Hooks,
    /// The default schedule, as for `cron`.
    pub schedule: Option<String>,
    /// The limits that differ from the defaults, by name.
    pub(crate) limits: Vec<(String, String)>,
    /// The directories as they were when the plugin was registered.
    registered: Vec<RegisteredDirectory>,
    /// Files that the plugin must not change, each with a term for messages.
    protected: Vec<(&'static str, PathBuf)>,
}

/// The limits on loading and running a plugin.
#[derive(Clone, Debug, Default)]
pub struct AllLimits {
    /// The limits on loading.
    pub load: LoadLimits,
    /// The limits on sessions.
    pub session: Limits,
}

impl AllLimits {
    fn set(&mut self, name: &str, value: &str) -> Result<(), InstallError> {
        let set = match LoadLimits::NAMES.contains(&name) {
            true => self.load.set(name, value),
            false => self.session.set(name, value),
        };
        set.map_err(|error| InstallError::Text { what: error.to_string() })
    }
}

/// A server to grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The name.
    pub name: String,
    /// The URL; `None` for the one that the plugin requests.
    pub url: Option<String>,
    /// The access.
    pub access: Access,
}

impl Server {
    /// Parses a server: a URL, with the suffix `:ro` for read-only access.
    ///
    /// # Errors
    /// [`InstallError::Server`] for an invalid name or URL.
    pub fn parse(name: &str, url: &str) -> Result<Self, InstallError> {
        let (url, access) = split_access(url);
        HttpGrant::new(name, url, access)?;
        Ok(Self { name: name.to_owned(), url: Some(url.to_owned()), access })
    }

    /// Parses the name of a server whose URL the plugin requests, with the suffix `:ro` for
    /// read-only access.
    pub fn requested(name: &str) -> Self {
        let (name, access) = split_access(name);
        Self { name: name.to_owned(), url: None, access }
    }

    /// Returns the grant for a plugin.
    ///
    /// # Errors
    /// [`InstallError::ExcessGrants`] if the plugin does not request it, [`InstallError::Text`] if
    /// it requests no URL and none is given, and [`InstallError::Server`] for an invalid URL.
    pub fn grant(&self, plugin: &Plugin) -> Result<HttpGrant, InstallError> {
        let Some(request) = plugin.description().requests.server(&self.name) else {
            return Err(InstallError::ExcessGrants {
                plugin: plugin.name().to_owned(),
                grants: vec![ExcessGrant::Server(self.name.clone())],
            });
        };
        let url = self.url.as_ref().or(request.url.as_ref());
        let url = url.ok_or_else(|| InstallError::Text {
            what: format!("the plugin requests no URL for the server `{}`; grant one", self.name),
        })?;
        Ok(HttpGrant::new(&self.name, url, self.access)?)
    }
}

/// Removes the suffix `:ro`, which stands for read-only access.
pub(crate) fn split_access(text: &str) -> (&str, Access) {
    match text.strip_suffix(":ro") {
        Some(rest) => (rest, Access::ReadOnly),
        None => (text, Access::ReadWrite),
    }
}

/// The credentials for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAuth {
    /// The name of the server.
    pub server: String,
    /// The kind, as for [`HttpAuth::new`], or [`ServerAuth::LOGIN`].
    pub kind: String,
    /// The location of the secret.
    pub secret: Secret,
}

impl ServerAuth {
    /// The kind whose secret is a file that the host rewrites.
    pub const LOGIN: &str = "oauth2";

    fn read(&self) -> Result<HttpAuth, InstallError> {
        let invalid = |what: String| InstallError::Text {
            what: format!("credentials for the server `{}`: {what}", self.server),
        };
        let auth = match (&*self.kind, &self.secret) {
            (Self::LOGIN, Secret::File(path)) => HttpAuth::oauth2(path),
            (Self::LOGIN, Secret::Env(_)) => {
                return Err(invalid("`oauth2` needs a file, which the host rewrites".to_owned()));
            }
            (kind, secret) => HttpAuth::new(kind, &secret.read(&self.server)?),
        };
        auth.map_err(|error| invalid(error.to_string()))
    }
}

/// The location of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file, without the newline at its end.
    File(PathBuf),
    /// A secret in the keyring.
    Keyring(SecretName),
}

impl Secret {
    fn read(&self, name: &str) -> Result<String, InstallError> {
        let fail = |what: String| InstallError::Text {
            what: format!("cannot read secret `{name}`: {what}"),
        };
        match self {
            Self::Env(variable) => std::env::var(variable)
                .map_err(|error| fail(format!("variable {variable}: {error}"))),
            Self::File(path) => {
                let text = text_file::read(path)
                    .map_err(|error| fail(format!("{}: {error}", path.display())))?;
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
            }
            Self::Keyring(name) => Ok(read_secret(name)?),
        }
    }
}

impl Grants {
    /// Adds the directories that a registration contains.
    pub(crate) fn with_directories(
        mut self,
        registered: Vec<RegisteredDirectory>,
    ) -> Result<Self, InstallError> {
        for directory in &registered {
            self.directories.push(directory.grant()?);
        }
        self.registered = registered;
        Ok(self)
    }

    /// Returns the directories in the form that a registration contains.
    pub(crate) fn registered_directories(&self) -> Result<Vec<RegisteredDirectory>, InstallError> {
        self.directories.iter().map(RegisteredDirectory::of).collect()
    }

    /// Makes every grant of a directory or a server read-only.
    pub fn make_read_only(&mut self) {
        self.directories = self.directories.iter().map(Grant::read_only).collect();
        for server in &mut self.http {
            server.access = Access::ReadOnly;
        }
    }

    /// Protects a file that determines the plugin or its grants: a directory that contains the file
    /// cannot be granted read-write. `what` is the term for messages, such as "the job file".
    pub fn protect(&mut self, what: &'static str, file: &Path) {
        self.protected.push((what, file.to_owned()));
    }

    /// Sets a limit.
    ///
    /// # Errors
    /// [`InstallError::Text`] for an unknown limit or an invalid value.
    pub fn set_limit(&mut self, name: &str, value: &str) -> Result<(), InstallError> {
        AllLimits::default().set(name, value)?;
        self.limits.retain(|(known, _)| known != name);
        self.limits.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Returns the limits.
    pub fn limits(&self) -> AllLimits {
        let mut limits = AllLimits::default();
        for (name, value) in &self.limits {
            // `set_limit` has checked them.
            let _ = limits.set(name, value);
        }
        limits
    }

    /// Adds the options of the host that runs the plugin.
    ///
    /// # Errors
    /// [`InstallError::Text`] if the certificate file cannot be read or is invalid, or the proxy is
    /// invalid.
    pub fn host_options(&self, mut options: HostOptions) -> Result<HostOptions, InstallError> {
        let invalid = |error| InstallError::Text { what: syncmgr_host::full_message(&error) };
        if let Some(proxy) = &self.http_proxy {
            options = options.http_proxy(proxy).map_err(invalid)?;
        }
        let Some(file) = &self.http_ca else { return Ok(options) };
        let name = file.display().to_string();
        let pem = text_file::read(file).map_err(|error| InstallError::Text {
            what: format!("cannot read the certificate file {name}: {error}"),
        })?;
        let trusted = options.http_ca(&name, pem.as_bytes());
        trusted.map_err(invalid)
    }

    /// Returns the environment variables that contain secrets.
    pub fn secret_variables(&self) -> impl Iterator<Item = &str> {
        let secrets = self.secrets.iter().map(|(_, secret)| secret);
        let secrets = secrets.chain(self.http_auth.iter().map(|auth| &auth.secret));
        secrets.filter_map(|secret| match secret {
            Secret::Env(variable) => Some(variable.as_str()),
            Secret::File(_) | Secret::Keyring(_) => None,
        })
    }

    /// Returns whether there are no grants and no settings, and every limit has its default.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
            && self.settings.is_empty()
            && self.secrets.is_empty()
            && self.http.is_empty()
            && self.http_auth.is_empty()
            && self.http_ca.is_none()
            && self.http_proxy.is_none()
            && self.allow.is_empty()
            && self.limits.is_empty()
    }

    pub(crate) fn session_options(
        &self,
        plugin: &Plugin,
        storage: &Path,
    ) -> Result<SessionOptions, InstallError> {
        let mut options = self.without_secrets(plugin)?.storage(storage);
        for auth in &self.http_auth {
            options = options.http_auth(&auth.server, auth.read()?);
        }
        for (name, secret) in &self.secrets {
            options = options.secret(name, secret.read(name)?);
        }
        Ok(options)
    }

    /// Checks that the plugin requests all of the grants, and that its settings can have their values.
    /// An excess grant is most likely misspelt.
    pub(crate) fn check(&self, plugin: &Plugin) -> Result<(), InstallError> {
        let mut options = self.without_secrets(plugin)?;
        for (name, _) in &self.secrets {
            options = options.secret(name, "");
        }
        plugin.check_settings(&options)?;
        let grants = plugin.excess_grants(&options);
        match grants.is_empty() {
            true => Ok(()),
            false => Err(InstallError::ExcessGrants { plugin: plugin.name().to_owned(), grants }),
        }
    }

    /// Checks that each directory is the registered one and contains no protected file.
    pub(crate) fn check_directories(
        &self,
        requests: &Requests,
        state_dirs: &[&Path],
    ) -> Result<(), InstallError> {
        self.registered.iter().try_for_each(RegisteredDirectory::check)?;
        if self.directories.is_empty() {
            return Ok(());
        }
        let guard = Guard::new(&self.directories, requests);
        state_dirs.iter().try_for_each(|state| guard.check_state(state))?;
        for (what, file) in &self.protected {
            guard.check_file(what, file)?;
        }
        let secrets = self.secrets.iter().map(|(_, secret)| secret);
        for secret in secrets.chain(self.http_auth.iter().map(|auth| &auth.secret)) {
            if let Secret::File(file) = secret {
                guard.check_file("the secret file", file)?;
            }
        }
        if let Some(file) = &self.http_ca {
            guard.check_file("the certificate file", file)?;
        }
        Ok(())
    }

    fn without_secrets(&self, plugin: &Plugin) -> Result<SessionOptions, InstallError> {
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
        for server in &self.http {
            options = options.http(server.grant(plugin)?);
        }
        Ok(options)
    }
}

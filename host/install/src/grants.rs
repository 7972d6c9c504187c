//! The grants, settings and limits of a plugin.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncmgr_host::{Capability, Grant, Limits, LoadLimits, Plugin, Requests, SessionOptions};

use crate::error::InstallError;
use crate::protected::Guard;
use crate::registered_directory::RegisteredDirectory;
use crate::text_file;

/// The grants, settings and limits of a plugin.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// The directories.
    pub directories: Vec<Grant>,
    /// The settings, by name.
    pub settings: Vec<(String, String)>,
    /// The secrets, by name.
    pub secrets: Vec<(String, Secret)>,
    /// The capabilities.
    pub allow: Vec<Capability>,
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

/// The location of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file, without the newline at its end.
    File(PathBuf),
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

    /// Makes every grant of a directory read-only.
    pub fn make_read_only(&mut self) {
        self.directories = self.directories.iter().map(Grant::read_only).collect();
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

    /// Returns whether there are no grants and no settings, and every limit has its default.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
            && self.settings.is_empty()
            && self.secrets.is_empty()
            && self.allow.is_empty()
            && self.limits.is_empty()
    }

    pub(crate) fn session_options(&self, storage: &Path) -> Result<SessionOptions, InstallError> {
        let mut options = self.without_secrets().storage(storage);
        for (name, secret) in &self.secrets {
            options = options.secret(name, secret.read(name)?);
        }
        Ok(options)
    }

    /// Checks that the plugin requests all of the grants. An excess grant is most likely misspelt.
    pub(crate) fn check(&self, plugin: &Plugin) -> Result<(), InstallError> {
        let mut options = self.without_secrets();
        for (name, _) in &self.secrets {
            options = options.secret(name, "");
        }
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

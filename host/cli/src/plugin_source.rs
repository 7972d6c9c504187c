//! From what a user calls a plugin to the plugin.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use syncmgr_host::{Host, HostError, HostOptions, LoadError, LoadLimits, Plugin, read_component};
use syncmgr_install::{CodeCache, Registration, Registrations, StoreError, default_state_dir};

use crate::compiler::in_own_process;
use crate::exit::UsageError;
use crate::project::{AuthoringError, Project};

const NO_PLUGIN: &str = "no plugin: name a file, a registered plugin or a built-in one, or run the \
                         command in the folder of a project";
const FOLDER_NAME: &str = "folder";
const FOLDER: &[u8] = include_bytes!(env!("PLUGIN_FOLDER"));

/// A plugin as the user named it.
#[derive(Debug)]
pub(crate) enum PluginSource {
    /// One that is part of this program.
    BuiltIn(&'static str, &'static [u8]),
    /// A file.
    File(PathBuf),
    /// One that is installed.
    Installed(Box<Registration>),
}

impl PluginSource {
    /// Finds out which one is meant: the name of a registered one, a built-in name, or a file.
    pub(crate) fn find(plugin: &str, registrations: &Registrations) -> anyhow::Result<Self> {
        let is_path = plugin.contains(['/', '\\', '.']);
        match registrations.find(plugin) {
            Ok(registration) => return Ok(Self::Installed(Box::new(registration))),
            Err(StoreError::Unknown { .. }) => {}
            Err(other) => return Err(other.into()),
        }
        if let Some(built_in) = Self::built_in(plugin) {
            return Ok(built_in);
        }
        let path = Path::new(plugin);
        if !path.exists() && !is_path {
            return Err(UsageError(format!(
                "there is no plugin `{plugin}`: it is neither a file, nor a built-in one \
                 (`{FOLDER_NAME}`), nor a registered one (`syncmgr list`)"
            ))
            .into());
        }
        Ok(Self::File(path.to_owned()))
    }

    /// [`PluginSource::find`]; without a name, the plugin of the project that this folder is in, built if
    /// something of it changed.
    pub(crate) fn find_or_build(
        plugin: Option<&str>,
        registrations: &Registrations,
    ) -> anyhow::Result<Self> {
        if let Some(plugin) = plugin {
            return Self::find(plugin, registrations);
        }
        match Project::find(Path::new(".")) {
            Ok(project) => Ok(Self::File(project.build()?.component)),
            Err(AuthoringError::NoProject { .. }) => Err(UsageError(NO_PLUGIN.to_owned()).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The built-in one of this name.
    pub(crate) fn built_in(name: &str) -> Option<Self> {
        (name == FOLDER_NAME).then_some(Self::BuiltIn(FOLDER_NAME, FOLDER))
    }

    /// Whether it is one that is part of this program, installed or not: it has what it asks for.
    pub(crate) fn is_built_in(&self) -> bool {
        match self {
            Self::BuiltIn(..) => true,
            Self::Installed(registration) => registration.component == env!("PLUGIN_FOLDER_DIGEST"),
            Self::File(_) => false,
        }
    }

    /// Loads the plugin: compiles it, or takes what it was compiled to before from the cache. What an
    /// installed plugin was compiled to on installation is not used.
    pub(crate) fn load(
        &self,
        host: &Host,
        registrations: &Registrations,
    ) -> Result<Plugin, StoreError> {
        let component = self.bytes(host.limits())?;
        let cache = CodeCache::new(registrations.state_dir());
        match self {
            Self::BuiltIn(name, _) => {
                cache.load_digested(host, name, &component, env!("PLUGIN_FOLDER_DIGEST"))
            }
            Self::File(_) | Self::Installed(_) => cache.load(host, &self.name(), &component),
        }
    }

    /// Reads the component, unless it is larger than this host loads.
    pub(crate) fn bytes(&self, limits: &LoadLimits) -> Result<Cow<'static, [u8]>, LoadError> {
        match self {
            Self::BuiltIn(_, bytes) => Ok(Cow::Borrowed(bytes)),
            Self::File(path) => read_component(path, limits).map(Cow::Owned),
            Self::Installed(registration) => {
                read_component(&registration.component_file(), limits).map(Cow::Owned)
            }
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::BuiltIn(name, _) => (*name).to_owned(),
            Self::Installed(registration) => registration.name.clone(),
            Self::File(path) => {
                path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
            }
        }
    }

    /// A name for the plugin's own storage: one that no other plugin on this machine gets.
    pub(crate) fn storage_name(&self) -> Result<String, LoadError> {
        match self {
            Self::BuiltIn(name, _) => Ok((*name).to_owned()),
            Self::Installed(registration) => Ok(registration.name.clone()),
            Self::File(path) => {
                let place = path
                    .canonicalize()
                    .map_err(|source| LoadError::Read { path: path.clone(), source })?;
                let id = uuid::Uuid::new_v5(
                    &uuid::Uuid::NAMESPACE_URL,
                    place.as_os_str().as_encoded_bytes(),
                );
                let safe = |c: char| if c.is_alphanumeric() { c } else { '-' };
                let name: String = self.name().chars().take(40).map(safe).collect();
                Ok(format!("{name}-{}", id.simple()))
            }
        }
    }
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

/// A host that compiles in a separate process.
pub(crate) fn host(limits: LoadLimits) -> Result<Host, HostError> {
    Host::with_options(in_own_process(HostOptions::new().limits(limits)))
}

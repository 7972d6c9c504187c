//! The source of a plugin: from the argument of a command to the loaded plugin.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use syncmgr_host::{Host, HostError, HostOptions, LoadError, LoadLimits, Plugin, read_component};
use syncmgr_install::{CodeCache, InstallError, Registration, Registrations, default_state_dir};

use crate::compiler::in_own_process;
use crate::exit::UsageError;
use crate::project::{Project, ProjectError};

const NO_PLUGIN: &str = "no plugin given; pass a file or the name of a registered or built-in \
                         plugin, or run the command in the folder of a project";

/// The plugins that are a part of this program.
static BUILT_IN: [BuiltIn; 3] = [
    BuiltIn {
        name: "folder",
        component: include_bytes!(env!("PLUGIN_FOLDER")),
        digest: env!("PLUGIN_FOLDER_DIGEST"),
    },
    BuiltIn {
        name: "s3",
        component: include_bytes!(env!("PLUGIN_S3")),
        digest: env!("PLUGIN_S3_DIGEST"),
    },
    BuiltIn {
        name: "webdav",
        component: include_bytes!(env!("PLUGIN_WEBDAV")),
        digest: env!("PLUGIN_WEBDAV_DIGEST"),
    },
];

/// A plugin that is a part of this program.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    /// The name.
    pub(crate) name: &'static str,
    component: &'static [u8],
    /// The BLAKE3 digest of the component, in hexadecimal digits.
    digest: &'static str,
}

/// The source of a plugin.
#[derive(Debug)]
pub(crate) enum PluginSource {
    /// A part of this program.
    BuiltIn(&'static BuiltIn),
    /// A file.
    File(PathBuf),
    /// An installed plugin.
    Installed(Box<Registration>),
}

impl PluginSource {
    /// Finds a plugin by the name of a registered or built-in one, or as a file.
    pub(crate) fn find(plugin: &str, registrations: &Registrations) -> anyhow::Result<Self> {
        let is_path = plugin.contains(['/', '\\', '.']);
        match registrations.find(plugin) {
            Ok(registration) => return Ok(Self::Installed(Box::new(registration))),
            Err(InstallError::Unknown { .. }) => {}
            Err(other) => return Err(other.into()),
        }
        if let Some(built_in) = Self::built_in(plugin) {
            return Ok(built_in);
        }
        let path = Path::new(plugin);
        if !path.exists() && !is_path {
            let built_in = BUILT_IN.each_ref().map(|one| format!("`{}`", one.name)).join(", ");
            return Err(UsageError(format!(
                "no plugin `{plugin}`: not a file, not a built-in plugin ({built_in}), and not a \
                 registered plugin (see `syncmgr list`)"
            ))
            .into());
        }
        Ok(Self::File(path.to_owned()))
    }

    /// Finds a plugin, or without an argument builds that of the current project.
    pub(crate) fn find_or_build(
        plugin: Option<&str>,
        registrations: &Registrations,
    ) -> anyhow::Result<Self> {
        if let Some(plugin) = plugin {
            return Self::find(plugin, registrations);
        }
        match Project::find(Path::new(".")) {
            Ok(project) => Ok(Self::File(project.build()?.component)),
            Err(ProjectError::NoProject { .. }) => Err(UsageError(NO_PLUGIN.to_owned()).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the built-in plugin of a name.
    pub(crate) fn built_in(name: &str) -> Option<Self> {
        BUILT_IN.iter().find(|one| one.name == name).map(Self::BuiltIn)
    }

    /// Returns all built-in plugins.
    #[cfg(feature = "serve")]
    pub(crate) fn all_built_in() -> impl Iterator<Item = Self> {
        BUILT_IN.iter().map(Self::BuiltIn)
    }

    /// Returns whether this is a built-in plugin, installed or not. Built-in plugins are granted
    /// the capabilities that they request.
    pub(crate) fn is_built_in(&self) -> bool {
        match self {
            Self::BuiltIn(..) => true,
            Self::Installed(registration) => {
                BUILT_IN.iter().any(|one| one.digest == registration.component)
            }
            Self::File(_) => false,
        }
    }

    /// Loads the plugin: compiles it, or takes what it was compiled to before from the cache. What
    /// an installed plugin was compiled to on installation is not used.
    pub(crate) fn load(
        &self,
        host: &Host,
        registrations: &Registrations,
    ) -> Result<Plugin, InstallError> {
        let component = self.bytes(host.load_limits())?;
        let cache = CodeCache::new(registrations.state_dir());
        match self {
            Self::BuiltIn(built_in) => {
                cache.load_digested(host, built_in.name, &component, built_in.digest)
            }
            Self::File(_) | Self::Installed(_) => cache.load(host, &self.name(), &component),
        }
    }

    /// Returns the BLAKE3 digest of the component, in hexadecimal digits.
    pub(crate) fn digest(&self, limits: &LoadLimits) -> Result<Cow<'_, str>, LoadError> {
        match self {
            Self::BuiltIn(built_in) => Ok(Cow::Borrowed(built_in.digest)),
            Self::Installed(registration) => Ok(Cow::Borrowed(&registration.component)),
            Self::File(_) => {
                let component = self.bytes(limits)?;
                Ok(Cow::Owned(blake3::hash(&component).to_hex().to_string()))
            }
        }
    }

    /// Reads the component, unless it is larger than this host loads.
    pub(crate) fn bytes(&self, limits: &LoadLimits) -> Result<Cow<'static, [u8]>, LoadError> {
        match self {
            Self::BuiltIn(built_in) => Ok(Cow::Borrowed(built_in.component)),
            Self::File(path) => read_component(path, limits).map(Cow::Owned),
            Self::Installed(registration) => {
                read_component(registration.component_file(), limits).map(Cow::Owned)
            }
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::BuiltIn(built_in) => built_in.name.to_owned(),
            Self::Installed(registration) => registration.name.clone(),
            Self::File(path) => {
                path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
            }
        }
    }

    /// Returns a name for the plugin's storage, unique on this machine.
    pub(crate) fn storage_name(&self) -> Result<String, LoadError> {
        match self {
            Self::BuiltIn(built_in) => Ok(built_in.name.to_owned()),
            Self::Installed(registration) => Ok(registration.name.clone()),
            Self::File(path) => {
                let canonical = path
                    .canonicalize()
                    .map_err(|source| LoadError::Read { path: path.clone(), source })?;
                let id = uuid::Uuid::new_v5(
                    &uuid::Uuid::NAMESPACE_URL,
                    canonical.as_os_str().as_encoded_bytes(),
                );
                let safe = |c: char| if c.is_alphanumeric() { c } else { '-' };
                let name: String = self.name().chars().take(40).map(safe).collect();
                Ok(format!("{name}-{}", id.simple()))
            }
        }
    }
}

/// Returns the installed plugins of the user.
pub(crate) fn registrations(state_dir: Option<&Path>) -> anyhow::Result<Registrations> {
    let state_dir = match state_dir {
        // An empty environment variable.
        Some(dir) if dir.as_os_str().is_empty() => {
            return Err(UsageError(
                "the path of the state directory is empty; set it with --state-dir or \
                 SYNCMGR_STATE_DIR"
                    .to_owned(),
            )
            .into());
        }
        Some(dir) => dir.to_owned(),
        None => default_state_dir()?,
    };
    Ok(Registrations::new(&state_dir))
}

/// Creates a host that compiles in a separate process.
pub(crate) fn host(limits: LoadLimits) -> Result<Host, HostError> {
    Host::with_options(in_own_process(HostOptions::new().limits(limits)))
}

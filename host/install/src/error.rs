use std::path::PathBuf;

use syncmgr_host::http::HttpGrantError;
use syncmgr_host::{ExcessGrant, GrantError, Hresult, LoadError, hresult};
use uuid::Uuid;

use crate::keyring::KeyringError;
#[cfg(feature = "registry")]
use crate::registry::OciError;

/// An error about installed plugins.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A file or a folder cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// The file or the folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A text of the user or of a file is invalid.
    #[error("{what}")]
    Text {
        /// The problem and the remedy.
        what: String,
    },
    /// A directory cannot be granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// A server cannot be granted.
    #[error(transparent)]
    Server(#[from] HttpGrantError),
    /// A file of an installed plugin is damaged.
    #[error(
        "{} is damaged: {message}; correct it, or remove it and register the plugin again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The problem.
        message: String,
    },
    /// A file or a folder that must be the user's alone is a link or writable by other users.
    #[error(
        "{} is a symbolic link or writable by other users, so it is not trusted; replace the link, \
         or remove their write permission",
        path.display()
    )]
    InsecurePermissions {
        /// The file or the folder.
        path: PathBuf,
    },
    /// A file or a folder that must be the user's own belongs to another user.
    #[error(
        "{} belongs to user {owner}, and the program runs as user {user}; set another state \
         directory with --state-dir or SYNCMGR_STATE_DIR, or change the owner with `chown`",
        path.display()
    )]
    Foreign {
        /// The file or the folder.
        path: PathBuf,
        /// The user id of its owner.
        owner: u32,
        /// The user id of the process.
        user: u32,
    },
    /// A directory contains the state directory, or is inside it.
    #[error(
        "directory `{name}` ({}) cannot be granted: it contains the state directory {} or is \
         inside it; grant another directory, or set another state directory with --state-dir",
        directory.display(), path.display()
    )]
    Protected {
        /// The name of the grant.
        name: String,
        /// The directory.
        directory: PathBuf,
        /// The state directory.
        path: PathBuf,
    },
    /// A directory contains a file that determines the plugin or its grants.
    #[error(
        "directory `{name}` ({}) cannot be granted read-write: it contains {what} {}, which the \
         plugin could change to get more grants; grant it with `:ro`, or move the file elsewhere",
        directory.display(), path.display()
    )]
    ProtectedFile {
        /// The name of the grant.
        name: String,
        /// The directory.
        directory: PathBuf,
        /// The term for the file.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A directory of a registered plugin is not the one that was granted at registration.
    #[error(
        "directory `{name}` ({}) is not the directory that was granted at registration: {why}; \
         restore it, or register the plugin again",
        path.display()
    )]
    Moved {
        /// The name of the grant.
        name: String,
        /// The path that was granted.
        path: PathBuf,
        /// The difference.
        why: String,
    },
    /// No plugin has the name or the class id.
    #[error("no plugin is registered as `{name}`; list registered plugins with `syncmgr list`")]
    Unknown {
        /// The name, or the class id.
        name: String,
    },
    /// A plugin cannot be registered under the name.
    #[error("invalid plugin name `{name}`; use 1 to 60 of a-z, 0-9, `_` and `-`")]
    Name {
        /// The name.
        name: String,
    },
    /// Another plugin has the class id.
    #[error(
        "plugin `{name}` declares the class id {clsid}, which `{other}` already has; unregister \
         `{other}` first"
    )]
    ClassTaken {
        /// The plugin to register.
        name: String,
        /// The class id.
        clsid: Uuid,
        /// The plugin that has it.
        other: String,
    },
    /// The plugin does not request some of the grants. They are most likely misspelt.
    #[error(
        "plugin `{plugin}` does not request {}; list its requests with `syncmgr inspect`",
        grants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    ExcessGrants {
        /// The plugin's name.
        plugin: String,
        /// The excess grants.
        grants: Vec<ExcessGrant>,
    },
    /// The system does not have the scope.
    #[error("plugins can be registered for all users of the machine on Windows only")]
    Scope,
    /// The keyring does not have a secret.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// A plugin cannot be pulled, pushed or verified.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Registry(#[from] Box<OciError>),
    /// The plugin cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl InstallError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "store-file",
            Self::Text { .. } => "store-text",
            Self::Grant(_) => "store-grant",
            Self::Server(error) => error.code(),
            Self::Damaged { .. } => "store-damaged",
            Self::InsecurePermissions { .. } => "store-open",
            Self::Foreign { .. } => "store-foreign",
            Self::Protected { .. } | Self::ProtectedFile { .. } => "store-protected",
            Self::Moved { .. } => "store-moved",
            Self::Unknown { .. } => "store-unknown",
            Self::Name { .. } => "store-name",
            Self::ClassTaken { .. } => "store-class-taken",
            Self::ExcessGrants { .. } => "store-unrequested",
            Self::Scope => "store-scope",
            Self::Keyring(error) => error.code(),
            #[cfg(feature = "registry")]
            Self::Registry(error) => error.code(),
            Self::Load(error) => error.code(),
        }
    }

    /// Returns the HRESULT for native callers.
    pub const fn hresult(&self) -> Hresult {
        match self {
            Self::File { .. } => Hresult::HRESULT_ERROR_NOT_FOUND,
            Self::Text { .. }
            | Self::Grant(_)
            | Self::Server(_)
            | Self::Name { .. }
            | Self::ExcessGrants { .. } => Hresult::E_INVALIDARG,
            Self::Damaged { .. } => Hresult::HRESULT_ERROR_FILE_CORRUPT,
            Self::InsecurePermissions { .. }
            | Self::Foreign { .. }
            | Self::Protected { .. }
            | Self::ProtectedFile { .. }
            | Self::Moved { .. } => Hresult::E_ACCESSDENIED,
            Self::Unknown { .. } => Hresult::HRESULT_ERROR_NOT_FOUND,
            Self::ClassTaken { .. } => Hresult::HRESULT_ERROR_ALREADY_EXISTS,
            Self::Scope => Hresult::E_NOTIMPL,
            Self::Keyring(error) => error.hresult(),
            #[cfg(feature = "registry")]
            Self::Registry(error) => match error.is_usage() {
                true => Hresult::E_INVALIDARG,
                false => Hresult::E_FAIL,
            },
            Self::Load(error) => hresult::from_load_error(error),
        }
    }

    /// Returns whether the command line or a file of the user causes the error.
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Text { .. }
            | Self::Grant(_)
            | Self::Server(_)
            | Self::Unknown { .. }
            | Self::Name { .. }
            | Self::ClassTaken { .. }
            | Self::ExcessGrants { .. }
            | Self::Protected { .. }
            | Self::ProtectedFile { .. }
            | Self::Moved { .. }
            | Self::Scope
            | Self::Load(_) => true,
            Self::File { .. }
            | Self::Damaged { .. }
            | Self::InsecurePermissions { .. }
            | Self::Foreign { .. } => false,
            Self::Keyring(error) => error.is_usage(),
            #[cfg(feature = "registry")]
            Self::Registry(error) => error.is_usage(),
        }
    }

    /// Returns whether a file or a folder does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

#[cfg(feature = "registry")]
impl From<OciError> for InstallError {
    fn from(error: OciError) -> Self {
        Self::Registry(Box::new(error))
    }
}

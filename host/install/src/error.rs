use std::path::PathBuf;

use syncmgr_host::{GrantError, Hresult, LoadError, hresult};
use uuid::Uuid;

/// Why something about installed plugins cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or a folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A text, of the user or of a file, is not what it should be.
    #[error("{what}")]
    Text {
        /// What is wrong, and how it should be.
        what: String,
    },
    /// A directory cannot be granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// A file about an installed plugin is not as it was written.
    #[error(
        "{} is damaged: {message}; mend it, or remove it and register the plugin again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A folder or a file that is trusted could be another user's.
    #[error(
        "{} is a link or can be written by others than you, so it is not used; make it yours alone",
        path.display()
    )]
    Open {
        /// The folder or the file.
        path: PathBuf,
    },
    /// A folder or a file that is trusted belongs to another user.
    #[error(
        "{} belongs to the user {owner}, and you are the user {user}, so it is not used; name a state \
         directory of your own with --state-dir or SYNCMGR_STATE_DIR, or change the owner with `chown`",
        path.display()
    )]
    Foreign {
        /// The folder or the file.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
        /// The number of the user that the program runs as.
        user: u32,
    },
    /// A directory holds, or lies in, the state directory.
    #[error(
        "the directory `{name}` ({}) cannot be granted: it holds the state directory {}, or lies in \
         it, and what is there is trusted; grant another directory, or name another state directory \
         with --state-dir",
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
    /// A directory holds a file that says what the plugin is, or what it gets.
    #[error(
        "the directory `{name}` ({}) cannot be granted for changing: it holds {what} {}, and the \
         plugin could change that to get more; grant it with `:ro`, or move the file elsewhere",
        directory.display(), path.display()
    )]
    ProtectedFile {
        /// The name of the grant.
        name: String,
        /// The directory.
        directory: PathBuf,
        /// What the file is.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A directory of a registered plugin is not the one that was granted.
    #[error(
        "the directory `{name}` ({}) is not the one that was granted when the plugin was registered: \
         {why}; put that one back, or, if this is the right one, register the plugin again",
        path.display()
    )]
    Moved {
        /// The name of the grant.
        name: String,
        /// The path that was granted.
        path: PathBuf,
        /// What is different.
        why: String,
    },
    /// There is no such plugin.
    #[error("no plugin is registered as `{name}`; `syncmgr list` tells which ones are")]
    Unknown {
        /// The name, or the class id.
        name: String,
    },
    /// The name is not one that a plugin can be registered under.
    #[error("`{name}` cannot be the name of a plugin: use 1 to 60 of a-z, 0-9, `_` and `-`")]
    Name {
        /// The name given.
        name: String,
    },
    /// Another plugin has the class id.
    #[error(
        "the plugin {name} states the class id {clsid}, which {other} has; only one of them can \
         be registered"
    )]
    ClassTaken {
        /// The plugin to register.
        name: String,
        /// The class id.
        clsid: Uuid,
        /// Who has it.
        other: String,
    },
    /// Something is granted that the plugin does not ask for: most likely it is misspelt.
    #[error(
        "{plugin} does not ask for {}; `syncmgr inspect` lists what it asks for",
        options.join(", ")
    )]
    Unrequested {
        /// The plugin's name.
        plugin: String,
        /// The options that would grant it.
        options: Vec<String>,
    },
    /// This system has no such scope.
    #[error("plugins can be registered for the whole machine on Windows only")]
    Scope,
    /// The plugin cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl StoreError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "store-file",
            Self::Text { .. } => "store-text",
            Self::Grant(_) => "store-grant",
            Self::Damaged { .. } => "store-damaged",
            Self::Open { .. } => "store-open",
            Self::Foreign { .. } => "store-foreign",
            Self::Protected { .. } | Self::ProtectedFile { .. } => "store-protected",
            Self::Moved { .. } => "store-moved",
            Self::Unknown { .. } => "store-unknown",
            Self::Name { .. } => "store-name",
            Self::ClassTaken { .. } => "store-class-taken",
            Self::Unrequested { .. } => "store-unrequested",
            Self::Scope => "store-scope",
            Self::Load(error) => error.code(),
        }
    }

    /// What a native caller gets.
    pub const fn hresult(&self) -> Hresult {
        match self {
            Self::File { .. } => Hresult::HRESULT_ERROR_NOT_FOUND,
            Self::Text { .. } | Self::Grant(_) | Self::Name { .. } | Self::Unrequested { .. } => {
                Hresult::E_INVALIDARG
            }
            Self::Damaged { .. } => Hresult::HRESULT_ERROR_FILE_CORRUPT,
            Self::Open { .. }
            | Self::Foreign { .. }
            | Self::Protected { .. }
            | Self::ProtectedFile { .. }
            | Self::Moved { .. } => Hresult::E_ACCESSDENIED,
            Self::Unknown { .. } => Hresult::HRESULT_ERROR_NOT_FOUND,
            Self::ClassTaken { .. } => Hresult::HRESULT_ERROR_ALREADY_EXISTS,
            Self::Scope => Hresult::E_NOTIMPL,
            Self::Load(error) => hresult::from_load_error(error),
        }
    }

    /// Whether whoever typed it, or wrote the file, can mend it.
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Text { .. }
            | Self::Grant(_)
            | Self::Unknown { .. }
            | Self::Name { .. }
            | Self::ClassTaken { .. }
            | Self::Unrequested { .. }
            | Self::Protected { .. }
            | Self::ProtectedFile { .. }
            | Self::Moved { .. }
            | Self::Scope
            | Self::Load(_) => true,
            Self::File { .. } | Self::Damaged { .. } | Self::Open { .. } | Self::Foreign { .. } => {
                false
            }
        }
    }

    /// Whether a file or a folder is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            Self::File { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            Self::Text { .. }
            | Self::Grant(_)
            | Self::Damaged { .. }
            | Self::Open { .. }
            | Self::Foreign { .. }
            | Self::Protected { .. }
            | Self::ProtectedFile { .. }
            | Self::Moved { .. }
            | Self::Unknown { .. }
            | Self::Name { .. }
            | Self::ClassTaken { .. }
            | Self::Unrequested { .. }
            | Self::Scope
            | Self::Load(_) => false,
        }
    }

    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

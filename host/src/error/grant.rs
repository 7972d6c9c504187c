//! Errors of grants.

use std::path::PathBuf;

/// A grant is invalid or cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The name is not valid for a grant.
    #[error(
        "invalid directory name `{name}`; use letters, digits, `_` and `-`, in parts joined by `.`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Two grants have the same name.
    #[error("duplicate directory name `{name}`; use a unique name for each directory")]
    Twice {
        /// The name.
        name: String,
    },
    /// The capability does not exist.
    #[error("unknown capability `{name}`; use `wall-clock` or `randomness`")]
    Capability {
        /// The name.
        name: String,
    },
    /// A setting or a secret is given twice, or cannot be passed to the plugin.
    #[error("the setting or secret `{name}` {why}")]
    Setting {
        /// The name.
        name: String,
        /// The problem.
        why: &'static str,
    },
    /// The plugin has no such setting. It is most likely misspelt, and would silently have its
    /// default.
    #[error(
        "the plugin has no setting `{name}`{}; list its settings with `syncmgr inspect`",
        similar.as_ref().map(|similar| format!("; did you mean `{similar}`?")).unwrap_or_default()
    )]
    UnknownSetting {
        /// The name.
        name: String,
        /// The most similar name of a setting; `None`: none is similar.
        similar: Option<String>,
    },
    /// The setting cannot have the value.
    #[error("the setting `{name}` is `{value}`; use {values}")]
    SettingValue {
        /// The name.
        name: String,
        /// The value.
        value: String,
        /// The values that it can have, in words.
        values: String,
    },
    /// The directory cannot be opened.
    #[error("cannot open the directory `{name}` ({})", path.display())]
    Open {
        /// The name of the grant.
        name: String,
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The directory is on one of the kernel's file systems, or belongs to the host.
    #[error("cannot grant the directory `{name}` ({}): {why}; grant another one", path.display())]
    NoFiles {
        /// The name of the grant.
        name: String,
        /// The path.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// Two servers have the same name.
    #[error("duplicate server name `{name}`; use a unique name for each server")]
    ServerTwice {
        /// The name.
        name: String,
    },
    /// A server other than the one that the plugin requests.
    #[error("the server `{name}` must be {requested}, or a part of it, as the plugin requests")]
    OtherServer {
        /// The name.
        name: String,
        /// The requested URL.
        requested: String,
    },
    /// Credentials for a server that is not granted.
    #[error("there are credentials for the server `{name}`, which is not granted; grant it")]
    AuthWithoutServer {
        /// The name.
        name: String,
    },
    /// Credentials for a server without encryption.
    #[error("the server `{name}` has credentials, but no encryption; grant it with `https://`")]
    AuthUnencrypted {
        /// The name.
        name: String,
    },
    /// A granted directory is the same as, or inside, another one.
    #[error(
        "the directories `{outer}` and `{inner}` overlap ({}); grant separate directories",
        path.display()
    )]
    Overlap {
        /// The name of the outer directory.
        outer: String,
        /// The name of the inner directory.
        inner: String,
        /// The path of the inner directory.
        path: PathBuf,
    },
}

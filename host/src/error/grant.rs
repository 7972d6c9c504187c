//! Why a granted directory cannot be used.

use std::path::PathBuf;

/// Why a granted directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The name is not one that a grant can have.
    #[error(
        "`{name}` cannot be the name of a directory: use letters, digits, `_` and `-`, in parts \
         joined by `.`"
    )]
    Name {
        /// The name given.
        name: String,
    },
    /// The name is taken.
    #[error("two directories are named `{name}`; give each a name of its own")]
    Twice {
        /// The name given.
        name: String,
    },
    /// There is no such capability.
    #[error("`{name}` cannot be allowed; `wall-clock` and `randomness` can")]
    Capability {
        /// The name given.
        name: String,
    },
    /// A setting or a secret is there twice, or cannot be handed over.
    #[error("the setting or secret `{name}` {why}")]
    Setting {
        /// Its name.
        name: String,
        /// The problem.
        why: &'static str,
    },
    /// The directory cannot be opened.
    #[error("cannot open the directory `{name}` ({}): {source}", path.display())]
    Open {
        /// The name of the grant.
        name: String,
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The directory holds no files of anybody, or those of the host.
    #[error("cannot grant the directory `{name}` ({}): {why}; grant another one", path.display())]
    NoFiles {
        /// The name of the grant.
        name: String,
        /// The path.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// One directory is, or is inside, another one.
    #[error(
        "the directories `{outer}` and `{inner}` overlap ({}); grant directories that are apart",
        path.display()
    )]
    Overlap {
        /// The name of the one that holds the other.
        outer: String,
        /// The name of the other.
        inner: String,
        /// The path of the inner one.
        path: PathBuf,
    },
}

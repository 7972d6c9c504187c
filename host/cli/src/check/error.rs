use std::path::PathBuf;

use syncmgr_host::{GrantError, StartError};

/// Why a plugin could not be tested. That it fails a check is none of these.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// A folder of the fixture cannot be copied, or a file cannot be read or written.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A directory cannot be granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// There is no check of this name.
    #[error("there is no check `{name}`; `syncmgr test --list` names them")]
    UnknownCheck {
        /// The name given.
        name: String,
    },
    /// A recording cannot be understood.
    #[error("{}: not a valid recording: line {line}: {message}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// Which line, from 1 on.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// The files in the granted directories are too many or too large for a recording.
    #[error(
        "the files of a recording take more than {limit} bytes; record without `--record-files`, or \
         raise `record-bytes` if that is right"
    )]
    RecordingFull {
        /// The limit `record-bytes`.
        limit: u64,
    },
    /// A session of the plugin could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl KitError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "kit-file",
            Self::Grant(_) => "kit-grant",
            Self::UnknownCheck { .. } => "kit-unknown-check",
            Self::Recording { .. } => "kit-recording",
            Self::RecordingFull { .. } => "kit-recording-full",
            Self::Start(_) => "kit-start",
        }
    }

    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}

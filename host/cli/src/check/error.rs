use std::path::PathBuf;

use syncmgr_host::{GrantError, StartError};

/// An error of testing, recording or replaying a plugin. A failed check is not an error.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file or a folder cannot be read, written or copied.
    #[error("cannot {what} {}", path.display())]
    File {
        /// The operation.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A directory cannot be granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The check does not exist.
    #[error("unknown check `{name}`; list the checks with `syncmgr test --list`")]
    UnknownCheck {
        /// The name.
        name: String,
    },
    /// A recording is invalid.
    #[error("invalid recording {}: line {line}: {message}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The problem.
        message: String,
    },
    /// The files of the granted directories exceed the limit of a recording.
    #[error(
        "the files of the recording exceed the limit `record-bytes` ({limit} bytes); record \
         without `--record-files`, or raise it with `--limit record-bytes=…`"
    )]
    RecordingFull {
        /// The limit `record-bytes`, in bytes.
        limit: u64,
    },
    /// A session of the plugin cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl CheckError {
    /// Returns a stable code for programs.
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

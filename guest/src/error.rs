use std::fmt;
use std::io;

pub use crate::bindings::syncmgr::plugin::types::ErrorCode;

/// A failure: one of the closed set of [`ErrorCode`]s, each of which has one HRESULT, and
/// words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The case.
    pub code: ErrorCode,
    /// What happened, to what, and what to do. Plain text, never parsed, may be empty.
    pub message: String,
}

/// The result of what a plugin does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure with its code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A failure that no other code says better.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Failed, message)
    }

    /// The same failure, its message led by what was being done: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = match self.message.is_empty() {
            true => context.to_string(),
            false => format!("{context}: {}", self.message),
        };
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.is_empty() {
            true => f.write_str(name(self.code)),
            false => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

impl From<crate::bindings::syncmgr::plugin::types::Error> for Error {
    fn from(error: crate::bindings::syncmgr::plugin::types::Error) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<Error> for crate::bindings::syncmgr::plugin::types::Error {
    fn from(error: Error) -> Self {
        Self { code: error.code, message: error.message }
    }
}

impl From<io::Error> for Error {
    #[allow(clippy::wildcard_enum_match_arm, reason = "the enumeration is open")]
    fn from(error: io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::NotFound => ErrorCode::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorCode::AccessDenied
            }
            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => {
                ErrorCode::AlreadyExists
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::NoSpace,
            io::ErrorKind::TimedOut => ErrorCode::Timeout,
            io::ErrorKind::OutOfMemory => ErrorCode::OutOfMemory,
            io::ErrorKind::Unsupported => ErrorCode::NotImplemented,
            io::ErrorKind::InvalidInput => ErrorCode::InvalidArgument,
            io::ErrorKind::NotConnected
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable => ErrorCode::NotConnected,
            _ => ErrorCode::InputOutput,
        };
        Self::new(code, error.to_string())
    }
}

/// Why the work on an item ends before it is done. Progress calls return it, so that `?` is
/// all that a plugin has to do about cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The user cancelled this item. It ends as skipped, and the next one has its turn.
    Item,
    /// The user cancelled everything. This item and all that follow end as stopped.
    All,
    /// It failed. The item ends as failed with this error in the log, and the next one has
    /// its turn.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The name of a code, for people to whom no message can be shown.
fn name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Failed => "it failed",
        ErrorCode::InvalidArgument => "an argument is not acceptable",
        ErrorCode::Unexpected => "the call does not belong here",
        ErrorCode::NotImplemented => "this is not offered",
        ErrorCode::OutOfMemory => "out of memory",
        ErrorCode::AccessDenied => "access denied",
        ErrorCode::Cancelled => "cancelled",
        ErrorCode::NotFound => "not found",
        ErrorCode::AlreadyExists => "it exists already",
        ErrorCode::Busy => "another run holds it",
        ErrorCode::Changed => "it changed meanwhile",
        ErrorCode::SafetyStop => "stopped for safety",
        ErrorCode::NoSpace => "no space left",
        ErrorCode::InputOutput => "reading or writing failed",
        ErrorCode::NotConnected => "not connected",
        ErrorCode::Timeout => "it took too long",
    }
}

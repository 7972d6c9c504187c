use std::fmt;
use std::io;

use crate::guid::ItemId;

pub use crate::bindings::syncmgr::plugin::types::ErrorCode;

/// A failure: one of the closed set of [`ErrorCode`]s, each of which maps to one HRESULT, and a
/// message for the user.
///
/// # Examples
/// ```
/// use syncmgr_plugin::{Error, ErrorCode};
///
/// let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
/// let error = Error::from(missing).context("cannot read `inbox`");
/// assert_eq!(error.code, ErrorCode::NotFound);
/// assert!(error.to_string().starts_with("cannot read `inbox`: "));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The error code.
    pub code: ErrorCode,
    /// The failed operation, its object and the remedy. Plain text that is never parsed; may be
    /// empty.
    pub message: String,
}

/// The result of a plugin's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Creates a failure with a code and a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Creates a failure with the code [`Failed`](ErrorCode::Failed), for which no other code fits.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Failed, message)
    }

    /// Prefixes the message with a context: `context: message`.
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

/// The reason why the work on an item ends early. Progress calls return it, so that a plugin
/// handles cancellation with `?`.
///
/// # Examples
/// ```
/// use syncmgr_plugin::prelude::*;
///
/// fn copy_all(context: &mut SyncContext, names: &[&str]) -> Result<(), Interrupt> {
///     for name in names {
///         context.set_status_text(*name)?; // returns if the user cancelled
///         let (source, target) = (format!("/source/{name}"), format!("/target/{name}"));
///         if let Err(error) = std::fs::copy(source, target) {
///             return Err(Error::from(error).context(*name).into());
///         }
///     }
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// The user cancelled this item. It ends as skipped, and the run continues with the next item.
    Item,
    /// The user cancelled the run. This item and all following items end as stopped.
    All,
    /// The item failed. It ends as failed with this error in the log, and the run continues with
    /// the next item.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Interrupt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Returns the text for an error without a message.
fn name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Failed => "failed",
        ErrorCode::InvalidArgument => "invalid argument",
        ErrorCode::Unexpected => "unexpected call",
        ErrorCode::NotImplemented => "not implemented",
        ErrorCode::OutOfMemory => "out of memory",
        ErrorCode::AccessDenied => "access denied",
        ErrorCode::Cancelled => "cancelled",
        ErrorCode::NotFound => "not found",
        ErrorCode::AlreadyExists => "already exists",
        ErrorCode::Busy => "in use by another run",
        ErrorCode::Changed => "changed during the run",
        ErrorCode::SafetyStop => "safety stop",
        ErrorCode::NoSpace => "no space left",
        ErrorCode::InputOutput => "input/output error",
        ErrorCode::NotConnected => "not connected",
        ErrorCode::Timeout => "timed out",
    }
}

/// The details of a logged error, as the host shows them.
#[derive(Clone, Debug, Default)]
pub struct ErrorDetail {
    /// The full explanation, as plain text.
    pub text: String,
    /// The items to prepare and synchronize again.
    pub retry: Vec<ItemId>,
}

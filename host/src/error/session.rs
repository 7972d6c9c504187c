//! Errors of sessions.

use super::contract::list;
use super::termination::why;
use super::{Call, Denial, GrantError, TerminationReason};
use crate::hresult::{Hresult, to_error_code};
use crate::types::ErrorCode;

/// An error of a session. After [`SessionError::Trap`], [`SessionError::Exit`],
/// [`SessionError::Terminated`] and [`SessionError::Denied`], the session is over and every call returns
/// [`SessionError::Dead`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The plugin returned an error.
    #[error("{plugin}: {call} failed: {message}")]
    Plugin {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The error code.
        code: ErrorCode,
        /// The message of the plugin.
        message: String,
    },
    /// The plugin returned a value that the contract does not allow.
    #[error("{plugin}: `{call}` returned a value that the contract does not allow: {what}")]
    BadData {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The rule that it breaks.
        what: String,
    },
    /// The plugin trapped.
    #[error("{plugin}: crashed in `{call}`: {message}")]
    Trap {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The panic message of the plugin if there is one; otherwise the message of wasmtime.
        message: String,
        /// The stack, innermost frame first, one per line; may be empty.
        backtrace: String,
        /// The end of its output on stderr.
        stderr: String,
    },
    /// The plugin called `wasi:cli/exit`.
    #[error("{plugin}: called `exit({status})` in `{call}`; plugins must return instead")]
    Exit {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The exit status.
        status: i32,
    },
    /// The host terminated the plugin.
    #[error("{plugin}: {}", why(*reason, *call, limit.as_deref()))]
    Terminated {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The reason.
        reason: TerminationReason,
        /// The value of the exceeded limit, in the form that [`Limits::set`](crate::Limits::set)
        /// accepts. `None` if no limit was exceeded, or one of the engine.
        limit: Option<String>,
    },
    /// The host terminated the plugin because it used something that was not granted.
    #[error("{plugin}: access denied in `{call}`: {denial}")]
    Denied {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The denial.
        denial: Denial,
    },
    /// A native handler returned a failure, or an unexpected success code.
    #[error("{plugin}: {call} {}", answered(*hresult))]
    Native {
        /// The handler's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The result.
        hresult: Hresult,
    },
    /// A native handler ended the process in which it ran.
    #[error(
        "{plugin}: the handler ended its process with status 0x{status:08X} before the run was over"
    )]
    NativeExit {
        /// The handler's name.
        plugin: String,
        /// The exit status of the process. After a crash, it is the code of the exception.
        status: u32,
    },
    /// The embedder made a call out of order.
    #[error("{plugin}: {call} cannot be called {when}")]
    OutOfOrder {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The problem.
        when: &'static str,
    },
    /// The plugin crashed earlier.
    #[error("{plugin}: {call} cannot be called: the plugin crashed earlier; start a new session")]
    Dead {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
    },
    /// The embedder named an unknown item.
    #[error("{plugin}: unknown item {item:?}; the plugin has {}", list(.items))]
    UnknownItem {
        /// The plugin's name.
        plugin: String,
        /// The name or id.
        item: String,
        /// The names of the available items.
        items: Vec<String>,
    },
    /// The host itself failed.
    #[error("{plugin}: the host failed to {what}")]
    Host {
        /// The plugin's name.
        plugin: String,
        /// The action that failed.
        what: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The kind of a [`SessionError`] or a [`StartError`]. Unlike these, it has no further variants in
/// later versions, so a program can map every error to an exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The plugin returned an error, or a native handler a failure, with this error code if it has
    /// one.
    Returned(Option<ErrorCode>),
    /// The host terminated the plugin after a cancellation.
    Cancelled,
    /// A grant cannot be used, or the request names an unknown item.
    InvalidOptions,
    /// The plugin crashed, was terminated for another reason, or violated the contract; or the host
    /// or the embedder failed.
    Failed,
}

impl SessionError {
    pub(crate) fn host(
        plugin: &str,
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Host { plugin: plugin.to_owned(), what, source: source.into() }
    }

    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Plugin { .. } => "plugin-error",
            Self::BadData { .. } => "plugin-bad-data",
            Self::Trap { .. } => "plugin-trap",
            Self::Exit { .. } => "plugin-exit",
            Self::Terminated { reason, .. } => reason.code(),
            Self::Denied { .. } => TerminationReason::Denied.code(),
            Self::Native { .. } => "native-error",
            Self::NativeExit { .. } => "native-exit",
            Self::OutOfOrder { .. } => "session-out-of-order",
            Self::Dead { .. } => "session-dead",
            Self::UnknownItem { .. } => "session-unknown-item",
            Self::Host { .. } => "host-failed",
        }
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Plugin { code, .. } => ErrorKind::Returned(Some(*code)),
            Self::Native { hresult, .. } => ErrorKind::Returned(to_error_code(*hresult)),
            Self::UnknownItem { .. } => ErrorKind::InvalidOptions,
            Self::Terminated { reason, .. } if reason.is_cancellation() => ErrorKind::Cancelled,
            Self::BadData { .. }
            | Self::Trap { .. }
            | Self::Exit { .. }
            | Self::Terminated { .. }
            | Self::Denied { .. }
            | Self::NativeExit { .. }
            | Self::OutOfOrder { .. }
            | Self::Dead { .. }
            | Self::Host { .. } => ErrorKind::Failed,
        }
    }

    /// Returns the stack of a plugin that trapped, one frame per line, and the end of its output on
    /// stderr: escape both before showing them. Either may be empty.
    pub fn crash_details(&self) -> (&str, &str) {
        match self {
            Self::Trap { backtrace, stderr, .. } => (backtrace, stderr),
            Self::Plugin { .. }
            | Self::BadData { .. }
            | Self::Exit { .. }
            | Self::Terminated { .. }
            | Self::Denied { .. }
            | Self::Native { .. }
            | Self::NativeExit { .. }
            | Self::OutOfOrder { .. }
            | Self::Dead { .. }
            | Self::UnknownItem { .. }
            | Self::Host { .. } => ("", ""),
        }
    }

    /// Returns whether the plugin crashed or was terminated, so that the session is over.
    pub const fn ends_session(&self) -> bool {
        match self {
            Self::Trap { .. }
            | Self::Exit { .. }
            | Self::Terminated { .. }
            | Self::Denied { .. } => true,
            Self::Plugin { .. }
            | Self::BadData { .. }
            | Self::Native { .. }
            | Self::NativeExit { .. }
            | Self::OutOfOrder { .. }
            | Self::Dead { .. }
            | Self::UnknownItem { .. }
            | Self::Host { .. } => false,
        }
    }

    /// Returns whether another session could succeed: the plugin crashed, and neither the user nor
    /// the embedder caused it. A plugin that continued with a cancelled item may succeed with the
    /// other items.
    pub const fn may_be_retried(&self) -> bool {
        match self {
            Self::Terminated { reason, .. } => match reason {
                TerminationReason::Killed
                | TerminationReason::CancelledAll
                | TerminationReason::Denied
                | TerminationReason::Instances
                // The record is kept, so another session would exceed the limit, too.
                | TerminationReason::RecordBytes => false,
                TerminationReason::CancelledItem
                | TerminationReason::ComputeTime
                | TerminationReason::WallTime
                | TerminationReason::IdleTime
                | TerminationReason::Memory
                | TerminationReason::Tables
                | TerminationReason::Stack
                | TerminationReason::Handles
                | TerminationReason::HostCallBytes
                | TerminationReason::ItemBytes => true,
            },
            Self::Trap { .. } | Self::Exit { .. } => true,
            Self::Denied { .. }
            | Self::Plugin { .. }
            | Self::BadData { .. }
            | Self::Native { .. }
            | Self::NativeExit { .. }
            | Self::OutOfOrder { .. }
            | Self::Dead { .. }
            | Self::UnknownItem { .. }
            | Self::Host { .. } => false,
        }
    }
}

/// Describes the result of a native handler that should have returned `S_OK`.
fn answered(hresult: Hresult) -> String {
    match hresult.is_success() {
        true => format!("returned {hresult} instead of S_OK"),
        false => format!("failed: {hresult}"),
    }
}

/// An error of starting a session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A granted directory cannot be used.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The plugin failed during instantiation.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl StartError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Grant(_) => "grant-refused",
            Self::Session(error) => error.code(),
        }
    }

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Grant(_) => ErrorKind::InvalidOptions,
            Self::Session(error) => error.kind(),
        }
    }
}

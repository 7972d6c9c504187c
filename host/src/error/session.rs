//! Why a session failed, or never began.

use super::contract::list;
use super::stop::why;
use super::{Call, Denial, GrantError, StopReason};
use crate::hresult::code::Hresult;
use crate::types::ErrorCode;

/// Why a session failed. After [`SessionError::Trap`], [`SessionError::Exit`],
/// [`SessionError::Ended`] and [`SessionError::Denied`] the session is dead: it answers
/// [`SessionError::Dead`] to everything.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The plugin answered with an error.
    #[error("{plugin}: {call} failed: {message}")]
    Plugin {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// Which failure.
        code: ErrorCode,
        /// The plugin's words.
        message: String,
    },
    /// The plugin answered with something that the contract rules out.
    #[error("{plugin}: {call} gave an answer that the contract rules out: {what}")]
    BadData {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// Which rule.
        what: String,
    },
    /// The plugin trapped.
    #[error("{plugin}: died in {call}: {message}")]
    Trap {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// Its last words if there are any (a panic message), else what wasmtime said.
        message: String,
        /// The stack, innermost frame first, a line each; empty if there is none.
        backtrace: String,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// The plugin called `wasi:cli/exit`.
    #[error("{plugin}: left in {call} with status {status}; a plugin must return")]
    Exit {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The status it gave.
        status: i32,
    },
    /// The host ended it.
    #[error("{plugin}: was ended in {call}: {}", why(*reason, limit.as_deref()))]
    Ended {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// Why.
        reason: StopReason,
        /// The value of the limit that it went beyond, in the form that
        /// [`Limits::set`](crate::Limits::set) takes. Absent: it was none, or that of the engine.
        limit: Option<String>,
    },
    /// It used what it was not granted, and was ended.
    #[error("{plugin}: was denied, in {call}, {denial}")]
    Denied {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The denial.
        denial: Denial,
    },
    /// A handler that is no plugin answered with a failure, or with a success that has no meaning
    /// there.
    #[error("{plugin}: {call} {}", answered(*hresult))]
    Native {
        /// The handler's name.
        plugin: String,
        /// The call.
        call: Call,
        /// The result.
        hresult: Hresult,
    },
    /// A handler that is no plugin ended the process that it ran in.
    #[error(
        "{plugin}: the handler ended its process with status 0x{status:08X} before the run was over"
    )]
    NativeExit {
        /// The handler's name.
        plugin: String,
        /// The exit status of the process. That of a crash is the exception's code.
        status: u32,
    },
    /// The embedder called out of order.
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
    #[error("{plugin}: {call} cannot be called: the plugin died earlier; start a new session")]
    Dead {
        /// The plugin's name.
        plugin: String,
        /// The call.
        call: Call,
    },
    /// The embedder named an item that is none.
    #[error("{plugin}: there is no item {item:?}; it has {}", list(.items))]
    UnknownItem {
        /// The plugin's name.
        plugin: String,
        /// The name or id given.
        item: String,
        /// The names of the items that there are.
        items: Vec<String>,
    },
    /// The host itself failed.
    #[error("{plugin}: the host failed to {what}: {source}")]
    Host {
        /// The plugin's name.
        plugin: String,
        /// The action that failed.
        what: &'static str,
        /// The cause.
        source: wasmtime::Error,
    },
}

impl SessionError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Plugin { .. } => "plugin-error",
            Self::BadData { .. } => "plugin-bad-data",
            Self::Trap { .. } => "plugin-trap",
            Self::Exit { .. } => "plugin-exit",
            Self::Ended { reason, .. } => reason.code(),
            Self::Denied { .. } => StopReason::Denied.code(),
            Self::Native { .. } => "native-error",
            Self::NativeExit { .. } => "native-exit",
            Self::OutOfOrder { .. } => "session-out-of-order",
            Self::Dead { .. } => "session-dead",
            Self::UnknownItem { .. } => "session-unknown-item",
            Self::Host { .. } => "host-failed",
        }
    }

    /// The stack of a plugin that trapped, a frame on each line, and the end of what it wrote to
    /// stderr: escape it before showing it. Empty, where there is nothing.
    pub fn crash_details(&self) -> (&str, &str) {
        match self {
            Self::Trap { backtrace, stderr, .. } => (backtrace, stderr),
            Self::Plugin { .. }
            | Self::BadData { .. }
            | Self::Exit { .. }
            | Self::Ended { .. }
            | Self::Denied { .. }
            | Self::Native { .. }
            | Self::NativeExit { .. }
            | Self::OutOfOrder { .. }
            | Self::Dead { .. }
            | Self::UnknownItem { .. }
            | Self::Host { .. } => ("", ""),
        }
    }

    /// Whether the plugin crashed or was terminated, so that the session is over.
    pub const fn is_death(&self) -> bool {
        match self {
            Self::Trap { .. } | Self::Exit { .. } | Self::Ended { .. } | Self::Denied { .. } => {
                true
            }
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

    /// Whether another session could succeed: the plugin crashed, and neither the user nor the
    /// embedder asked for it. A plugin that went on with a cancelled item may succeed with the
    /// other items.
    pub const fn may_be_retried(&self) -> bool {
        match self {
            Self::Ended { reason, .. } => match reason {
                StopReason::Killed
                | StopReason::CancelledAll
                | StopReason::Denied
                | StopReason::Instances
                // The record stays, so another session would exceed the limit, too.
                | StopReason::RecordBytes => false,
                StopReason::CancelledItem
                | StopReason::ComputeTime
                | StopReason::WallTime
                | StopReason::IdleTime
                | StopReason::Memory
                | StopReason::Tables
                | StopReason::Stack
                | StopReason::Handles
                | StopReason::HostCallBytes
                | StopReason::ItemBytes => true,
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

/// Describes a result of a native handler where only `S_OK` is expected.
fn answered(hresult: Hresult) -> String {
    match hresult.is_success() {
        true => format!("answered {hresult} instead of S_OK"),
        false => format!("failed: {hresult}"),
    }
}

/// Why a session could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A granted directory cannot be used.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The plugin failed while it was being instantiated.
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl StartError {
    /// A stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Grant(_) => "grant-refused",
            Self::Session(error) => error.code(),
        }
    }
}

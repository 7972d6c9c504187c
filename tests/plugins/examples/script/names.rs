//! The values of the contract by their names.

use syncmgr_plugin::bindings::syncmgr::plugin::types;

/// Returns the status of this name.
pub(super) fn status(name: &str) -> types::Status {
    use types::Status::*;
    match name {
        "stopped" => Stopped,
        "skipped" => Skipped,
        "pending" => Pending,
        "updating" => Updating,
        "succeeded" => Succeeded,
        "failed" => Failed,
        "paused" => Paused,
        "resuming" => Resuming,
        "updating-indeterminate" => UpdatingIndeterminate,
        "deleted" => Deleted,
        other => panic!("there is no status {other}"),
    }
}

/// Returns the error code of this name.
pub(super) fn code(name: &str) -> types::ErrorCode {
    use types::ErrorCode::*;
    match name {
        "invalid-argument" => InvalidArgument,
        "unexpected" => Unexpected,
        "not-implemented" => NotImplemented,
        "out-of-memory" => OutOfMemory,
        "access-denied" => AccessDenied,
        "cancelled" => Cancelled,
        "not-found" => NotFound,
        "already-exists" => AlreadyExists,
        "busy" => Busy,
        "changed" => Changed,
        "safety-stop" => SafetyStop,
        "no-space" => NoSpace,
        "input-output" => InputOutput,
        "not-connected" => NotConnected,
        "timeout" => Timeout,
        _ => Failed,
    }
}

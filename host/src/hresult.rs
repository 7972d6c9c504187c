//! Maps outcomes to HRESULTs, and native results back.
//!
//! Every function is total, and every mapping is in this module. The numbers are those of
//! `mobsync.h` and `winerror.h`.

pub(crate) mod code;

pub use code::Hresult;

use crate::error::{
    GrantError, LoadError, PrecompiledError, SessionError, StartError, TerminationReason,
};
use crate::types::{
    ErrorCode, Participation, PrepareOutcome, ProgressResponse, PropertiesOutcome, Status,
};

/// Returns the HRESULT of an error code.
pub const fn from_error_code(code: ErrorCode) -> Hresult {
    match code {
        ErrorCode::Failed => Hresult::E_FAIL,
        ErrorCode::InvalidArgument => Hresult::E_INVALIDARG,
        ErrorCode::Unexpected => Hresult::E_UNEXPECTED,
        ErrorCode::NotImplemented => Hresult::E_NOTIMPL,
        ErrorCode::OutOfMemory => Hresult::E_OUTOFMEMORY,
        ErrorCode::AccessDenied => Hresult::E_ACCESSDENIED,
        ErrorCode::Cancelled => Hresult::HRESULT_ERROR_CANCELLED,
        ErrorCode::NotFound => Hresult::HRESULT_ERROR_NOT_FOUND,
        ErrorCode::AlreadyExists => Hresult::HRESULT_ERROR_ALREADY_EXISTS,
        ErrorCode::Busy => Hresult::HRESULT_ERROR_BUSY,
        ErrorCode::Changed => Hresult::HRESULT_ERROR_RETRY,
        ErrorCode::SafetyStop => Hresult::HRESULT_ERROR_REQUEST_ABORTED,
        ErrorCode::NoSpace => Hresult::HRESULT_ERROR_DISK_FULL,
        ErrorCode::InputOutput => Hresult::HRESULT_ERROR_IO_DEVICE,
        ErrorCode::NotConnected => Hresult::HRESULT_ERROR_NOT_CONNECTED,
        ErrorCode::Timeout => Hresult::HRESULT_ERROR_TIMEOUT,
    }
}

/// Returns the error code of an HRESULT, if it has one.
pub fn to_error_code(hresult: Hresult) -> Option<ErrorCode> {
    ErrorCode::ALL.into_iter().find(|&code| from_error_code(code) == hresult)
}

/// Returns the result of `Progress` for a response.
pub const fn from_progress_response(response: ProgressResponse) -> Hresult {
    match response {
        ProgressResponse::Continue => Hresult::S_OK,
        ProgressResponse::CancelItem => Hresult::S_SYNCMGR_CANCELITEM,
        ProgressResponse::CancelAll => Hresult::S_SYNCMGR_CANCELALL,
    }
}

/// Returns the response for a native sync manager's result of `Progress`.
///
/// The documented results are `S_OK`, `S_SYNCMGR_CANCELITEM` and `S_SYNCMGR_CANCELALL`. Any other
/// success code continues the work. A failure means that the sync manager cannot be reached (its
/// process may have ended): no cancellation could arrive, so everything is cancelled.
pub const fn to_progress_response(hresult: Hresult) -> ProgressResponse {
    match hresult {
        Hresult::S_SYNCMGR_CANCELITEM => ProgressResponse::CancelItem,
        Hresult::S_SYNCMGR_CANCELALL => ProgressResponse::CancelAll,
        other if other.is_success() => ProgressResponse::Continue,
        _failure => ProgressResponse::CancelAll,
    }
}

/// Returns the result of `Initialize`.
pub const fn from_participation(participation: Participation) -> Hresult {
    match participation {
        Participation::Participates => Hresult::S_OK,
        Participation::Declines => Hresult::S_FALSE,
    }
}

/// Returns the result of `EnumSyncMgrItems`.
pub const fn from_missing_items(missing_items: bool) -> Hresult {
    match missing_items {
        false => Hresult::S_OK,
        true => Hresult::S_SYNCMGR_MISSINGITEMS,
    }
}

/// Returns the result of `PrepareForSync` and `PrepareForSyncCompleted`.
pub const fn from_prepare_outcome(outcome: PrepareOutcome) -> Hresult {
    match outcome {
        PrepareOutcome::Prepared => Hresult::S_OK,
        PrepareOutcome::NeedsUser => Hresult::S_FALSE,
    }
}

/// Returns the result of `ShowErrorCompleted`, by whether there are items to retry.
pub const fn from_retry(retry: bool) -> Hresult {
    match retry {
        false => Hresult::S_OK,
        true => Hresult::S_SYNCMGR_RETRYSYNC,
    }
}

/// Returns the result of `ShowPropertiesCompleted`.
pub const fn from_properties_outcome(outcome: PropertiesOutcome) -> Hresult {
    match outcome {
        PropertiesOutcome::Applied => Hresult::S_OK,
        PropertiesOutcome::ItemDeleted => Hresult::S_SYNCMGR_ITEMDELETED,
        PropertiesOutcome::EnumItems => Hresult::S_SYNCMGR_ENUMITEMS,
    }
}

/// Returns the HRESULT of an item's final status. A failed item has the HRESULT of its error code,
/// or `E_FAIL` without one.
pub const fn from_item_end(status: Status, code: Option<ErrorCode>) -> Hresult {
    match status {
        Status::Succeeded | Status::Deleted => Hresult::S_OK,
        Status::Skipped => Hresult::S_SYNCMGR_CANCELITEM,
        Status::Stopped => Hresult::S_SYNCMGR_CANCELALL,
        Status::Failed
        | Status::Pending
        | Status::Updating
        | Status::Paused
        | Status::Resuming
        | Status::UpdatingIndeterminate => match code {
            Some(code) => from_error_code(code),
            None => Hresult::E_FAIL,
        },
    }
}

/// Returns the result of a call in which the session failed: that of `SynchronizeCompleted`,
/// or the method's own result.
pub const fn from_session_error(error: &SessionError) -> Hresult {
    match error {
        SessionError::Plugin { code, .. } => from_error_code(*code),
        SessionError::BadData { .. } => Hresult::HRESULT_ERROR_INVALID_DATA,
        // Only `S_OK` is valid here, so a success code is an error.
        SessionError::Native { hresult, .. } if hresult.is_success() => Hresult::E_UNEXPECTED,
        SessionError::Native { hresult, .. } => *hresult,
        SessionError::NativeExit { .. } => Hresult::HRESULT_ERROR_PROCESS_ABORTED,
        SessionError::Trap { .. } => Hresult::HRESULT_ERROR_PROCESS_ABORTED,
        SessionError::Exit { .. } => Hresult::HRESULT_ERROR_PROCESS_ABORTED,
        SessionError::Terminated { reason, .. } => from_termination_reason(*reason),
        SessionError::Denied { .. } => from_termination_reason(TerminationReason::Denied),
        SessionError::OutOfOrder { .. } | SessionError::Dead { .. } => Hresult::E_UNEXPECTED,
        SessionError::UnknownItem { .. } => Hresult::E_INVALIDARG,
        SessionError::Host { .. } => Hresult::E_FAIL,
    }
}

/// Returns the HRESULT of a session that could not be started.
pub const fn from_start_error(error: &StartError) -> Hresult {
    match error {
        StartError::Grant(error) => match error {
            GrantError::Open { .. } => Hresult::HRESULT_ERROR_NOT_FOUND,
            GrantError::NoFiles { .. } => Hresult::E_ACCESSDENIED,
            GrantError::Name { .. }
            | GrantError::Twice { .. }
            | GrantError::Capability { .. }
            | GrantError::Setting { .. }
            | GrantError::ServerTwice { .. }
            | GrantError::OtherServer { .. }
            | GrantError::AuthWithoutServer { .. }
            | GrantError::AuthUnencrypted { .. }
            | GrantError::UnknownSetting { .. }
            | GrantError::SettingValue { .. }
            | GrantError::Overlap { .. } => Hresult::E_INVALIDARG,
        },
        StartError::Session(error) => from_session_error(error),
    }
}

/// Returns the HRESULT of a plugin that could not be loaded.
pub const fn from_load_error(error: &LoadError) -> Hresult {
    match error {
        LoadError::Read { .. } => Hresult::HRESULT_ERROR_NOT_FOUND,
        LoadError::Contract { .. } => Hresult::HRESULT_ERROR_BAD_FORMAT,
        LoadError::TooLarge { .. } => Hresult::HRESULT_ERROR_FILE_TOO_LARGE,
        LoadError::CompileTime { .. } => Hresult::HRESULT_ERROR_TIMEOUT,
        LoadError::CompileMemory { .. } => Hresult::E_OUTOFMEMORY,
        LoadError::Compile { .. } => Hresult::E_FAIL,
        LoadError::Precompiled { reason, .. } => match reason {
            PrecompiledError::Foreign | PrecompiledError::Damaged => {
                Hresult::HRESULT_ERROR_FILE_CORRUPT
            }
            PrecompiledError::OtherHost { .. } => Hresult::HRESULT_ERROR_PRODUCT_VERSION,
        },
    }
}

/// Returns the HRESULT of a session that the host terminated, distinct for each reason.
pub const fn from_termination_reason(reason: TerminationReason) -> Hresult {
    match reason {
        TerminationReason::Killed => Hresult::HRESULT_ERROR_CANCELLED,
        TerminationReason::CancelledAll => Hresult::HRESULT_ERROR_OPERATION_ABORTED,
        TerminationReason::CancelledItem => Hresult::HRESULT_ERROR_SERVICE_REQUEST_TIMEOUT,
        TerminationReason::ComputeTime => Hresult::HRESULT_ERROR_NOT_ENOUGH_QUOTA,
        TerminationReason::WallTime => Hresult::HRESULT_ERROR_TIMEOUT,
        TerminationReason::IdleTime => Hresult::HRESULT_WAIT_TIMEOUT,
        TerminationReason::Memory => Hresult::E_OUTOFMEMORY,
        TerminationReason::Tables => Hresult::HRESULT_ERROR_NO_SYSTEM_RESOURCES,
        TerminationReason::Stack => Hresult::HRESULT_ERROR_STACK_OVERFLOW,
        TerminationReason::Handles => Hresult::HRESULT_ERROR_TOO_MANY_OPEN_FILES,
        TerminationReason::HostCallBytes => Hresult::HRESULT_ERROR_BUFFER_OVERFLOW,
        TerminationReason::Instances => Hresult::HRESULT_ERROR_TOO_MANY_MODULES,
        TerminationReason::Denied => Hresult::E_ACCESSDENIED,
        TerminationReason::ItemBytes => Hresult::HRESULT_ERROR_NOT_ENOUGH_SERVER_MEMORY,
        TerminationReason::RecordBytes => Hresult::HRESULT_ERROR_LOG_FILE_FULL,
    }
}

macro_rules! has_hresult {
    ($($error:ident: $function:ident;)*) => {$(
        impl $error {
            /// Returns the HRESULT for a native caller.
            pub const fn hresult(&self) -> Hresult {
                $function(self)
            }
        }

        impl From<&$error> for Hresult {
            fn from(error: &$error) -> Self {
                $function(error)
            }
        }
    )*};
}

has_hresult! {
    SessionError: from_session_error;
    StartError: from_start_error;
    LoadError: from_load_error;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_print_with_their_number() {
        assert_eq!(Hresult::S_SYNCMGR_CANCELITEM.to_string(), "S_SYNCMGR_CANCELITEM (0x00040203)");
        assert_eq!(Hresult(0x8001_0108).to_string(), "0x80010108");
    }

    #[test]
    fn a_response_round_trips() {
        for response in
            [ProgressResponse::Continue, ProgressResponse::CancelItem, ProgressResponse::CancelAll]
        {
            let hresult = from_progress_response(response);
            assert!(hresult.is_success(), "{hresult}");
            assert_eq!(to_progress_response(hresult), response);
        }
    }

    #[test]
    fn undocumented_results_have_a_response() {
        for (hresult, expected) in [
            (Hresult::S_FALSE, ProgressResponse::Continue),
            (Hresult::S_SYNCMGR_RETRYSYNC, ProgressResponse::Continue),
            (Hresult::S_SYNCMGR_MISSINGITEMS, ProgressResponse::Continue),
            (Hresult(0x7FFF_FFFF), ProgressResponse::Continue),
            (Hresult::E_FAIL, ProgressResponse::CancelAll),
            (Hresult(0x8001_0108), ProgressResponse::CancelAll),
            (Hresult(0xFFFF_FFFF), ProgressResponse::CancelAll),
        ] {
            assert_eq!(to_progress_response(hresult), expected, "{hresult}");
        }
    }

    #[test]
    fn every_termination_reason_has_a_unique_hresult_and_code() {
        let mut hresults = std::collections::HashSet::new();
        let mut codes = std::collections::HashSet::new();
        for &reason in TerminationReason::ALL {
            let hresult = from_termination_reason(reason);
            assert!(!hresult.is_success() && hresult.name().is_some(), "{reason:?}: {hresult}");
            assert!(hresults.insert(hresult), "{reason:?}: {hresult} belongs to two reasons");
            assert!(codes.insert(reason.code()), "{reason:?}");
            assert_eq!(TerminationReason::from_number(reason.number()), Some(reason));
        }
    }

    #[test]
    fn every_error_code_has_a_unique_hresult() {
        let mut seen = std::collections::HashMap::new();
        for code in ErrorCode::ALL {
            let hresult = from_error_code(code);
            assert!(!hresult.is_success(), "{hresult}");
            assert!(hresult.name().is_some(), "{hresult} has no name");
            assert_eq!(seen.insert(hresult, code), None, "{hresult} belongs to two reasons");
        }
    }
}

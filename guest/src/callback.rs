//! Calls to the sync manager that concern the handler as a whole. They work in every method of a
//! [`Plugin`](crate::Plugin), including `items` and `prepare`, which have no
//! [`SyncContext`](crate::SyncContext).
//!
//! ```no_run
//! use syncmgr_plugin::{LogLevel, PrepareOutcome, Result, callback};
//!
//! fn prepare() -> Result<PrepareOutcome> {
//!     if let Err(error) = callback::establish_connection(None) {
//!         callback::log(LogLevel::Warning, &format!("no network: {error}"));
//!     }
//!     match callback::question("Replace the local changes?", &["no", "yes"], 0)? {
//!         0 => Ok(PrepareOutcome::NeedsUser),
//!         _ => Ok(PrepareOutcome::Prepared),
//!     }
//! }
//! ```

use crate::bindings::syncmgr::plugin::synchronize_callback::UserQuestion;
use crate::bindings::syncmgr::plugin::types as wit;
use crate::bindings::syncmgr::plugin::types::LogLevel;
use crate::error::{Error, ErrorCode, Result};
use crate::guid::{ErrorId, ItemId};
use crate::imports::callback;

/// Logs a message for the handler as a whole, which the user sees in the results.
pub fn log(level: LogLevel, text: &str) {
    log_with(level, text, None, None, None);
}

/// Logs an error for which [`Plugin::show_error`](crate::Plugin::show_error) returns details.
pub fn log_error(error: &Error, id: ErrorId) {
    log_with(LogLevel::Error, &error.to_string(), None, Some(id), Some(error.code));
}

/// Deletes the log entries with this id; `None` deletes all entries of this run.
pub fn delete_log_error(id: Option<ErrorId>) {
    callback::delete_log_error(id.map(ErrorId::to_wit));
}

/// Asks the user a question and returns the index of the answer in `choices`. Returns
/// `default_choice` at once in a run without user interaction.
///
/// # Errors
/// Fails with [`InvalidArgument`](ErrorCode::InvalidArgument) if there are no choices, more than
/// 16, or if `default_choice` is not an index of `choices`.
pub fn question(text: &str, choices: &[&str], default_choice: u32) -> Result<u32> {
    ask(None, text, choices, default_choice)
}

/// Establishes a network connection, which lasts until the run ends; `None` is the default
/// connection.
///
/// # Errors
/// Fails with [`NotConnected`](ErrorCode::NotConnected) if the connection cannot be established,
/// and with [`NotImplemented`](ErrorCode::NotImplemented) if the host does not establish
/// connections.
pub fn establish_connection(connection: Option<&str>) -> Result<()> {
    Ok(callback::establish_connection(connection)?)
}

pub(crate) fn log_with(
    level: LogLevel,
    text: &str,
    item: Option<ItemId>,
    id: Option<ErrorId>,
    code: Option<ErrorCode>,
) {
    let info = wit::LogErrorInfo {
        error_flags: id.map(|_| wit::ErrorFlags::ENABLE_JUMP_TEXT),
        error_id: id.map(ErrorId::to_wit),
        item_id: item.map(ItemId::to_wit),
        code,
    };
    // It fails only for an unknown item, and a `SyncContext` always has an item of the run.
    let _ = callback::log_error(level, text, info);
}

pub(crate) fn ask(
    item: Option<ItemId>,
    text: &str,
    choices: &[&str],
    default_choice: u32,
) -> Result<u32> {
    Ok(callback::question(&UserQuestion {
        item_id: item.map(ItemId::to_wit),
        text: text.to_owned(),
        choices: choices.iter().map(|&choice| choice.to_owned()).collect(),
        default_choice,
    })?)
}

//! Calls to the sync manager about the handler as a whole. They work in every method of a
//! [`Plugin`](crate::Plugin), also in `items` and `prepare`, which have no [`ItemRun`](crate::ItemRun).
//!
//! ```no_run
//! use syncmgr_plugin::{LogLevel, PrepareOutcome, Result, callback};
//!
//! fn prepare() -> Result<PrepareOutcome> {
//!     if let Err(error) = callback::establish_connection(None) {
//!         callback::log(LogLevel::Warning, &format!("there is no network: {error}"));
//!     }
//!     match callback::question("Replace the local changes?", &["no", "yes"], 0)? {
//!         0 => Ok(PrepareOutcome::NeedsUser),
//!         _ => Ok(PrepareOutcome::Prepared),
//!     }
//! }
//! ```

use crate::bindings::syncmgr::plugin::types as wit;
use crate::error::{Error, ErrorCode, Result};
use crate::guid::{ErrorId, ItemId};
use crate::imports::callback;
use crate::run::{LogLevel, UserQuestion};

/// Adds an entry about no item to the results that the user sees.
pub fn log(level: LogLevel, text: &str) {
    log_with(level, text, None, None, None);
}

/// Adds an error that [`Plugin::show_error`](crate::Plugin::show_error) has details about.
pub fn log_error(error: &Error, id: ErrorId) {
    log_with(LogLevel::Error, &error.to_string(), None, Some(id), Some(error.code));
}

/// Removes the entries with this id from the results, or (`None`) all that this run added.
pub fn delete_log_error(id: Option<ErrorId>) {
    callback::delete_log_error(id.map(ErrorId::to_wit));
}

/// Asks the user a question and returns the index of the answer in `choices`. In a run that may not
/// bother the user, this is `default_choice`.
///
/// # Errors
/// `invalid-argument` if there are no choices, more than 16, or no choice `default_choice`.
pub fn question(text: &str, choices: &[&str], default_choice: u32) -> Result<u32> {
    ask(None, text, choices, default_choice)
}

/// Asks for a network connection; `None`: the default one. It stays until the run ends.
///
/// # Errors
/// `not-connected`, and `not-implemented` if the host makes no connections.
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
    // The only failure is an id that is no item of the run, and every `ItemRun` is about one.
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

//! The operator's settings, from `syncmgr run … --set KEY=VALUE` or a job file.
//!
//! They are environment variables, so that every language can read them. A setting applies to all
//! items (`mode`) or to one (`docs.mode`, where `docs` is the item's key).
//!
//! ```
//! use syncmgr_plugin::prelude::*;
//!
//! fn days(item: &str) -> Result<u32> {
//!     let Some(text) = settings::get(Some(item), "days") else { return Ok(30) };
//!     text.parse().map_err(|_| {
//!         let message = format!("setting `days` is `{text}`; use a number of days");
//!         Error::new(ErrorCode::InvalidArgument, message)
//!     })
//! }
//! # assert_eq!(days("inbox"), Ok(30));
//! ```

use crate::error::{Error, ErrorCode, Result};
use crate::imports::{setting, setting_names};

/// Returns the value of a setting: that of the item, or else that for all items.
pub fn get(item: Option<&str>, name: &str) -> Option<String> {
    item.and_then(|item| setting(&format!("{item}.{name}"))).or_else(|| setting(name))
}

/// Returns the names of all settings, such as `mode` and `docs.mode`, to reject unknown ones.
pub fn names() -> Vec<String> {
    setting_names()
}

/// Returns the value of a setting that is `true` or `false`.
///
/// # Errors
/// Fails with [`InvalidArgument`](ErrorCode::InvalidArgument) for any other value.
pub fn flag(item: Option<&str>, name: &str, default: bool) -> Result<bool> {
    match get(item, name).as_deref() {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("setting `{name}` is `{other}`; use `true` or `false`"),
        )),
    }
}

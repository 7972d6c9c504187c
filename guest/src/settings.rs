//! Settings that the operator gave: `syncmgr run … --set KEY=VALUE`, or a job file.
//!
//! They arrive as environment variables, so that every language can read them. A setting may
//! be given for all items (`mode`) or for one (`docs.mode`, where `docs` is the item's key).

use crate::error::{Error, ErrorCode, Result};
use crate::imports::setting;

/// The value of a setting, for an item if it has one of its own. `None`: not given.
pub fn get(item: Option<&str>, name: &str) -> Option<String> {
    item.and_then(|item| setting(&format!("{item}.{name}"))).or_else(|| setting(name))
}

/// A setting that is `true` or `false`.
///
/// # Errors
/// `invalid-argument` for any other value.
pub fn flag(item: Option<&str>, name: &str, default: bool) -> Result<bool> {
    match get(item, name).as_deref() {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("the setting {name} is `{other}`; it can be `true` or `false`"),
        )),
    }
}

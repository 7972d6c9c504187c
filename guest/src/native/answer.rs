//! Results of the imported functions.

use std::io;

use crate::bindings::syncmgr::plugin::types as wit;
use crate::error::{Error, ErrorCode};

pub(crate) type Answer<T> = Result<T, wit::Error>;

impl From<io::Error> for wit::Error {
    fn from(error: io::Error) -> Self {
        Error::from(error).into()
    }
}

pub(crate) fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Answer<T> {
    Err(wit::Error { code, message: message.into() })
}

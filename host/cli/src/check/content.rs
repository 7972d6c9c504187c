//! Bytes in a recording, as text if possible.

use std::ffi::OsString;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::{Deserialize, Serialize};

/// A name, a link target or the value of a header, as Unicode if possible.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Unicode(String),
    Bytes { base64: String },
}

impl Default for Text {
    fn default() -> Self {
        Self::Unicode(String::new())
    }
}

impl Text {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Unicode(text.to_owned()),
            Err(_) => Self::Bytes { base64: BASE64.encode(bytes) },
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Unicode(text) => text.len() as u64,
            Self::Bytes { base64 } => base64.len() as u64,
        }
    }

    /// Returns the bytes; `None` if they are not valid base64.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Unicode(text) => Some(text.clone().into_bytes()),
            Self::Bytes { base64 } => BASE64.decode(base64).ok(),
        }
    }

    /// Returns the path, if it exists on this system.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Unicode(text) => Some(text.into()),
            Self::Bytes { .. } => os_string(self.bytes()?).map(PathBuf::from),
        }
    }
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(_bytes: Vec<u8>) -> Option<OsString> {
    None
}

/// The content of a file or of a body, as text if possible, so that a recording is readable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    Text(String),
    Base64(String),
}

impl Content {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        // JSON escapes most control characters with six bytes.
        let plain = |byte: &u8| *byte >= b' ' || b"\n\r\t".contains(byte);
        match bytes.iter().all(plain) {
            true => String::from_utf8(bytes)
                .map_or_else(|error| Self::Base64(BASE64.encode(error.as_bytes())), Self::Text),
            false => Self::Base64(BASE64.encode(bytes)),
        }
    }

    /// Returns the size in a recording.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Text(text) => {
                let escaped = text.bytes().filter(|byte| b"\n\r\t\"\\".contains(byte)).count();
                (text.len() + escaped) as u64
            }
            Self::Base64(text) => text.len() as u64,
        }
    }

    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Base64(text) => BASE64.decode(text).ok(),
        }
    }
}

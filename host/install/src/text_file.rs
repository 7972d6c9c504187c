//! Text files that users write.

use std::io::{Error, ErrorKind, Read as _, Result};
use std::path::Path;

/// The largest job file or secret that is read, in bytes.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// Reads a file as UTF-8.
///
/// # Errors
/// Returns the errors of the system, and [`ErrorKind::InvalidData`] for a file that is too large or
/// not UTF-8.
pub(crate) fn read(path: &Path) -> Result<String> {
    read_open(std::fs::File::open(path)?)
}

/// Reads an open file as UTF-8.
///
/// # Errors
/// As of [`read`].
pub(crate) fn read_open(file: std::fs::File) -> Result<String> {
    let invalid = |what: String| Error::new(ErrorKind::InvalidData, what);
    let mut bytes = Vec::new();
    // The metadata of a device or a pipe does not have the length of its content.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(format!("the file is larger than {} MiB", MAX_BYTES >> 20)));
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") || bytes.contains(&0) {
        return Err(invalid("the file is UTF-16 or binary; save it as UTF-8".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| invalid(format!("the file is not UTF-8 ({error})")))
}

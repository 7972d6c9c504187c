//! The format of small files in the storage of a plugin: a magic number, the serialized content, and
//! a checksum.

use serde::{Deserialize, Serialize};
use syncmgr_plugin::{Error, Result};

const CHECKSUM_BYTES: usize = 32;

/// Returns the bytes of a file. `magic` is its type and version.
///
/// # Errors
/// Fails if the content cannot be serialized.
pub fn seal(magic: &[u8], content: &impl Serialize) -> Result<Vec<u8>> {
    let content =
        postcard::to_allocvec(content).map_err(|error| Error::failed(error.to_string()))?;
    let mut bytes = [magic, &content].concat();
    let checksum = blake3::hash(&bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    Ok(bytes)
}

/// Returns the content of a file; `None`: the bytes are not exactly those of [`seal`].
pub fn unseal<'a, T: Deserialize<'a>>(magic: &[u8], bytes: &'a [u8]) -> Option<T> {
    let (sealed, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    if blake3::hash(sealed).as_bytes() != checksum {
        return None;
    }
    match postcard::take_from_bytes(sealed.strip_prefix(magic)?) {
        Ok((content, [])) => Some(content),
        Ok(_) | Err(_) => None,
    }
}

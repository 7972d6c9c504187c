//! Small files in the storage of a plugin: a magic number, the serialized content, and a checksum.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, Result};

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

/// Loads the content of a file of at most `limit` bytes. One that cannot be used is ignored.
pub fn load<T: DeserializeOwned>(
    storage: &Directory,
    name: &str,
    magic: &[u8],
    limit: usize,
) -> Option<T> {
    unseal(magic, &storage.open_file(name).ok()?.read_to_end(limit).ok()?)
}

/// Replaces a file at once: an interruption leaves the old or the new content.
///
/// # Errors
/// Fails if the storage cannot be written.
pub fn store(
    storage: &Directory,
    name: &str,
    magic: &[u8],
    content: &impl Serialize,
) -> Result<()> {
    let new = format!("{name}.new");
    match storage.remove_file(&new) {
        Err(error) if error.code != ErrorCode::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    storage.create_file(&new)?.write(&seal(magic, content)?)?;
    storage.rename(&new, storage, name)
}

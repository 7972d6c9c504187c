//! Open files.

use super::EntryMetadata;
use crate::error::{Error, ErrorCode, Result};
use crate::imports::directories as wit;

/// An open regular file.
#[derive(Debug)]
pub struct File(pub(super) wit::File);

impl File {
    /// Returns the metadata of the file.
    pub fn metadata(&self) -> Result<EntryMetadata> {
        Ok(self.0.metadata()?)
    }

    /// Reads at most `len` bytes; none at the end of the file.
    pub fn read(&self, len: u32) -> Result<Vec<u8>> {
        Ok(self.0.read(len)?)
    }

    /// Reads from the current position to the end of the file.
    ///
    /// # Errors
    /// Fails with [`InvalidArgument`](ErrorCode::InvalidArgument) if that is more than `limit`
    /// bytes.
    pub fn read_to_end(&self, limit: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let page = self.read(1 << 20)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&page);
            if all.len() > limit {
                return Err(Error::new(
                    ErrorCode::InvalidArgument,
                    format!("the file is larger than {limit} bytes"),
                ));
            }
        }
    }

    /// Writes all bytes.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        // The host accepts no more in one call.
        bytes.chunks(1 << 20).try_for_each(|chunk| Ok(self.0.write(chunk)?))
    }

    /// Reads at most `len` bytes into the digest, and returns how many; 0 at the end of the file.
    pub fn hash(&self, len: u64) -> Result<u64> {
        Ok(self.0.hash(len)?)
    }

    /// Copies at most `len` bytes from the position of `source`, and returns how many; 0 at its
    /// end.
    pub fn copy_from(&self, source: &File, len: u64) -> Result<u64> {
        Ok(self.0.copy_from(&source.0, len)?)
    }

    /// Returns the BLAKE3 digest of the bytes that [`File::hash`] read from this handle, or that
    /// [`File::copy_from`] copied from it.
    pub fn digest(&self) -> [u8; 32] {
        digest(&self.0.digest())
    }

    /// Sets the modification time, in nanoseconds since 1970.
    pub fn set_modified(&self, modified: i64) -> Result<()> {
        Ok(self.0.set_modified(modified)?)
    }

    /// Sets the permission bits.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        Ok(self.0.set_mode(mode)?)
    }

    /// Flushes the content and the metadata to the disk.
    pub fn flush(&self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    let len = bytes.len().min(32);
    digest[..len].copy_from_slice(&bytes[..len]);
    digest
}

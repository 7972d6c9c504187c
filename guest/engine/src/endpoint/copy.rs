//! Reads files of a side, to copy them.

use std::io::Read;

use syncmgr_plugin::{Error, Interrupt, Result};

use super::{Endpoint, Metadata, Progress, changed};
use crate::tree::{Digest, Fingerprint};

/// A file to open.
#[derive(Clone, Copy, Debug)]
pub struct OpenRequest<'a> {
    /// The path.
    pub path: &'a str,
    /// The fingerprint of the file when it was listed; `None`: unknown. A side that does not know
    /// the fingerprint of an open file returns this one.
    pub expected: Option<&'a Fingerprint>,
}

/// An open file.
pub struct Content {
    /// The metadata when it was opened.
    pub metadata: Metadata,
    /// The content.
    pub reader: Box<dyn Read>,
}

impl Content {
    /// Reads the content, and returns its digest. `progress` is called after each part, with the
    /// number of bytes.
    ///
    /// # Errors
    /// Fails with [`Changed`](syncmgr_plugin::ErrorCode::Changed) if the length is not that of the
    /// metadata, and with the interrupts of `progress`.
    pub fn digest(mut self, progress: &mut Progress<'_>) -> Result<Digest, Interrupt> {
        let size = self.metadata.fingerprint.size;
        let mut hasher = blake3::Hasher::new();
        let read = pump(&mut *self.reader, size, progress, |part| {
            hasher.update(part);
            Ok(())
        })?;
        match read == size {
            true => Ok(*hasher.finalize().as_bytes()),
            false => Err(changed("the file").into()),
        }
    }
}

/// A file to receive.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// The path of the source.
    pub path: &'a str,
    /// The path of the copy until it is complete.
    pub temp: &'a str,
    /// The name that the copy gets.
    pub name: &'a str,
    /// The expected source. Its size is that of the copy.
    pub source: Fingerprint,
    /// The permission bits of the copy; `None`: those of a new file.
    pub mode: Option<u16>,
    /// Whether the copy replaces the entry of that name, whose attributes it may get.
    pub replaces: bool,
    /// Whether the copy gets the owner of its source if it replaces nothing.
    pub owner: bool,
}

impl Transfer<'_> {
    /// Reads the source, and passes each part of it to `give`. `progress` is called after each part,
    /// with the number of bytes.
    ///
    /// # Errors
    /// Fails with [`Changed`](syncmgr_plugin::ErrorCode::Changed) if the source does not match
    /// [`Transfer::source`], and with the interrupts of `progress` and of `give`.
    pub fn read(
        &self,
        from: &mut dyn Endpoint,
        progress: &mut Progress<'_>,
        mut give: impl FnMut(&[u8]) -> Result<(), Interrupt>,
    ) -> Result<Received, Interrupt> {
        let content = self.open(from)?;
        self.read_content(content, progress, &mut give)
    }

    /// Opens the source.
    ///
    /// # Errors
    /// Fails with [`Changed`](syncmgr_plugin::ErrorCode::Changed) if it does not match
    /// [`Transfer::source`].
    pub fn open(&self, from: &mut dyn Endpoint) -> Result<Content> {
        let open = OpenRequest { path: self.path, expected: Some(&self.source) };
        let content = from.open(&[open]).pop();
        self.expect(content.unwrap_or_else(|| Err(Error::failed("no result")))?)
    }

    fn expect(&self, content: Content) -> Result<Content> {
        match content.metadata.fingerprint.is_still(&self.source) {
            true => Ok(content),
            false => Err(changed("the file")),
        }
    }

    /// Reads the open source.
    pub(crate) fn read_content(
        &self,
        content: Content,
        progress: &mut Progress<'_>,
        give: &mut dyn FnMut(&[u8]) -> Result<(), Interrupt>,
    ) -> Result<Received, Interrupt> {
        let Content { metadata, mut reader } = self.expect(content)?;
        let source = metadata.fingerprint;
        let mut hasher = blake3::Hasher::new();
        let read = pump(&mut *reader, source.size, progress, |part| {
            hasher.update(part);
            give(part)
        })?;
        match read == source.size {
            true => Ok(Received { source, digest: *hasher.finalize().as_bytes() }),
            false => Err(changed("the file").into()),
        }
    }
}

/// A received copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The fingerprint of the source when it was read.
    pub source: Fingerprint,
    /// The digest of the content.
    pub digest: Digest,
}

/// Reads at most `size` bytes and one more, part by part. Returns the number of bytes.
fn pump(
    reader: &mut dyn Read,
    size: u64,
    progress: &mut Progress<'_>,
    mut give: impl FnMut(&[u8]) -> Result<(), Interrupt>,
) -> Result<u64, Interrupt> {
    let mut part = vec![0; PART_BYTES];
    let mut total = 0;
    loop {
        let read = reader.read(&mut part).map_err(syncmgr_plugin::http::interrupt)?;
        if read == 0 {
            return Ok(total);
        }
        total += read as u64;
        // A file that another program keeps appending to might never end.
        if total > size {
            return Err(changed("the file").into());
        }
        give(&part[..read])?;
        progress(read as u64)?;
    }
}

const PART_BYTES: usize = 256 << 10;

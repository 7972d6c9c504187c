//! An open regular file.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::SystemTime;

use super::attributes::exact_time;
use super::system;

/// Bytes that go through memory at once when copying.
pub(crate) const COPY_BYTES: usize = 256 << 10;

/// An open regular file.
#[allow(unreachable_pub, reason = "the generated bindings name it")]
#[derive(Debug)]
pub struct File {
    pub(crate) file: Arc<std::fs::File>,
    pub(crate) writable: bool,
    pub(crate) stored: bool,
    pub(crate) hasher: blake3::Hasher,
    /// When the file was changed that this is a copy of, where a timestamp cannot express it.
    pub(crate) exact: Option<SystemTime>,
}

impl File {
    pub(crate) fn new(file: std::fs::File, writable: bool, stored: bool) -> Self {
        Self::open(Arc::new(file), writable, stored)
    }

    pub(crate) fn open(file: Arc<std::fs::File>, writable: bool, stored: bool) -> Self {
        Self { file, writable, stored, hasher: blake3::Hasher::new(), exact: None }
    }

    /// The same as a copy of a file.
    pub(crate) fn copy_of(mut self, source: &std::fs::File) -> io::Result<Self> {
        self.exact = exact_time(source, system::file_metadata(source)?.modified);
        Ok(self)
    }
}

/// Reads a piece of a file into the buffer; how much there was.
pub(crate) fn read_piece(mut file: &std::fs::File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

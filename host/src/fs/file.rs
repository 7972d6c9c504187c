//! An open regular file.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::SystemTime;

use super::attributes::exact_time;
use super::system;

/// The size of the buffer for copying.
pub(crate) const COPY_BYTES: usize = 256 << 10;

/// An open regular file.
#[allow(unreachable_pub, reason = "the generated bindings name it")]
#[derive(Debug)]
pub struct File {
    pub(crate) file: Arc<std::fs::File>,
    pub(crate) writable: bool,
    pub(crate) stored: bool,
    pub(crate) hasher: blake3::Hasher,
    /// The exact modification time of the copied file, if a timestamp cannot represent it.
    pub(crate) exact: Option<SystemTime>,
}

impl File {
    pub(crate) fn new(file: std::fs::File, writable: bool, stored: bool) -> Self {
        Self::open(Arc::new(file), writable, stored)
    }

    pub(crate) fn open(file: Arc<std::fs::File>, writable: bool, stored: bool) -> Self {
        Self { file, writable, stored, hasher: blake3::Hasher::new(), exact: None }
    }

    /// Marks the file as a copy of another.
    pub(crate) fn copy_of(mut self, source: &std::fs::File) -> io::Result<Self> {
        self.exact = exact_time(source, system::file_metadata(source)?.modified);
        Ok(self)
    }
}

/// Reads into the buffer, and returns the number of bytes.
pub(crate) fn read_piece(mut file: &std::fs::File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

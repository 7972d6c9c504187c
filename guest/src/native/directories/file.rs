//! Open files.

use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;

use super::metadata::{check_kind, metadata, set_mode, system_time};
use crate::bindings::syncmgr::plugin::directories::{Access, EntryMetadata};
use crate::bindings::syncmgr::plugin::types::ErrorCode;
use crate::native::answer::{Answer, refuse};
use crate::native::session;

/// The most bytes that one call reads.
const READ_BYTES: u32 = 1 << 20;

#[derive(Debug)]
pub(crate) struct File {
    pub(super) file: fs::File,
    pub(super) path: PathBuf,
    access: Access,
    hasher: RefCell<blake3::Hasher>,
    buffer: RefCell<Vec<u8>>,
}

impl File {
    fn new(file: fs::File, path: PathBuf, access: Access) -> Self {
        Self { file, path, access, hasher: RefCell::default(), buffer: RefCell::default() }
    }

    /// Opens a regular file for reading.
    pub(super) fn open(path: PathBuf) -> Answer<Self> {
        check_kind(&path, fs::FileType::is_file, "not a regular file")?;
        Ok(Self::new(fs::File::open(&path)?, path, Access::ReadOnly))
    }

    /// Creates a regular file.
    pub(super) fn create(path: PathBuf) -> Answer<Self> {
        Ok(Self::new(fs::File::create_new(&path)?, path, Access::ReadWrite))
    }

    fn enter(call: &str) -> Answer<()> {
        session::enter(&format!("file.{call}"))
    }

    /// Fails if the file may not be changed.
    fn change(&self) -> Answer<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => refuse(ErrorCode::AccessDenied, "the file is open read-only"),
        }
    }

    pub(crate) fn metadata(&self) -> Answer<EntryMetadata> {
        Self::enter("metadata")?;
        Ok(metadata(&self.file.metadata()?))
    }

    pub(crate) fn read(&self, len: u32) -> Answer<Vec<u8>> {
        Self::enter("read")?;
        let mut bytes = Vec::new();
        (&self.file).take(len.min(READ_BYTES).into()).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Answer<()> {
        Self::enter("write")?;
        self.change()?;
        Ok((&self.file).write_all(bytes)?)
    }

    /// Reads at most `len` bytes into the digest, passes them to `act`, and returns how many.
    fn digest_next(&self, len: u64, act: impl FnOnce(&[u8]) -> Answer<()>) -> Answer<u64> {
        let mut bytes = self.buffer.borrow_mut();
        bytes.clear();
        (&self.file).take(len.min(READ_BYTES.into())).read_to_end(&mut bytes)?;
        self.hasher.borrow_mut().update(&bytes);
        act(&bytes)?;
        Ok(bytes.len() as u64)
    }

    pub(crate) fn hash(&self, len: u64) -> Answer<u64> {
        Self::enter("hash")?;
        self.digest_next(len, |_| Ok(()))
    }

    pub(crate) fn copy_from(&self, source: &Self, len: u64) -> Answer<u64> {
        Self::enter("copy-from")?;
        self.change()?;
        source.digest_next(len, |bytes| Ok((&self.file).write_all(bytes)?))
    }

    pub(crate) fn digest(&self) -> Vec<u8> {
        self.hasher.borrow().finalize().as_bytes().to_vec()
    }

    pub(crate) fn set_modified(&self, modified: i64) -> Answer<()> {
        Self::enter("set-modified")?;
        self.change()?;
        Ok(self.file.set_modified(system_time(modified))?)
    }

    pub(crate) fn set_mode(&self, mode: u32) -> Answer<()> {
        Self::enter("set-mode")?;
        self.change()?;
        Ok(set_mode(&self.path, Some(mode))?)
    }

    pub(crate) fn flush(&self) -> Answer<()> {
        Self::enter("flush")?;
        self.sync()
    }

    pub(super) fn sync(&self) -> Answer<()> {
        self.change()?;
        Ok(self.file.sync_all()?)
    }
}

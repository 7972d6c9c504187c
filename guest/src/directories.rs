//! Files in the granted directories and in the plugin's own storage, by handle and without following
//! links: operations that WASI does not offer, or not safely.
//!
//! Every name is that of a single entry of an open directory, never a path. `std::fs` reaches the same
//! files as `/NAME` and `/storage` where that is sufficient.
//!
//! ```
//! use syncmgr_plugin::prelude::*;
//!
//! /// Replaces a file in one step, so that its name always has the old or the new content.
//! fn save(directory: &Directory, name: &str, content: &[u8]) -> Result<()> {
//!     let temp = format!(".{name}.new");
//!     let file = directory.create_file(&temp)?;
//!     file.write(content)?;
//!     file.flush()?;
//!     directory.rename(&temp, directory, name)?;
//!     directory.flush()
//! }
//! # fn main() {}
//! ```
//!
//! # Errors
//! Besides those that a function names, every function fails with
//!
//! - [`NotFound`](ErrorCode::NotFound) if the entry does not exist,
//! - [`Changed`](ErrorCode::Changed) if the entry is of another kind, such as a link,
//! - [`InvalidArgument`](ErrorCode::InvalidArgument) if a name is not that of a single entry,
//! - [`AccessDenied`](ErrorCode::AccessDenied) if the directory is granted read-only, or the system
//!   denies access,
//! - [`NoSpace`](ErrorCode::NoSpace) if the file system or the plugin's storage is full, and
//! - [`InputOutput`](ErrorCode::InputOutput) for other failures of the system.

use crate::bindings::syncmgr::plugin::types::Error as WitError;
use crate::error::{Error, ErrorCode, Result};
use crate::imports::directories::{
    self as wit, CopyAttributes as WitCopyAttributes, CopyRequest as WitCopyRequest,
};

pub use crate::bindings::syncmgr::plugin::directories::{
    Access, Entry, EntryKind, EntryMetadata, EntryName,
};

impl EntryName {
    /// Returns the name, or `None` if it is not valid Unicode: no function accepts such a name.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(name) => Some(name),
            Self::Undecodable(_) => None,
        }
    }

    /// Returns the name for display: approximately, if it is not valid Unicode.
    pub fn display(&self) -> &str {
        let (Self::Text(name) | Self::Undecodable(name)) = self;
        name
    }
}

/// A granted directory.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The name of the grant.
    pub name: String,
    /// The granted access.
    pub access: Access,
    /// The same in every run for the same directory on the same machine.
    pub id: uuid::Uuid,
}

/// Returns the granted directories, in the order of the grants.
pub fn grants() -> Vec<Grant> {
    wit::get_grants()
        .into_iter()
        .map(|grant| Grant {
            name: grant.name,
            access: grant.access,
            id: uuid::Uuid::from_u64_pair(grant.id.high, grant.id.low),
        })
        .collect()
}

/// Opens a granted directory by the name of the grant.
///
/// # Errors
/// Fails with [`AccessDenied`](ErrorCode::AccessDenied) if there is no grant of this name, and with
/// [`NotFound`](ErrorCode::NotFound) if the directory does not exist.
pub fn open_grant(name: &str) -> Result<Directory> {
    Ok(Directory(wit::open_grant(name)?))
}

/// Opens the plugin's own storage, which persists between runs.
///
/// # Errors
/// Fails with [`AccessDenied`](ErrorCode::AccessDenied) if the plugin has no storage.
pub fn open_storage() -> Result<Directory> {
    Ok(Directory(wit::open_storage()?))
}

/// An open directory. Every `name` is a single entry of it.
#[derive(Debug)]
pub struct Directory(wit::Directory);

impl Directory {
    /// Returns the metadata of the directory itself.
    pub fn metadata(&self) -> Result<EntryMetadata> {
        Ok(self.0.metadata()?)
    }

    /// Opens a second handle of the same directory.
    pub fn reopen(&self) -> Result<Directory> {
        Ok(Directory(self.0.reopen()?))
    }

    /// Lists the entries with their metadata. The listing ends at the first failure, and is then
    /// incomplete.
    pub fn list(&self) -> Result<Listing> {
        Ok(Listing { listing: self.0.list()?, page: Vec::new().into_iter(), ended: false })
    }

    /// Returns the metadata of an entry; `None` if it does not exist.
    pub fn stat(&self, name: &str) -> Result<Option<EntryMetadata>> {
        Ok(self.0.stat(name)?)
    }

    /// Opens a directory in this directory.
    pub fn open_directory(&self, name: &str) -> Result<Directory> {
        Ok(Directory(self.0.open_directory(name)?))
    }

    /// Creates a directory; `mode` is its permission bits, 0 to 0o3777.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if the name is taken.
    pub fn create_directory(&self, name: &str, mode: Option<u32>) -> Result<()> {
        Ok(self.0.create_directory(name, mode)?)
    }

    /// Creates a directory with the extended attributes of another one and, if the host runs as root,
    /// with its owner and group.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if the name is taken.
    pub fn create_directory_like(
        &self,
        name: &str,
        source: &Directory,
        mode: Option<u32>,
    ) -> Result<()> {
        Ok(self.0.create_directory_like(name, &source.0, mode)?)
    }

    /// Opens a regular file for reading.
    pub fn open_file(&self, name: &str) -> Result<File> {
        Ok(File(self.0.open_file(name)?))
    }

    /// Creates a regular file that only its owner can read.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if the name is taken.
    pub fn create_file(&self, name: &str) -> Result<File> {
        Ok(File(self.0.create_file(name)?))
    }

    /// Creates an empty regular file with the attributes of a copy of `source`.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if the name is taken.
    pub fn create_copy(
        &self,
        name: &str,
        source: &File,
        attributes: CopyAttributes<'_>,
    ) -> Result<File> {
        Ok(File(self.0.create_copy(name, &source.0, &attributes.to_wit())?))
    }

    /// Returns the target of a symbolic link.
    pub fn read_link(&self, name: &str) -> Result<String> {
        Ok(self.0.read_link(name)?)
    }

    /// Creates a symbolic link.
    ///
    /// # Errors
    /// Fails with [`AccessDenied`](ErrorCode::AccessDenied) if the target is outside the grant, and with
    /// [`NotImplemented`](ErrorCode::NotImplemented) if the file system has no symbolic links.
    pub fn create_link(&self, name: &str, target: &str) -> Result<()> {
        Ok(self.0.create_link(name, target)?)
    }

    /// Removes a file or a link.
    pub fn remove_file(&self, name: &str) -> Result<()> {
        Ok(self.0.remove_file(name)?)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if it is not empty.
    pub fn remove_directory(&self, name: &str) -> Result<()> {
        Ok(self.0.remove_directory(name)?)
    }

    /// Renames an entry, and replaces a file that has the new name.
    ///
    /// # Errors
    /// Fails with [`NotImplemented`](ErrorCode::NotImplemented) if the entry would move to another file
    /// system.
    pub fn rename(&self, name: &str, to: &Directory, to_name: &str) -> Result<()> {
        Ok(self.0.rename(name, &to.0, to_name, true)?)
    }

    /// Renames an entry to a new name.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if the name is taken, and with
    /// [`NotImplemented`](ErrorCode::NotImplemented) if the entry would move to another file system.
    pub fn rename_new(&self, name: &str, to: &Directory, to_name: &str) -> Result<()> {
        Ok(self.0.rename(name, &to.0, to_name, false)?)
    }

    /// Creates a hard link to a file or a link.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if the name is taken, and with
    /// [`NotImplemented`](ErrorCode::NotImplemented) if the file system has no hard links.
    pub fn link(&self, name: &str, to: &Directory, to_name: &str) -> Result<()> {
        Ok(self.0.link(name, &to.0, to_name)?)
    }

    /// Sets the permission bits of a file (0 to 0o777) or a directory (0 to 0o3777). Other bits do not
    /// change.
    pub fn set_mode(&self, name: &str, mode: u32) -> Result<()> {
        Ok(self.0.set_mode(name, mode)?)
    }

    /// Sets the modification time of a file, in nanoseconds since 1970.
    pub fn set_modified(&self, name: &str, modified: i64) -> Result<()> {
        Ok(self.0.set_modified(name, modified)?)
    }

    /// Flushes the entries of the directory to the disk.
    pub fn flush(&self) -> Result<()> {
        Ok(self.0.flush()?)
    }

    /// Locks the directory, so that no other run can lock it until the lock is dropped.
    ///
    /// # Errors
    /// Fails with [`Busy`](ErrorCode::Busy) if another run holds the lock.
    pub fn lock(&self) -> Result<DirectoryLock> {
        Ok(DirectoryLock(self.0.lock()?))
    }
}

/// A lock on a directory. Dropping it, the end of the session or a crash releases it.
#[must_use = "dropping the lock releases it"]
#[derive(Debug)]
pub struct DirectoryLock(#[allow(dead_code, reason = "it is only held")] wit::DirectoryLock);

/// An iterator over the entries of a directory, which fetches a page at a time.
#[derive(Debug)]
pub struct Listing {
    listing: wit::Listing,
    page: std::vec::IntoIter<Entry>,
    ended: bool,
}

impl Iterator for Listing {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        if let Some(entry) = self.page.next() {
            return Some(Ok(entry));
        }
        if self.ended {
            return None;
        }
        match self.listing.next() {
            Ok(page) => {
                self.ended = page.is_empty();
                self.page = page.into_iter();
                self.page.next().map(Ok)
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error.into()))
            }
        }
    }
}

/// An open regular file.
#[derive(Debug)]
pub struct File(wit::File);

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
    /// Fails with [`InvalidArgument`](ErrorCode::InvalidArgument) if that is more than `limit` bytes.
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

    /// Copies at most `len` bytes from the position of `source`, and returns how many; 0 at its end.
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

/// Flushes the content and the metadata of up to 1,024 files, and returns a result for each of them, in
/// their order. Flushing many files together takes little longer than flushing one.
pub fn flush_files(files: &[&File]) -> Vec<Result<()>> {
    let handles: Vec<_> = files.iter().map(|file| &file.0).collect();
    let mut flushed = wit::flush_files(&handles).into_iter();
    let no_answer = || Err(Error::failed("the host did not say whether it was flushed"));
    let answer = |_: &&File| flushed.next().map_or_else(no_answer, |flushed| Ok(flushed?));
    files.iter().map(answer).collect()
}

/// Flushes the entries of up to 1,024 directories, and returns a result for each of them, in their
/// order. Flushing many directories together takes little longer than flushing one.
pub fn flush_directories(directories: &[&Directory]) -> Vec<Result<()>> {
    let handles: Vec<_> = directories.iter().map(|directory| &directory.0).collect();
    let mut flushed = wit::flush_directories(&handles).into_iter();
    let no_answer = || Err(Error::failed("the host did not say whether it was flushed"));
    let answer = |_: &&Directory| flushed.next().map_or_else(no_answer, |flushed| Ok(flushed?));
    directories.iter().map(answer).collect()
}

/// A request to [`copy_files`].
#[derive(Clone, Copy, Debug)]
pub struct CopyRequest<'a> {
    /// The directory of the file.
    pub source: &'a Directory,
    /// The name of the file.
    pub name: &'a str,
    /// The directory of the copy.
    pub target: &'a Directory,
    /// The name of the copy, which is new.
    pub target_name: &'a str,
    /// The most bytes to copy. A longer file is not copied, since it is not the intended one.
    pub max_size: u64,
    /// Whether to read the copy back and compare its digest.
    pub verify: bool,
}

impl<'a> CopyRequest<'a> {
    fn to_wit(self) -> WitCopyRequest<'a> {
        WitCopyRequest {
            source: &self.source.0,
            name: self.name.to_owned(),
            target: &self.target.0,
            target_name: self.target_name.to_owned(),
            max_size: self.max_size,
            verify: self.verify,
        }
    }
}

/// The attributes of a copy. The host skips those that the file system cannot store, or that the host
/// has no permission to set.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyAttributes<'a> {
    /// The permission bits, 0 to 0o777; `None` is the default of the system.
    pub mode: Option<u32>,
    /// The file, in the directory of the copy, that the copy will replace. The copy gets its owner, group,
    /// access control list and extended attributes.
    pub replaces: Option<&'a str>,
    /// Whether a copy that does not replace a file gets the owner and group of its source. Only a host
    /// that runs as root sets them.
    pub owner: bool,
}

impl CopyAttributes<'_> {
    fn to_wit(self) -> WitCopyAttributes {
        WitCopyAttributes {
            mode: self.mode,
            replaces: self.replaces.map(str::to_owned),
            owner: self.owner,
        }
    }
}

/// A file that [`copy_files`] copied.
#[derive(Debug)]
pub struct CopiedFile {
    /// The metadata of the source when it was opened.
    pub source: EntryMetadata,
    /// The BLAKE3 digest of its content.
    pub digest: [u8; 32],
    /// The copy, open read-write, positioned at its end and not flushed.
    pub copy: File,
}

/// Copies up to 1,024 files in parallel, with their times and permission bits, and returns a result for
/// each of them, in their order. A copy that fails leaves no entry behind. The copies count as open
/// files. Cancellation does not interrupt a call, so keep it short.
pub fn copy_files(requests: &[CopyRequest<'_>]) -> Vec<Result<CopiedFile>> {
    let wit_requests: Vec<_> = requests.iter().copied().map(CopyRequest::to_wit).collect();
    answers(wit::copy_files(&wit_requests), requests.len())
}

/// Copies files as [`copy_files`] does, each with the given attributes instead of the permission bits
/// of its source. A copy also gets the extended attributes of its source.
pub fn copy_files_with(
    requests: &[(CopyRequest<'_>, CopyAttributes<'_>)],
) -> Vec<Result<CopiedFile>> {
    let wit_requests: Vec<_> =
        requests.iter().map(|(request, more)| (request.to_wit(), more.to_wit())).collect();
    answers(wit::copy_files_with(&wit_requests), requests.len())
}

/// Returns one result for each of `count` requests.
fn answers(
    copied: Vec<std::result::Result<wit::CopiedFile, WitError>>,
    count: usize,
) -> Vec<Result<CopiedFile>> {
    let mut copied = copied.into_iter();
    let no_answer = || Err(Error::failed("the host did not say whether it was copied"));
    let answer = |_| {
        copied.next().map_or_else(no_answer, |copied| {
            let copied = copied?;
            let digest = digest(&copied.digest);
            Ok(CopiedFile { source: copied.source, digest, copy: File(copied.copy) })
        })
    };
    (0..count).map(answer).collect()
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    let len = bytes.len().min(32);
    digest[..len].copy_from_slice(&bytes[..len]);
    digest
}

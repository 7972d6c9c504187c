//! Open directories.

use super::file::File;
use super::{Entry, EntryMetadata};
#[cfg(doc)]
use crate::error::ErrorCode;
use crate::error::Result;
use crate::imports::directories as wit;

/// An open directory. Every `name` is a single entry of it.
#[derive(Debug)]
pub struct Directory(pub(super) wit::Directory);

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

    /// Creates a directory with the extended attributes of another one and, if the host runs as
    /// root, with its owner and group.
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

    /// Returns the target of a symbolic link.
    pub fn read_link(&self, name: &str) -> Result<String> {
        Ok(self.0.read_link(name)?)
    }

    /// Creates a symbolic link.
    ///
    /// # Errors
    /// Fails with [`AccessDenied`](ErrorCode::AccessDenied) if the target is outside the grant, and
    /// with [`NotImplemented`](ErrorCode::NotImplemented) if the file system has no symbolic links.
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
    /// Fails with [`NotImplemented`](ErrorCode::NotImplemented) if the entry would move to another
    /// file system.
    pub fn rename(&self, name: &str, to: &Directory, to_name: &str) -> Result<()> {
        Ok(self.0.rename(name, &to.0, to_name, true)?)
    }

    /// Renames an entry to a new name.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if the name is taken, and with
    /// [`NotImplemented`](ErrorCode::NotImplemented) if the entry would move to another file
    /// system.
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

    /// Sets the permission bits of a file (0 to 0o777) or a directory (0 to 0o3777). Other bits do
    /// not change.
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
pub struct DirectoryLock(wit::DirectoryLock);

impl DirectoryLock {
    /// Releases the lock, as dropping it does.
    pub fn unlock(self) {
        self.0.unlock();
    }
}

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

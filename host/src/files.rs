//! The files of a directory of the user, for programs that change them without a plugin.
//!
//! Everything is opened relative to an open directory, one name at a time, and never through a
//! link.

mod entries;

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::fs::fence::Fence;
use crate::fs::metadata::{FileIdentity, Links, Metadata, system_time};
use crate::fs::system;
use crate::imports::names::is_entry_name;

pub use entries::{EntryKind, UserEntry, link_stays_inside};

/// The number of entries that are read at once.
const PAGE: usize = 256;

/// An open directory of the user.
///
/// Names are those of single entries; any other name is an error of the kind
/// [`InvalidInput`](io::ErrorKind::InvalidInput).
#[derive(Debug)]
pub struct UserDirectory(system::Handle);

/// A lock on a directory that excludes runs of plugins, until it is dropped.
#[derive(Debug)]
pub struct UserDirectoryLock {
    _lock: system::Lock,
}

/// A regular file at some time. Two of them are equal if it is the same file, and its size and its
/// time are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegularFile {
    size: u64,
    modified: i64,
    identity: FileIdentity,
}

impl RegularFile {
    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the modification time.
    pub fn modified(&self) -> SystemTime {
        system_time(self.modified)
    }

    /// Returns whether both are names of one file.
    pub fn is_same_file(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

/// What a directory has under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A regular file.
    File(RegularFile),
    /// A directory, a symbolic link, or a special file.
    Other,
}

fn checked(name: &str) -> io::Result<&str> {
    match is_entry_name(name) {
        true => Ok(name),
        false => {
            let message = format!("{name:?} is not the name of a single entry");
            Err(io::Error::new(io::ErrorKind::InvalidInput, message))
        }
    }
}

impl UserDirectory {
    /// Opens a directory. Its path may lead through links, but must not end with one.
    ///
    /// # Errors
    /// Returns the errors of the system.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(system::Handle::open(path, Links::Refuse, &Fence::default())?))
    }

    /// Locks the directory as a run of a plugin does that may change it.
    ///
    /// # Errors
    /// Fails with [`WouldBlock`](io::ErrorKind::WouldBlock) if a run holds it.
    pub fn lock(&self) -> io::Result<UserDirectoryLock> {
        Ok(UserDirectoryLock { _lock: system::Lock::new(&self.0, true)? })
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// Returns the errors of the system; also fails for a link.
    pub fn directory(&self, name: &str) -> io::Result<Self> {
        Ok(Self(self.0.open_directory(checked(name)?)?))
    }

    /// Opens a directory in this one, and creates it if it is missing. Only the user can access a
    /// new one, and it remains after a power failure.
    ///
    /// # Errors
    /// Returns the errors of the system; also fails for a link.
    pub fn create_private(&self, name: &str) -> io::Result<Self> {
        match self.0.create_directory(checked(name)?, Some(0o700), None) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => {
                created?;
                self.0.flush()?;
            }
        }
        self.directory(name)
    }

    /// Returns the names of the entries, except for those that are not Unicode.
    ///
    /// # Errors
    /// Returns the errors of the system.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut entries = system::Entries::new(&self.0)?;
        let mut names = Vec::new();
        loop {
            let page = entries.page(PAGE)?;
            if page.is_empty() {
                return Ok(names);
            }
            names.extend(page.into_iter().filter_map(|entry| entry.name.ok()));
        }
    }

    /// Looks at an entry.
    ///
    /// # Errors
    /// Returns the errors of the system.
    pub fn look(&self, name: &str) -> io::Result<Found> {
        match self.0.stat(checked(name)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            found => Ok(found_of(&found?)),
        }
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// Returns the errors of the system; also fails for a link and for a special file.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        self.0.open_file(checked(name)?)
    }

    /// Renames an entry. `replace`: a file with the new name is replaced, at once.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the new name exists, unless
    /// it is replaced. Returns the other errors of the system.
    pub fn rename(&self, name: &str, to: &Self, to_name: &str, replace: bool) -> io::Result<()> {
        self.0.rename(checked(name)?, &to.0, checked(to_name)?, replace)
    }

    /// Gives a file one more name.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the new name exists, and with
    /// [`Unsupported`](io::ErrorKind::Unsupported) if the file system has no hard links or refuses
    /// this one. Returns the other errors of the system.
    pub fn link(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        self.0.link(checked(name)?, &to.0, checked(to_name)?)
    }

    /// Writes the names of the directory to the disk.
    ///
    /// # Errors
    /// Returns the errors of the system.
    pub fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

fn found_of(found: &Metadata) -> Found {
    match found.kind {
        EntryKind::File => Found::File(RegularFile {
            size: found.size,
            modified: found.modified,
            identity: (found.device_id, found.file_id),
        }),
        EntryKind::Directory | EntryKind::SymbolicLink | EntryKind::Other => Found::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_a_single_entry() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let directory = UserDirectory::open(home.path())?;
        std::fs::write(home.path().join("file"), "content")?;
        for name in ["", ".", "..", "../file", "a/b", "/", "a\0b"] {
            let kind = |result: io::Result<()>| result.err().map(|error| error.kind());
            for refused in [
                kind(directory.look(name).map(drop)),
                kind(directory.open_file(name).map(drop)),
                kind(directory.directory(name).map(drop)),
                kind(directory.create_private(name).map(drop)),
                kind(directory.rename("file", &directory, name, false)),
                kind(directory.rename(name, &directory, "new", false)),
                kind(directory.link("file", &directory, name)),
            ] {
                assert_eq!(refused, Some(io::ErrorKind::InvalidInput), "{name:?}");
            }
        }
        assert_eq!(directory.names()?, ["file"]);
        Ok(())
    }

    #[test]
    fn a_changed_file_is_another_one() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let directory = UserDirectory::open(home.path())?;
        let write = |content: &str| std::fs::write(home.path().join("file"), content);
        write("one")?;
        let first = directory.look("file")?;
        assert_eq!(directory.look("file")?, first);
        directory.link("file", &directory, "second name")?;
        assert_eq!(directory.look("second name")?, first);
        write("three")?;
        assert_ne!(directory.look("file")?, first);
        assert_eq!(directory.look("gone")?, Found::Nothing);
        directory.create_private("directory")?;
        assert_eq!(directory.look("directory")?, Found::Other);
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        std::fs::create_dir(home.path().join("outside"))?;
        std::fs::write(home.path().join("outside/secret"), "secret")?;
        std::fs::create_dir(home.path().join("root"))?;
        let root = UserDirectory::open(&home.path().join("root"))?;
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, home.path().join(name));
        link("../outside", "root/directory")?;
        link("../outside/secret", "root/file")?;
        link("root", "link")?;
        assert!(root.directory("directory").is_err());
        assert!(root.create_private("directory").is_err());
        assert!(root.open_file("file").is_err());
        assert_eq!(root.look("file")?, Found::Other);
        assert!(UserDirectory::open(&home.path().join("link")).is_err());
        Ok(())
    }

    #[test]
    fn a_lock_excludes_another_one() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let directory = UserDirectory::open(home.path())?;
        let held = directory.lock()?;
        let other = UserDirectory::open(home.path())?;
        let kind = other.lock().err().map(|error| error.kind());
        assert_eq!(kind, Some(io::ErrorKind::WouldBlock));
        drop(held);
        other.lock()?;
        Ok(())
    }
}

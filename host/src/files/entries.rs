//! Entries of a directory of the user, and functions that create and remove them.

use std::fs::File;
use std::io;
use std::time::SystemTime;

use super::{PAGE, UserDirectory, checked};
use crate::fs::attributes::Attributes;
use crate::fs::links::stays_inside;
pub use crate::fs::metadata::EntryKind;
use crate::fs::metadata::{Metadata, system_time};
use crate::fs::system;

/// An entry of a directory.
#[derive(Clone, Debug)]
pub struct UserEntry {
    name: Result<String, String>,
    metadata: Metadata,
}

impl UserEntry {
    /// Returns the name; `None`: it is not Unicode, so no function takes it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref().ok()
    }

    /// Returns the name for display: approximately, if it is not Unicode.
    pub fn display_name(&self) -> &str {
        let (Ok(name) | Err(name)) = &self.name;
        name
    }

    /// Returns the kind. Links are not followed.
    pub fn kind(&self) -> EntryKind {
        self.metadata.kind
    }

    /// Returns the size in bytes; for a directory, 0.
    pub fn size(&self) -> u64 {
        self.metadata.size
    }

    /// Returns the modification time.
    pub fn modified(&self) -> SystemTime {
        system_time(self.metadata.modified)
    }
}

impl UserDirectory {
    /// Returns the entries, in any order.
    ///
    /// # Errors
    /// Returns the errors of the system.
    pub fn entries(&self) -> io::Result<Vec<UserEntry>> {
        let mut listing = system::Entries::new(&self.0)?;
        let mut entries = Vec::new();
        loop {
            let page = listing.page(PAGE)?;
            if page.is_empty() {
                return Ok(entries);
            }
            for entry in page {
                entries.push(UserEntry { name: entry.name, metadata: entry.metadata? });
            }
        }
    }

    /// Returns an entry; `None`: there is none.
    ///
    /// # Errors
    /// Returns the errors of the system.
    pub fn entry(&self, name: &str) -> io::Result<Option<UserEntry>> {
        match self.0.stat(checked(name)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => Ok(Some(UserEntry { name: Ok(name.to_owned()), metadata: found? })),
        }
    }

    /// Creates a directory with the permissions of a new one.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the name exists. Returns the
    /// other errors of the system.
    pub fn create_directory(&self, name: &str) -> io::Result<()> {
        self.0.create_directory(checked(name)?, None, None)
    }

    /// Creates an empty file with the permissions, the owner and the extended attributes of another
    /// one, as far as the file system and the user can set them.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the name exists. Returns the
    /// other errors of the system.
    pub fn create_copy(&self, name: &str, source: &File) -> io::Result<File> {
        let mode = system::file_metadata(source)?.mode;
        let attributes = Attributes { mode, replaces: None, owner: true, extended: true };
        self.0.create_copy(checked(name)?, source, &attributes)
    }

    /// Creates a file that only the user can access.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the name exists. Returns the
    /// other errors of the system.
    pub fn create_file(&self, name: &str) -> io::Result<File> {
        self.0.create_file(checked(name)?)
    }

    /// Returns the text of a symbolic link.
    ///
    /// # Errors
    /// Returns the errors of the system; also fails for a text that is not Unicode.
    pub fn read_link(&self, name: &str) -> io::Result<String> {
        let text = self.0.read_link(checked(name)?)?;
        text.into_string().map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Creates a symbolic link.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the name exists. Returns the
    /// other errors of the system.
    pub fn create_link(&self, name: &str, text: &str) -> io::Result<()> {
        self.0.create_link(checked(name)?, text)
    }

    /// Removes a file or a link.
    ///
    /// # Errors
    /// Returns the errors of the system.
    pub fn remove_file(&self, name: &str) -> io::Result<()> {
        self.0.remove_file(checked(name)?)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Returns the errors of the system.
    pub fn remove_directory(&self, name: &str) -> io::Result<()> {
        self.0.remove_directory(checked(name)?)
    }
}

/// Returns whether a link with this text stays inside a directory if it is `depth` levels below it.
pub fn link_stays_inside(text: &str, depth: usize) -> bool {
    stays_inside(text, depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_listed_and_links_are_not_followed() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let directory = UserDirectory::open(home.path())?;
        for number in 0..2 * PAGE {
            std::fs::write(home.path().join(format!("file {number}")), "content")?;
        }
        directory.create_directory("directory")?;
        let entries = directory.entries()?;
        assert_eq!(entries.len(), 2 * PAGE + 1);
        let file = entries.iter().find(|entry| entry.name() == Some("file 7")).expect("it is");
        assert_eq!((file.kind(), file.size()), (EntryKind::File, 7));
        let found = directory.entry("directory")?.map(|entry| (entry.kind(), entry.size()));
        assert_eq!(found, Some((EntryKind::Directory, 0)));
        assert!(directory.entry("gone")?.is_none());
        let taken = directory.create_directory("directory").map_err(|error| error.kind());
        assert_eq!(taken, Err(io::ErrorKind::AlreadyExists));
        #[cfg(unix)]
        {
            directory.create_link("link", "file 7")?;
            let link = directory.entry("link")?.map(|entry| entry.kind());
            assert_eq!(link, Some(EntryKind::SymbolicLink));
            assert_eq!(directory.read_link("link")?, "file 7");
            directory.remove_file("link")?;
            assert!(directory.entry("file 7")?.is_some());
        }
        for name in ["", "..", "a/b"] {
            let kind = |result: io::Result<()>| result.err().map(|error| error.kind());
            for refused in [
                kind(directory.entry(name).map(drop)),
                kind(directory.create_directory(name)),
                kind(directory.create_file(name).map(drop)),
                kind(directory.read_link(name).map(drop)),
                kind(directory.create_link(name, "x")),
                kind(directory.remove_file(name)),
                kind(directory.remove_directory(name)),
            ] {
                assert_eq!(refused, Some(io::ErrorKind::InvalidInput), "{name:?}");
            }
        }
        Ok(())
    }
}

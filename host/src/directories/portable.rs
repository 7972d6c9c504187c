//! Directory entries by capability-based handles, where there are no `*at` system calls. Names
//! are single components, checked before.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use cap_fs_ext::{
    DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsMaybeDirExt,
};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions, ReadDir};

use crate::bindings::directories as wit;
use crate::directories::attributes::{Attributes, replaced};
pub(super) use crate::directories::special_names::has_special_meaning;
use crate::directories::special_names::listed;
use crate::directories::usage::{FileIdentity, Seen};
use crate::directories::{Fence, Links};

/// An open directory.
#[derive(Debug)]
pub(super) struct Handle {
    directory: Dir,
    /// Names the directory in the lock, together with its own identity.
    place: PathBuf,
    /// What is left out below it.
    fence: Fence,
}

/// Directories on the way down that are held open at once: handles are not scarce here.
pub(super) const HELD_LEVELS: usize = usize::MAX - 1;
/// What separates the names in the text of a link.
pub(super) const SEPARATORS: &[char] = &['/', '\\'];

pub(super) fn has_drive(target: &str) -> bool {
    target.contains(':')
}

pub(super) fn is_link_in_the_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

fn link_in_the_way() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn metadata(metadata: &Metadata) -> wit::EntryMetadata {
    let kind = match metadata.file_type() {
        kind if kind.is_symlink() => wit::EntryKind::SymbolicLink,
        kind if kind.is_dir() => wit::EntryKind::Directory,
        kind if kind.is_file() => wit::EntryKind::File,
        _ => wit::EntryKind::Other,
    };
    let size = match kind {
        wit::EntryKind::Directory | wit::EntryKind::Other => 0,
        wit::EntryKind::File | wit::EntryKind::SymbolicLink => metadata.len(),
    };
    let modified = metadata.modified().map(|time| {
        let time = time.into_std();
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        }
    });
    wit::EntryMetadata {
        kind,
        size,
        modified: modified.unwrap_or(0),
        changed: None,
        mode: None,
        file_id: MetadataExt::ino(metadata),
        device_id: MetadataExt::dev(metadata),
    }
}

fn read_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No);
    options
}

impl Handle {
    pub(super) fn open(path: &Path, links: Links, fence: &Fence) -> io::Result<Self> {
        if links == Links::Refuse && path.symlink_metadata()?.is_symlink() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let directory = Dir::open_ambient_dir(path, ambient_authority())?;
        Self::admit(directory, path.to_owned(), fence)
    }

    fn admit(directory: Dir, place: PathBuf, fence: &Fence) -> io::Result<Self> {
        let opened = Self { directory, place, fence: fence.clone() };
        if !fence.is_empty() {
            let metadata = opened.metadata()?;
            fence.check(metadata.device_id, metadata.file_id)?;
        }
        Ok(opened)
    }

    pub(super) fn metadata(&self) -> io::Result<wit::EntryMetadata> {
        Ok(metadata(&self.directory.dir_metadata()?))
    }

    pub(super) fn identity(&self) -> io::Result<FileIdentity> {
        let metadata = self.metadata()?;
        Ok((metadata.device_id, metadata.file_id))
    }

    pub(super) fn stat(&self, name: &str) -> io::Result<wit::EntryMetadata> {
        // The full metadata, with the file's identity, is that of an open handle.
        match self.directory.symlink_metadata(name)?.is_symlink() {
            true => Ok(metadata(&self.directory.symlink_metadata(name)?)),
            false => {
                let mut options = read_options();
                options.maybe_dir(true);
                let opened = self.directory.open_with(name, &options)?;
                Ok(metadata(&opened.metadata()?))
            }
        }
    }

    /// An entry, with the number of its names.
    pub(super) fn look_at(&self, name: &str) -> io::Result<Seen> {
        if self.directory.symlink_metadata(name)?.is_symlink() {
            return Ok(seen(&self.directory.symlink_metadata(name)?, 1));
        }
        let mut options = read_options();
        options.maybe_dir(true);
        let metadata = self.directory.open_with(name, &options)?.metadata()?;
        Ok(seen(&metadata, MetadataExt::nlink(&metadata)))
    }

    /// How many directories this one is below another. None that is open can be moved here.
    pub(super) fn depth_below(&self, _root: FileIdentity, opened: usize) -> io::Result<usize> {
        Ok(opened)
    }

    /// The same directory as an open one.
    pub(super) fn of_file(file: &File) -> io::Result<Self> {
        let directory = Dir::from_std_file(file.try_clone()?);
        Ok(Self { directory, place: PathBuf::new(), fence: Fence::default() })
    }

    /// There is no way up: it passes for one of them itself.
    pub(super) fn root_above(&self, _roots: &[FileIdentity]) -> io::Result<(FileIdentity, usize)> {
        Ok((self.identity()?, 0))
    }

    /// No directory is closed on the way down.
    pub(super) fn parent(&self) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn open_directory(&self, name: &str) -> io::Result<Self> {
        if self.directory.symlink_metadata(name)?.is_symlink() {
            return Err(link_in_the_way());
        }
        let directory = self.directory.open_dir_nofollow(name)?;
        Self::admit(directory, self.place.join(name), &self.fence)
    }

    pub(super) fn create_directory(
        &self,
        name: &str,
        _bits: Option<u32>,
        _like: Option<&Self>,
    ) -> io::Result<()> {
        self.directory.create_dir(name)
    }

    pub(super) fn open_file(&self, name: &str) -> io::Result<File> {
        if !self.directory.symlink_metadata(name)?.is_file() {
            return Err(link_in_the_way());
        }
        Ok(self.directory.open_with(name, &read_options())?.into_std())
    }

    pub(super) fn create_file(&self, name: &str) -> io::Result<File> {
        let mut options = read_options();
        options.write(true).create_new(true);
        Ok(self.directory.open_with(name, &options)?.into_std())
    }

    pub(super) fn create_copy(
        &self,
        name: &str,
        source: &File,
        attributes: &Attributes,
    ) -> io::Result<File> {
        let copy = self.create_file(name)?;
        attributes.give_extended(source, replaced(self, attributes).as_ref(), &copy);
        Ok(copy)
    }

    pub(super) fn set_modified(&self, name: &str, modified: i64) -> io::Result<()> {
        if !self.directory.symlink_metadata(name)?.is_file() {
            return Err(link_in_the_way());
        }
        let mut options = read_options();
        options.write(true);
        let file = self.directory.open_with(name, &options)?.into_std();
        file.set_modified(crate::directories::file::system_time(modified))
    }

    pub(super) fn read_link(&self, name: &str) -> io::Result<OsString> {
        if !self.directory.symlink_metadata(name)?.is_symlink() {
            return Err(link_in_the_way());
        }
        Ok(self.directory.read_link_contents(name)?.into_os_string())
    }

    pub(super) fn create_link(&self, name: &str, target: &str) -> io::Result<()> {
        DirExt::symlink(&self.directory, target, name)
    }

    pub(super) fn remove_file(&self, name: &str) -> io::Result<()> {
        self.directory.remove_file_or_symlink(name)
    }

    pub(super) fn remove_directory(&self, name: &str) -> io::Result<()> {
        self.directory.remove_dir(name)
    }

    pub(super) fn rename(
        &self,
        name: &str,
        to: &Self,
        to_name: &str,
        replace: bool,
    ) -> io::Result<()> {
        if !replace {
            // There is no renaming without replacing here; linking is, for files.
            return match self.directory.hard_link(name, &to.directory, to_name) {
                Ok(()) => self.directory.remove_file_or_symlink(name),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
                Err(_) => match to.directory.symlink_metadata(to_name) {
                    Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        self.directory.rename(name, &to.directory, to_name)
                    }
                    Err(error) => Err(error),
                },
            };
        }
        self.directory.rename(name, &to.directory, to_name)
    }

    pub(super) fn link(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        self.directory.hard_link(name, &to.directory, to_name)
    }

    pub(super) fn set_mode(&self, name: &str, _bits: u32) -> io::Result<()> {
        self.directory.symlink_metadata(name).map(|_| ())
    }

    pub(super) fn flush(&self) -> io::Result<()> {
        // The system keeps its directories in order by itself.
        Ok(())
    }
}

/// What tells a directory from every other one.
pub(super) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = Handle::open(path, Links::Follow, &Fence::default())?.metadata()?;
    Ok((metadata.device_id, metadata.file_id))
}

/// Whether a directory may be granted.
pub(super) fn check_grant(path: &Path, fence: &Fence) -> io::Result<()> {
    match Dir::open_ambient_dir(path, ambient_authority()) {
        Ok(opened) => Handle::admit(opened, path.to_owned(), fence).map(|_| ()),
        Err(_) => Ok(()),
    }
}

pub(super) fn file_metadata(file: &File) -> io::Result<wit::EntryMetadata> {
    Ok(metadata(&Metadata::from_file(file)?))
}

pub(super) fn set_mode(_file: &File, _bits: u32) -> io::Result<()> {
    Ok(())
}

/// The entries of a directory that have not been returned yet.
#[derive(Debug)]
pub(super) struct Entries {
    entries: ReadDir,
    directory: Handle,
}

impl Entries {
    pub(super) fn new(directory: &Handle) -> io::Result<Self> {
        let own = directory.directory.try_clone()?;
        let (place, fence) = (directory.place.clone(), directory.fence.clone());
        let directory = Handle { directory: own, place, fence };
        Ok(Self { entries: directory.directory.entries()?, directory })
    }

    pub(super) fn page(&mut self, limit: usize) -> io::Result<Vec<wit::Entry>> {
        let mut page = Vec::new();
        while page.len() < limit {
            let Some(entry) = self.entries.next() else { break };
            let name = entry?.file_name();
            page.extend(listed(&name, |name| self.directory.stat(name)));
        }
        Ok(page)
    }
}

fn seen(of: &Metadata, names: u64) -> Seen {
    let metadata = metadata(of);
    Seen {
        kind: metadata.kind,
        size: metadata.size,
        stored: metadata.size,
        // A directory has one, whatever refers to it from within.
        names: if metadata.kind == wit::EntryKind::Directory { 1 } else { names },
        identity: (metadata.device_id, metadata.file_id),
    }
}

/// An open file, with the number of its names.
pub(crate) fn look_at_file(file: &File) -> io::Result<Seen> {
    let metadata = Metadata::from_file(file)?;
    Ok(seen(&metadata, MetadataExt::nlink(&metadata)))
}

/// Passes on the entries of a directory, with their names where those are Unicode, until told
/// otherwise.
pub(super) fn visit(
    directory: &Handle,
    mut each: impl FnMut(Option<&str>, Seen) -> io::Result<bool>,
) -> io::Result<()> {
    for entry in directory.directory.entries()? {
        let name = entry?.file_name();
        let Some(text) = name.to_str() else { return Err(io::ErrorKind::InvalidFilename.into()) };
        let seen = match directory.look_at(text) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            seen => seen?,
        };
        if !each(Some(text), seen)? {
            break;
        }
    }
    Ok(())
}

pub(super) fn count_entries(directory: &File, most: usize) -> io::Result<usize> {
    let directory = Dir::from_std_file(directory.try_clone()?);
    Ok(directory.entries()?.take(most.saturating_add(1)).count())
}

/// A directory that is held, by a lock file that the system releases with the process.
#[derive(Debug)]
pub(super) struct Lock {
    held: File,
    file: (u64, u64),
    alone: bool,
}

impl Lock {
    /// `None`: it is among those held already. A lock that is held with others becomes one that is
    /// held `alone`, if nobody else has it.
    pub(super) fn new(
        directory: &Handle,
        alone: bool,
        held: &mut [Self],
    ) -> io::Result<Option<Self>> {
        let metadata = directory.metadata()?;
        let file = (metadata.device_id, metadata.file_id);
        if let Some(lock) = held.iter_mut().find(|lock| lock.file == file) {
            if alone && !lock.alone {
                lock.held.unlock()?;
                hold(&lock.held, true).inspect_err(|_| {
                    let _ = hold(&lock.held, false);
                })?;
                lock.alone = true;
            }
            return Ok(None);
        }
        let folder = std::env::temp_dir().join("syncmgr-locks");
        std::fs::create_dir_all(&folder)?;
        let name = format!("{:016x}-{:016x}.lock", file.0, file.1);
        let own =
            File::options().create(true).truncate(false).write(true).open(folder.join(name))?;
        hold(&own, alone)?;
        Ok(Some(Self { held: own, file, alone }))
    }
}

fn hold(file: &File, alone: bool) -> io::Result<()> {
    let held = if alone { file.try_lock() } else { file.try_lock_shared() };
    held.map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        std::fs::TryLockError::Error(error) => error,
    })
}

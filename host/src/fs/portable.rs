//! Directory entries by capability-based handles, for systems without `*at` system calls. Names are
//! single components, checked by the caller.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use cap_fs_ext::{
    DirExt, FollowSymlinks, MetadataExt, OpenOptionsFollowExt, OpenOptionsMaybeDirExt,
};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata as Found, OpenOptions, ReadDir};

use crate::fs::attributes::Attributes;
use crate::fs::fence::Fence;
use crate::fs::metadata::{Entry, EntryKind, FileIdentity, Links, Metadata, Seen, system_time};
pub(crate) use crate::fs::special_names::has_special_meaning;
use crate::fs::special_names::listed;

mod walk;

pub(crate) use walk::leads_out;

/// An open directory.
#[derive(Debug)]
pub(crate) struct Handle {
    directory: Dir,
    /// The path, which together with the directory's identity names it in the lock.
    place: PathBuf,
    /// The excluded directories below it.
    fence: Fence,
}

/// The maximum number of open directories on the way down; handles are not scarce here.
pub(crate) const HELD_LEVELS: usize = usize::MAX - 1;
/// The characters that separate names in the text of a link.
pub(crate) const SEPARATORS: &[char] = &['/', '\\'];

pub(crate) fn has_drive(target: &str) -> bool {
    target.contains(':')
}

pub(crate) fn is_link_in_the_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

fn link_in_the_way() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn metadata(metadata: &Found) -> Metadata {
    let kind = match metadata.file_type() {
        kind if kind.is_symlink() => EntryKind::SymbolicLink,
        kind if kind.is_dir() => EntryKind::Directory,
        kind if kind.is_file() => EntryKind::File,
        _ => EntryKind::Other,
    };
    let size = match kind {
        EntryKind::Directory | EntryKind::Other => 0,
        EntryKind::File | EntryKind::SymbolicLink => metadata.len(),
    };
    let modified = metadata.modified().map(|time| {
        let time = time.into_std();
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        }
    });
    Metadata {
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
    pub(crate) fn open(path: &Path, links: Links, fence: &Fence) -> io::Result<Self> {
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

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        Ok(metadata(&self.directory.dir_metadata()?))
    }

    pub(crate) fn identity(&self) -> io::Result<FileIdentity> {
        let metadata = self.metadata()?;
        Ok((metadata.device_id, metadata.file_id))
    }

    pub(crate) fn stat(&self, name: &str) -> io::Result<Metadata> {
        // The full metadata, with the file's identity, requires an open handle.
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

    /// Returns the metadata of an entry, with the number of its names.
    pub(crate) fn look_at(&self, name: &str) -> io::Result<Seen> {
        if self.directory.symlink_metadata(name)?.is_symlink() {
            return Ok(seen(&self.directory.symlink_metadata(name)?, 1));
        }
        let mut options = read_options();
        options.maybe_dir(true);
        let metadata = self.directory.open_with(name, &options)?.metadata()?;
        Ok(seen(&metadata, MetadataExt::nlink(&metadata)))
    }

    /// Returns the depth of this directory below another. An open directory cannot be moved here.
    pub(crate) fn depth_below(&self, _root: FileIdentity, opened: usize) -> io::Result<usize> {
        Ok(opened)
    }

    /// Wraps an open directory.
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        let directory = Dir::from_std_file(file.try_clone()?);
        Ok(Self { directory, place: PathBuf::new(), fence: Fence::default() })
    }

    /// There is no way to the parent: the directory counts as a root itself.
    pub(crate) fn root_above(&self, _roots: &[FileIdentity]) -> io::Result<(FileIdentity, usize)> {
        Ok((self.identity()?, 0))
    }

    /// No directory is closed on the way down.
    pub(crate) fn parent(&self) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn open_directory(&self, name: &str) -> io::Result<Self> {
        if self.directory.symlink_metadata(name)?.is_symlink() {
            return Err(link_in_the_way());
        }
        let directory = self.directory.open_dir_nofollow(name)?;
        Self::admit(directory, self.place.join(name), &self.fence)
    }

    pub(crate) fn create_directory(
        &self,
        name: &str,
        _bits: Option<u32>,
        _like: Option<&Self>,
    ) -> io::Result<()> {
        self.directory.create_dir(name)
    }

    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        if !self.directory.symlink_metadata(name)?.is_file() {
            return Err(link_in_the_way());
        }
        Ok(self.directory.open_with(name, &read_options())?.into_std())
    }

    pub(crate) fn create_file(&self, name: &str) -> io::Result<File> {
        let mut options = read_options();
        options.write(true).create_new(true);
        Ok(self.directory.open_with(name, &options)?.into_std())
    }

    pub(crate) fn create_copy(
        &self,
        name: &str,
        source: &File,
        attributes: &Attributes,
    ) -> io::Result<File> {
        let copy = self.create_file(name)?;
        let replaced = attributes.open_replaced(|name| self.open_file(name));
        attributes.give_extended(source, replaced.as_ref(), &copy);
        Ok(copy)
    }

    pub(crate) fn set_modified(&self, name: &str, modified: i64) -> io::Result<()> {
        if !self.directory.symlink_metadata(name)?.is_file() {
            return Err(link_in_the_way());
        }
        let mut options = read_options();
        options.write(true);
        let file = self.directory.open_with(name, &options)?.into_std();
        file.set_modified(system_time(modified))
    }

    pub(crate) fn read_link(&self, name: &str) -> io::Result<OsString> {
        if !self.directory.symlink_metadata(name)?.is_symlink() {
            return Err(link_in_the_way());
        }
        Ok(self.directory.read_link_contents(name)?.into_os_string())
    }

    pub(crate) fn create_link(&self, name: &str, target: &str) -> io::Result<()> {
        DirExt::symlink(&self.directory, target, name)
    }

    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        self.directory.remove_file_or_symlink(name)
    }

    pub(crate) fn remove_directory(&self, name: &str) -> io::Result<()> {
        self.directory.remove_dir(name)
    }

    pub(crate) fn rename(
        &self,
        name: &str,
        to: &Self,
        to_name: &str,
        replace: bool,
    ) -> io::Result<()> {
        if !replace {
            // There is no rename without replacement here; linking does the same for files.
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

    pub(crate) fn link(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        self.directory.hard_link(name, &to.directory, to_name)
    }

    pub(crate) fn set_mode(&self, name: &str, _bits: u32) -> io::Result<()> {
        self.directory.symlink_metadata(name).map(|_| ())
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        // The system keeps its directories consistent by itself.
        Ok(())
    }
}

/// Returns the identity of a directory.
pub(crate) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = Handle::open(path, Links::Follow, &Fence::default())?.metadata()?;
    Ok((metadata.device_id, metadata.file_id))
}

/// Checks whether a directory may be granted. Returns whether it exists.
pub(crate) fn check_grant(path: &Path, fence: &Fence) -> io::Result<bool> {
    match Dir::open_ambient_dir(path, ambient_authority()) {
        Ok(opened) => Handle::admit(opened, path.to_owned(), fence).map(|_| true),
        Err(_) => Ok(false),
    }
}

pub(crate) fn file_metadata(file: &File) -> io::Result<Metadata> {
    Ok(metadata(&Found::from_file(file)?))
}

/// Returns both descriptions of a file.
pub(crate) fn look_at_source(file: &File) -> io::Result<(Metadata, Seen)> {
    let found = Found::from_file(file)?;
    Ok((metadata(&found), seen(&found, MetadataExt::nlink(&found))))
}

pub(crate) fn set_mode(_file: &File, _bits: u32) -> io::Result<()> {
    Ok(())
}

/// The remaining entries of a listing.
#[derive(Debug)]
pub(crate) struct Entries {
    entries: ReadDir,
    directory: Handle,
}

impl Entries {
    pub(crate) fn new(directory: &Handle) -> io::Result<Self> {
        let own = directory.directory.try_clone()?;
        let (place, fence) = (directory.place.clone(), directory.fence.clone());
        let directory = Handle { directory: own, place, fence };
        Ok(Self { entries: directory.directory.entries()?, directory })
    }

    pub(crate) fn page(&mut self, limit: usize) -> io::Result<Vec<Entry>> {
        let mut page = Vec::new();
        while page.len() < limit {
            let Some(entry) = self.entries.next() else { break };
            let name = entry?.file_name();
            page.extend(listed(&name, |name| self.directory.stat(name)));
        }
        Ok(page)
    }
}

fn seen(of: &Found, names: u64) -> Seen {
    let metadata = metadata(of);
    Seen {
        kind: metadata.kind,
        size: metadata.size,
        stored: metadata.size,
        // A directory counts as one name, whatever refers to it from inside.
        names: if metadata.kind == EntryKind::Directory { 1 } else { names },
        identity: (metadata.device_id, metadata.file_id),
    }
}

/// Returns the metadata of an open file, with the number of its names.
pub(crate) fn look_at_file(file: &File) -> io::Result<Seen> {
    let metadata = Found::from_file(file)?;
    Ok(seen(&metadata, MetadataExt::nlink(&metadata)))
}

/// Calls `each` for the entries of a directory, with their names if those are Unicode, until it
/// returns `false`.
pub(crate) fn visit(
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

pub(crate) fn count_entries(directory: &File, most: usize) -> io::Result<usize> {
    let directory = Dir::from_std_file(directory.try_clone()?);
    Ok(directory.entries()?.take(most.saturating_add(1)).count())
}

/// A lock on a directory, by a lock file that the system releases with the process.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Locks a directory.
    pub(crate) fn new(directory: &Handle, exclusive: bool) -> io::Result<Self> {
        let (device, file) = directory.identity()?;
        let folder = std::env::temp_dir().join("syncmgr-locks");
        std::fs::create_dir_all(&folder)?;
        let name = format!("{device:016x}-{file:016x}.lock");
        let own =
            File::options().create(true).truncate(false).write(true).open(folder.join(name))?;
        hold(&own, exclusive)?;
        Ok(Self(own))
    }

    /// Makes a shared lock exclusive.
    pub(crate) fn make_exclusive(&self) -> io::Result<()> {
        self.0.unlock()?;
        hold(&self.0, true).inspect_err(|_| {
            let _ = hold(&self.0, false);
        })
    }
}

fn hold(file: &File, exclusive: bool) -> io::Result<()> {
    let held = if exclusive { file.try_lock() } else { file.try_lock_shared() };
    held.map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        std::fs::TryLockError::Error(error) => error,
    })
}

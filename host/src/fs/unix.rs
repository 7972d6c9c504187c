//! Directory entries by `*at` system calls. Names are single components, checked by the caller.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::LazyLock;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Uid, fchmod, fchown, fstat, linkat,
    mkdirat, openat, readlinkat, renameat, renameat_with, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::fs::attributes::{Attributes, give_extended_of};
use crate::fs::fence::Fence;
use crate::fs::metadata::{EntryKind, FileIdentity, Links, Metadata, Seen, system_time};

mod listing;
mod lock;
mod special;
mod stat;
mod walk;

pub(crate) use listing::{Entries, count_entries, visit};
pub(crate) use lock::Lock;
use stat::{device, metadata, mode, permissions, seen, with_special_bits};
pub(crate) use walk::leads_out;

/// An open directory, its device, and the excluded directories below it. It is never on one of the
/// kernel's file systems.
#[derive(Debug)]
pub(crate) struct Handle(OwnedFd, u64, Fence);

/// The user whose processes may change the owner of new files.
const ROOT: u32 = 0;

/// Whether new files belong to [`ROOT`], unless the file system decides.
static IS_ROOT: LazyLock<bool> = LazyLock::new(|| rustix::process::geteuid().is_root());

const NEW_FILE: OFlags =
    OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::CLOEXEC);
/// The maximum number of open directories on the way down.
pub(crate) const HELD_LEVELS: usize = 32;

/// The maximum number of parent directories that are searched.
const MOST_DEPTH: usize = 4096;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The characters that separate names in the text of a link.
pub(crate) const SEPARATORS: &[char] = &['/'];

pub(crate) fn has_special_meaning(_name: &str) -> bool {
    false
}

pub(crate) fn has_drive(_target: &str) -> bool {
    false
}

pub(crate) fn is_link_in_the_way(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// Ignores a failure to set permissions. This process owns the files that it creates, so a failure
/// means that the file system has no permissions.
fn unless_unsupported(set: rustix::io::Result<()>) -> io::Result<()> {
    match set {
        Err(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => Ok(()),
        result => Ok(result?),
    }
}

/// Sets the owner and group of a new entry, as far as this process may.
fn give_owner(made: impl AsFd, now: &Stat, like: &Stat) {
    let owner = (now.st_uid != like.st_uid).then(|| Uid::from_raw(like.st_uid));
    let group = (now.st_gid != like.st_gid).then(|| Gid::from_raw(like.st_gid));
    if owner.is_none() && group.is_none() {
        return;
    }
    if fchown(&made, owner, group).is_err() && group.is_some() {
        let _ = fchown(&made, None, group);
    }
}

impl Handle {
    pub(crate) fn open(path: &Path, links: Links, fence: &Fence) -> io::Result<Self> {
        let flags = match links {
            Links::Follow => DIRECTORY.difference(OFlags::NOFOLLOW),
            Links::Refuse => DIRECTORY,
        };
        Self::admit(rustix::fs::open(path, flags, Mode::empty())?, None, fence)
    }

    /// Checks a directory that was opened from one on this device.
    fn admit(opened: OwnedFd, from: Option<u64>, fence: &Fence) -> io::Result<Self> {
        let stat = fstat(&opened)?;
        let device = device(&stat);
        fence.check(device, stat.st_ino)?;
        if from != Some(device) {
            special::refuse(&opened)?;
        }
        Ok(Self(opened, device, fence.clone()))
    }

    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        Ok(metadata(&fstat(&self.0)?))
    }

    pub(crate) fn identity(&self) -> io::Result<FileIdentity> {
        let metadata = self.metadata()?;
        Ok((metadata.device_id, metadata.file_id))
    }

    pub(crate) fn stat(&self, name: &str) -> io::Result<Metadata> {
        Ok(metadata(&statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Returns the metadata of an entry, with the number of its names.
    pub(crate) fn look_at(&self, name: &str) -> io::Result<Seen> {
        Ok(seen(&statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Wraps an open directory.
    pub(crate) fn of_file(file: &std::fs::File) -> io::Result<Self> {
        Self::above(file.try_clone()?.into(), &Fence::default())
    }

    /// Returns the current depth of this directory below another.
    pub(crate) fn depth_below(&self, root: FileIdentity, _opened: usize) -> io::Result<usize> {
        Ok(self.root_above(&[root])?.1)
    }

    /// Returns the nearest of several directories that contains or is this one, and the depth below
    /// it.
    pub(crate) fn root_above(&self, roots: &[FileIdentity]) -> io::Result<(FileIdentity, usize)> {
        let mut identity = self.identity()?;
        let mut above = None;
        for depth in 0..MOST_DEPTH {
            if roots.contains(&identity) {
                return Ok((identity, depth));
            }
            let parent = above.as_ref().unwrap_or(self).parent()?;
            identity = parent.identity()?;
            above = Some(parent);
        }
        // It is no longer below any of them, or deeper than any path can lead.
        Err(Errno::XDEV.into())
    }

    /// Returns the parent directory.
    pub(crate) fn parent(&self) -> io::Result<Self> {
        Self::above(openat(&self.0, "..", DIRECTORY, Mode::empty())?, &self.2)
    }

    /// Wraps a directory that is only used to examine others.
    fn above(opened: OwnedFd, fence: &Fence) -> io::Result<Self> {
        let device = device(&fstat(&opened)?);
        Ok(Self(opened, device, fence.clone()))
    }

    pub(crate) fn open_directory(&self, name: &str) -> io::Result<Self> {
        let opened = openat(&self.0, name, DIRECTORY, Mode::empty())?;
        Self::admit(opened, Some(self.1), &self.2)
    }

    pub(crate) fn create_directory(
        &self,
        name: &str,
        bits: Option<u32>,
        like: Option<&Self>,
    ) -> io::Result<()> {
        mkdirat(&self.0, name, mode(bits.map_or(0o777, |bits| bits | 0o700)))?;
        if bits.is_none() && like.is_none() {
            return Ok(());
        }
        let made = openat(&self.0, name, DIRECTORY, Mode::empty())?;
        let now = fstat(&made)?;
        if let Some(like) = like {
            give_extended_of(&like.0, &made);
        }
        // The umask may have removed bits, and the parent directory may have set the bit that
        // passes its group to entries.
        let inherited = permissions(&now) & 0o2000;
        if let Some(bits) = bits.map(|bits| bits & 0o3777 | inherited)
            && bits != permissions(&now)
        {
            unless_unsupported(fchmod(&made, mode(bits)))?;
        }
        if let Some(like) = like
            && now.st_uid == ROOT
        {
            give_owner(&made, &now, &fstat(&like.0)?);
        }
        Ok(())
    }

    pub(crate) fn open_file(&self, name: &str) -> io::Result<std::fs::File> {
        // Opening a FIFO would wait for its other end, and a device may act on being opened.
        let found = self.stat(name)?;
        match found.kind {
            EntryKind::File => {}
            EntryKind::Directory | EntryKind::SymbolicLink | EntryKind::Other => {
                return Err(Errno::LOOP.into());
            }
        }
        Ok(self.open_entry(name, &found)?.into())
    }

    /// Opens a previously found file or directory for reading.
    fn open_entry(&self, name: &str, found: &Metadata) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&self.0, name, flags, Mode::empty())?;
        // A file can be a mount point, too.
        if found.device_id != self.1 {
            special::refuse(&opened)?;
        }
        Ok(opened)
    }

    pub(crate) fn create_file(&self, name: &str) -> io::Result<std::fs::File> {
        Ok(openat(&self.0, name, NEW_FILE, mode(0o600))?.into())
    }

    pub(crate) fn create_copy(
        &self,
        name: &str,
        source: &std::fs::File,
        attributes: &Attributes,
    ) -> io::Result<std::fs::File> {
        // The umask applies to a copy without specified permissions.
        let bits = if attributes.mode.is_some() { 0o600 } else { 0o666 };
        let copy = std::fs::File::from(openat(&self.0, name, NEW_FILE, mode(bits))?);
        let replaced = attributes.open_replaced(|name| self.open_file(name));
        attributes.give_extended(source, replaced.as_ref(), &copy);
        let given = match attributes.mode {
            Some(bits) => unless_unsupported(fchmod(&copy, mode(bits & 0o777))),
            None => Ok(()),
        };
        if let Err(error) = given {
            let _ = self.remove_file(name);
            return Err(error);
        }
        let like = match &replaced {
            Some(replaced) => fstat(replaced).ok(),
            None => attributes
                .replaces
                .as_ref()
                .and_then(|name| statat(&self.0, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).ok()),
        };
        if let Some(like) = like {
            give_owner(&copy, &fstat(&copy)?, &like);
        } else if attributes.owner && *IS_ROOT {
            let now = fstat(&copy)?;
            if now.st_uid == ROOT {
                give_owner(&copy, &now, &fstat(source)?);
            }
        }
        Ok(copy)
    }

    pub(crate) fn read_link(&self, name: &str) -> io::Result<OsString> {
        match readlinkat(&self.0, name, Vec::new()) {
            Ok(text) => Ok(os_string(text)),
            // The entry is not a link.
            Err(Errno::INVAL) => Err(Errno::LOOP.into()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn create_link(&self, name: &str, target: &str) -> io::Result<()> {
        match symlinkat(target, &self.0, name) {
            // The file system has no symbolic links.
            Err(Errno::PERM | Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
            result => Ok(result?),
        }
    }

    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(crate) fn remove_directory(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    pub(crate) fn rename(
        &self,
        name: &str,
        to: &Self,
        to_name: &str,
        replace: bool,
    ) -> io::Result<()> {
        if replace {
            return Ok(renameat(&self.0, name, &to.0, to_name)?);
        }
        match renameat_with(&self.0, name, &to.0, to_name, RenameFlags::NOREPLACE) {
            // Some file systems do not support this; the window between checking and renaming is
            // then as small as possible.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match to.stat(to_name) {
                Ok(_) => Err(Errno::EXIST.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Ok(renameat(&self.0, name, &to.0, to_name)?)
                }
                Err(error) => Err(error),
            },
            result => Ok(result?),
        }
    }

    pub(crate) fn link(&self, name: &str, to: &Self, to_name: &str) -> io::Result<()> {
        match linkat(&self.0, name, &to.0, to_name, AtFlags::empty()) {
            // The file system has no hard links, or the system refuses this one.
            Err(Errno::PERM | Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
            result => Ok(result?),
        }
    }

    pub(crate) fn set_mode(&self, name: &str, bits: u32) -> io::Result<()> {
        let found = self.stat(name)?;
        match found.kind {
            EntryKind::File | EntryKind::Directory => {}
            EntryKind::SymbolicLink | EntryKind::Other => {
                return Err(Errno::LOOP.into());
            }
        }
        let opened = self.open_entry(name, &found)?;
        let bits = with_special_bits(&fstat(&opened)?, bits);
        Ok(fchmod(opened, mode(bits))?)
    }

    pub(crate) fn set_modified(&self, name: &str, modified: i64) -> io::Result<()> {
        self.open_file(name)?.set_modified(system_time(modified))
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.0) {
            // Some file systems cannot flush a directory; there is no alternative then.
            Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns the device and the inode of a directory, which need not be readable.
pub(crate) fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::stat(path)?;
    Ok((device(&stat), stat.st_ino))
}

/// Checks whether a directory may be granted. Returns whether it exists.
pub(crate) fn check_grant(path: &Path, fence: &Fence) -> io::Result<bool> {
    let Ok(stat) = rustix::fs::stat(path) else { return Ok(false) };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(false);
    }
    fence.check(device(&stat), stat.st_ino)?;
    // On Linux, no such file system has a device with a major number.
    #[cfg(target_os = "linux")]
    if rustix::fs::major(stat.st_dev) != 0 {
        return Ok(true);
    }
    special::refuse_path(path)?;
    Ok(true)
}

pub(crate) fn file_metadata(file: &std::fs::File) -> io::Result<Metadata> {
    Ok(metadata(&fstat(file)?))
}

/// Returns both descriptions of a file from one system call.
pub(crate) fn look_at_source(file: &std::fs::File) -> io::Result<(Metadata, Seen)> {
    let stat = fstat(file)?;
    Ok((metadata(&stat), seen(&stat)))
}

pub(crate) fn set_mode(file: &std::fs::File, bits: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(file, mode(bits))?)
}

fn os_string(text: CString) -> OsString {
    OsString::from_vec(text.into_bytes())
}

/// Returns the metadata of an open file, with the number of its names.
pub(crate) fn look_at_file(file: &std::fs::File) -> io::Result<Seen> {
    Ok(seen(&fstat(file)?))
}

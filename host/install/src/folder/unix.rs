//! Access by handle.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::error::InstallError;
use crate::scope::Scope;

/// An open folder, as a `File` for its metadata.
pub(super) type Handle = File;

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
const OWNER_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);

pub(super) fn open(path: &Path) -> io::Result<Handle> {
    Ok(rustix::fs::open(path, FOLDER, Mode::empty())?.into())
}

pub(super) fn folder(parent: &Handle, _path: &Path, name: &str) -> io::Result<Handle> {
    let flags = FOLDER | OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?.into())
}

pub(super) fn create_folder(parent: &Handle, _path: &Path, name: &str) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(parent, name, Mode::RWXU)?)
}

pub(super) fn open_file(parent: &Handle, _path: &Path, name: &str) -> io::Result<File> {
    Ok(rustix::fs::openat(parent, name, FILE | OFlags::RDONLY, Mode::empty())?.into())
}

pub(super) fn lock_file(parent: &Handle, _path: &Path, name: &str) -> io::Result<File> {
    Ok(rustix::fs::openat(parent, name, FILE | OFlags::RDWR | OFlags::CREATE, OWNER_ONLY)?.into())
}

pub(super) fn create_file(parent: &Handle, _folder: &Path, name: &str) -> io::Result<File> {
    let flags = FILE | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    Ok(rustix::fs::openat(parent, name, flags, OWNER_ONLY)?.into())
}

pub(super) fn rename(parent: &Handle, _folder: &Path, from: &str, to: &str) -> io::Result<()> {
    Ok(rustix::fs::renameat(parent, from, parent, to)?)
}

pub(super) fn remove_file(parent: &Handle, _folder: &Path, name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::empty())?)
}

pub(super) fn names(parent: &Handle, _folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(parent)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(std::ffi::OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

pub(super) fn sync(parent: &Handle) -> io::Result<()> {
    parent.sync_all()
}

pub(super) fn metadata(handle: &Handle, _path: &Path) -> io::Result<Metadata> {
    handle.metadata()
}

pub(super) fn is_link(error: &io::Error, path: &Path) -> bool {
    let link = [Errno::LOOP, Errno::NOTDIR].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| link.contains(&code)) && path.is_symlink()
}

/// Checks the owner, who can change the file at any time.
pub(super) fn check_owner(metadata: &Metadata, path: &Path) -> Result<(), InstallError> {
    let user = rustix::process::geteuid().as_raw();
    match [0, user].contains(&metadata.uid()) {
        true => Ok(()),
        false => Err(InstallError::Foreign { path: path.to_owned(), owner: metadata.uid(), user }),
    }
}

pub(super) fn check_private(
    handle: &Handle,
    path: &Path,
    scope: Scope,
) -> Result<(), InstallError> {
    check_private_file(handle, path, scope)
}

pub(super) fn check_private_file(
    file: &File,
    path: &Path,
    _scope: Scope,
) -> Result<(), InstallError> {
    const OTHERS_WRITE: u32 = 0o022;
    let metadata = file.metadata().map_err(InstallError::file(path))?;
    check_owner(&metadata, path)?;
    match metadata.mode() & OTHERS_WRITE == 0 {
        true => Ok(()),
        false => Err(InstallError::InsecurePermissions { path: path.to_owned() }),
    }
}

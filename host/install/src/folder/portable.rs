//! Access by path. On Windows, folders are created with access control lists.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

use crate::error::InstallError;
use crate::scope::Scope;

/// All functions use paths.
#[derive(Debug)]
pub(super) struct Handle;

pub(super) fn open(path: &Path) -> io::Result<Handle> {
    match fs::metadata(path)?.is_dir() {
        true => Ok(Handle),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}

pub(super) fn folder(_parent: &Handle, path: &Path, _name: &str) -> io::Result<Handle> {
    open(path)
}

pub(super) fn create_folder(_parent: &Handle, path: &Path, _name: &str) -> io::Result<()> {
    crate::paths::create_private(path)
}

pub(super) fn open_file(_parent: &Handle, path: &Path, _name: &str) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt as _;
        // The cache updates the time of a used file.
        const GENERIC_READ: u32 = 0x8000_0000;
        const FILE_WRITE_ATTRIBUTES: u32 = 0x0100;
        options.access_mode(GENERIC_READ | FILE_WRITE_ATTRIBUTES);
    }
    options.open(path)
}

pub(super) fn lock_file(_parent: &Handle, path: &Path, _name: &str) -> io::Result<File> {
    File::create(path)
}

pub(super) fn create_file(_parent: &Handle, folder: &Path, name: &str) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).open(folder.join(name))
}

pub(super) fn rename(_parent: &Handle, folder: &Path, from: &str, to: &str) -> io::Result<()> {
    fs::rename(folder.join(from), folder.join(to))
}

pub(super) fn remove_file(_parent: &Handle, folder: &Path, name: &str) -> io::Result<()> {
    fs::remove_file(folder.join(name))
}

pub(super) fn names(_parent: &Handle, folder: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "on Unix it may fail")]
pub(super) fn sync(_parent: &Handle) -> io::Result<()> {
    Ok(())
}

pub(super) fn metadata(_handle: &Handle, path: &Path) -> io::Result<Metadata> {
    fs::metadata(path)
}

pub(super) fn is_link(_error: &io::Error, _path: &Path) -> bool {
    false
}

#[expect(clippy::unnecessary_wraps, reason = "on Unix it may fail")]
pub(super) fn check_owner(_metadata: &Metadata, _path: &Path) -> Result<(), InstallError> {
    Ok(())
}

pub(super) fn check_private(
    _handle: &Handle,
    path: &Path,
    scope: Scope,
) -> Result<(), InstallError> {
    is_trusted(path, scope)
}

pub(super) fn check_private_file(
    _file: &File,
    path: &Path,
    scope: Scope,
) -> Result<(), InstallError> {
    is_trusted(path, scope)
}

/// Checks the owner, who may change the access control list. The list itself is set on creation.
fn is_trusted(path: &Path, scope: Scope) -> Result<(), InstallError> {
    #[cfg(windows)]
    if crate::permissions::is_trusted(path, scope).map_err(InstallError::file(path))? {
        return Ok(());
    }
    let _ = scope;
    Err(InstallError::InsecurePermissions { path: path.to_owned() })
}

//! Folders with trusted content, and atomic writes to them.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::InstallError;
use crate::paths::create_private;
use crate::scope::Scope;

#[cfg(not(unix))]
#[path = "folder/portable.rs"]
mod system;
#[cfg(unix)]
#[path = "folder/unix.rs"]
mod system;

/// The suffix of files that are being written. No plugin name and no other file name has it.
const UNFINISHED: &str = ".new";

/// An open folder of the state directory. On Unix, its entries are opened relative to this handle,
/// one name at a time and without following links, and must belong to the user or to root.
#[derive(Debug)]
pub struct PrivateFolder {
    handle: system::Handle,
    path: PathBuf,
}

impl PrivateFolder {
    /// Opens the top folder. Follows links in its path.
    ///
    /// # Errors
    /// [`InstallError::File`], and [`InstallError::Foreign`] for a folder of another user.
    pub fn open(path: &Path) -> Result<Self, InstallError> {
        let handle = system::open(path).map_err(InstallError::file(path))?;
        Self { handle, path: path.to_owned() }.owned()
    }

    /// Opens the top folder, and creates it if it is missing.
    ///
    /// # Errors
    /// As of [`PrivateFolder::open`].
    pub fn create(path: &Path) -> Result<Self, InstallError> {
        create_private(path).map_err(InstallError::file(path))?;
        Self::open(path)
    }

    /// Opens a subfolder.
    ///
    /// # Errors
    /// [`InstallError::File`]; [`InstallError::InsecurePermissions`] for a link; and
    /// [`InstallError::Foreign`].
    pub fn folder(&self, name: &str) -> Result<Self, InstallError> {
        let path = self.path.join(name);
        let handle = system::folder(&self.handle, &path, name).map_err(refused(&path))?;
        Self { handle, path }.owned()
    }

    /// Opens a subfolder, and creates it if it is missing.
    ///
    /// # Errors
    /// As of [`PrivateFolder::folder`].
    pub fn create_folder(&self, name: &str) -> Result<Self, InstallError> {
        let path = self.path.join(name);
        match system::create_folder(&self.handle, &path, name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(InstallError::file(&path)(error))
            }
            Ok(()) | Err(_) => self.folder(name),
        }
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file, if it exists.
    ///
    /// # Errors
    /// As of [`PrivateFolder::folder`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, InstallError> {
        let Some(mut file) = self.open_file(name)? else { return Ok(None) };
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(InstallError::file(&self.path.join(name)))?;
        Ok(Some(content))
    }

    /// Opens a file for reading, if it exists.
    pub(crate) fn open_file(&self, name: &str) -> Result<Option<File>, InstallError> {
        let path = self.path.join(name);
        let file = match system::open_file(&self.handle, &path, name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(&path)(error)),
        };
        let metadata = file.metadata().map_err(InstallError::file(&path))?;
        if !metadata.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
            return Err(InstallError::file(&path)(error));
        }
        system::check_owner(&metadata, &path)?;
        Ok(Some(file))
    }

    /// Replaces a file atomically.
    ///
    /// # Errors
    /// [`InstallError::File`].
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), InstallError> {
        let write = || {
            // Before the file is locked, another process may remove it as a leftover.
            for _ in 0..3 {
                match self.try_replace(name, content) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    done => return done,
                }
            }
            self.try_replace(name, content)
        };
        write().map_err(InstallError::file(&self.path.join(name)))
    }

    fn try_replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!("{}-{count}{UNFINISHED}", std::process::id());
        let mut file = match system::create_file(&self.handle, &self.path, &unfinished) {
            // A leftover of an earlier process with this id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                system::remove_file(&self.handle, &self.path, &unfinished)?;
                system::create_file(&self.handle, &self.path, &unfinished)?
            }
            created => created?,
        };
        let replace = |file: &mut File| {
            // The lock distinguishes the file from a leftover of a killed process.
            file.lock()?;
            file.write_all(content)?;
            file.sync_all()?;
            system::rename(&self.handle, &self.path, &unfinished, name)?;
            system::sync(&self.handle)
        };
        let replaced = replace(&mut file);
        if replaced.is_err() {
            // If this fails, the file is a leftover.
            let _ = system::remove_file(&self.handle, &self.path, &unfinished);
        }
        replaced
    }

    /// Removes a file, if it exists.
    ///
    /// # Errors
    /// [`InstallError::File`].
    pub fn remove(&self, name: &str) -> Result<(), InstallError> {
        match system::remove_file(&self.handle, &self.path, name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(InstallError::file(&self.path.join(name))(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Returns the names of the entries.
    pub(crate) fn names(&self) -> Result<Vec<OsString>, InstallError> {
        system::names(&self.handle, &self.path).map_err(InstallError::file(&self.path))
    }

    /// Opens and locks a file, and creates it if it is missing.
    pub(crate) fn lock_file(&self, name: &str) -> Result<File, InstallError> {
        let path = self.path.join(name);
        let file = system::lock_file(&self.handle, &path, name).map_err(refused(&path))?;
        file.lock().map_err(InstallError::file(&path))?;
        Ok(file)
    }

    /// Removes the leftovers of processes that were killed while writing.
    pub(crate) fn remove_unfinished(&self) -> Result<(), InstallError> {
        for name in self.names()? {
            let Some(name) = name.to_str() else { continue };
            let is_unfinished = name.ends_with(UNFINISHED) || name.starts_with(".tmp");
            if is_unfinished
                && let Ok(Some(file)) = self.open_file(name)
                && file.try_lock().is_ok()
            {
                self.remove(name)?;
            }
        }
        Ok(())
    }

    /// Checks that no other user can write to the folder.
    pub(crate) fn check_private(&self, scope: Scope) -> Result<(), InstallError> {
        system::check_private(&self.handle, &self.path, scope)
    }

    /// Checks that no other user can write to a file of the folder.
    pub(crate) fn check_private_file(
        &self,
        file: &File,
        name: &str,
        scope: Scope,
    ) -> Result<(), InstallError> {
        system::check_private_file(file, &self.path.join(name), scope)
    }

    fn owned(self) -> Result<Self, InstallError> {
        let metadata = system::metadata(&self.handle, &self.path);
        system::check_owner(&metadata.map_err(InstallError::file(&self.path))?, &self.path)?;
        Ok(self)
    }
}

/// Replaces a file atomically.
///
/// # Errors
/// Returns the errors of the system.
pub fn replace_file(path: &Path, content: &[u8]) -> Result<(), InstallError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = PrivateFolder::open(folder.unwrap_or(Path::new(".")))?;
    folder.replace(&path.file_name().unwrap_or_default().to_string_lossy(), content)
}

/// Returns an error for a link, which another user may have created.
fn refused(path: &Path) -> impl FnOnce(io::Error) -> InstallError {
    let path = path.to_owned();
    |error| match system::is_link(&error, &path) {
        true => InstallError::InsecurePermissions { path },
        false => InstallError::File { path, source: error },
    }
}

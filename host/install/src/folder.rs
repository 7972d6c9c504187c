//! A folder that holds what is trusted, and how files get there.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::StoreError;
use crate::paths::create_private;
use crate::scope::Scope;

#[cfg(not(unix))]
#[path = "folder/portable.rs"]
mod system;
#[cfg(unix)]
#[path = "folder/unix.rs"]
mod system;

/// Ends the names of files that are being written. Neither a plugin's name nor that of a file which
/// is kept ends like this.
const UNFINISHED: &str = ".new";

/// An open folder of the state directory. On Unix everything in it is reached from this handle, one
/// name at a time and without following links, and has to belong to the user or to root: what another
/// user has put there is an error.
#[derive(Debug)]
pub struct PrivateFolder {
    handle: system::Handle,
    path: PathBuf,
}

impl PrivateFolder {
    /// Opens the top folder. The links in its own path are the user's, and are followed.
    ///
    /// # Errors
    /// [`StoreError::File`], and [`StoreError::Foreign`] for one of another user.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let handle = system::open(path).map_err(StoreError::file(path))?;
        Self { handle, path: path.to_owned() }.owned()
    }

    /// Opens the top folder, and makes it where it is missing.
    ///
    /// # Errors
    /// As of [`PrivateFolder::open`].
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        create_private(path).map_err(StoreError::file(path))?;
        Self::open(path)
    }

    /// Opens a folder in it.
    ///
    /// # Errors
    /// [`StoreError::File`]; [`StoreError::Open`] for a link; and [`StoreError::Foreign`].
    pub fn folder(&self, name: &str) -> Result<Self, StoreError> {
        let path = self.path.join(name);
        let handle = system::folder(&self.handle, &path, name).map_err(refused(&path))?;
        Self { handle, path }.owned()
    }

    /// Opens a folder in it, and makes it where it is missing.
    ///
    /// # Errors
    /// As of [`PrivateFolder::folder`].
    pub fn create_folder(&self, name: &str) -> Result<Self, StoreError> {
        let path = self.path.join(name);
        match system::create_folder(&self.handle, &path, name) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(StoreError::file(&path)(error))
            }
            Ok(()) | Err(_) => self.folder(name),
        }
    }

    /// Its path, for messages and for what has to be opened by path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file; `None`: there is none.
    ///
    /// # Errors
    /// As of [`PrivateFolder::folder`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut file) = self.open_file(name)? else { return Ok(None) };
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(StoreError::file(&self.path.join(name)))?;
        Ok(Some(content))
    }

    /// Opens a file for reading; `None`: there is none.
    pub(crate) fn open_file(&self, name: &str) -> Result<Option<File>, StoreError> {
        let path = self.path.join(name);
        let file = match system::open_file(&self.handle, &path, name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(&path)(error)),
        };
        let metadata = file.metadata().map_err(StoreError::file(&path))?;
        if !metadata.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
            return Err(StoreError::file(&path)(error));
        }
        system::check_owner(&metadata, &path)?;
        Ok(Some(file))
    }

    /// Writes a file so that it has the old content or the new one, whatever happens.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let write = || {
            // Another process may take the first name for a leftover before it is locked.
            for _ in 0..3 {
                match self.try_replace(name, content) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    done => return done,
                }
            }
            self.try_replace(name, content)
        };
        write().map_err(StoreError::file(&self.path.join(name)))
    }

    fn try_replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!("{}-{count}{UNFINISHED}", std::process::id());
        let mut file = match system::create_file(&self.handle, &self.path, &unfinished) {
            // Left by an earlier process of this number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                system::remove_file(&self.handle, &self.path, &unfinished)?;
                system::create_file(&self.handle, &self.path, &unfinished)?
            }
            created => created?,
        };
        let replace = |file: &mut File| {
            // Until it has its name, the lock tells it from what a killed process has left.
            file.lock()?;
            file.write_all(content)?;
            file.sync_all()?;
            system::rename(&self.handle, &self.path, &unfinished, name)?;
            system::sync(&self.handle)
        };
        let replaced = replace(&mut file);
        if replaced.is_err() {
            // It is a leftover at worst.
            let _ = system::remove_file(&self.handle, &self.path, &unfinished);
        }
        replaced
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        match system::remove_file(&self.handle, &self.path, name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::file(&self.path.join(name))(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The names in it.
    pub(crate) fn names(&self) -> Result<Vec<OsString>, StoreError> {
        system::names(&self.handle, &self.path).map_err(StoreError::file(&self.path))
    }

    /// Opens a file to lock it, and makes it where it is missing.
    pub(crate) fn lock_file(&self, name: &str) -> Result<File, StoreError> {
        let path = self.path.join(name);
        let file = system::lock_file(&self.handle, &path, name).map_err(refused(&path))?;
        file.lock().map_err(StoreError::file(&path))?;
        Ok(file)
    }

    /// Removes what processes have left that were killed while they wrote.
    pub(crate) fn remove_unfinished(&self) -> Result<(), StoreError> {
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

    /// Checks that no other user can change what is in it.
    pub(crate) fn check_private(&self, scope: Scope) -> Result<(), StoreError> {
        system::check_private(&self.handle, &self.path, scope)
    }

    /// Checks that no other user can change a file in it.
    pub(crate) fn check_private_file(
        &self,
        file: &File,
        name: &str,
        scope: Scope,
    ) -> Result<(), StoreError> {
        system::check_private_file(file, &self.path.join(name), scope)
    }

    fn owned(self) -> Result<Self, StoreError> {
        let metadata = system::metadata(&self.handle, &self.path);
        system::check_owner(&metadata.map_err(StoreError::file(&self.path))?, &self.path)?;
        Ok(self)
    }
}

/// Writes a file so that it has the old content or the new one, whatever happens.
///
/// # Errors
/// Those of the system.
pub fn replace_file(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = PrivateFolder::open(folder.unwrap_or(Path::new(".")))?;
    folder.replace(&path.file_name().unwrap_or_default().to_string_lossy(), content)
}

/// A link is where another user might have put one.
fn refused(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    |error| match system::is_link(&error, &path) {
        true => StoreError::Open { path },
        false => StoreError::File { path, source: error },
    }
}

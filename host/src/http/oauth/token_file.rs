//! Reads, locks and replaces a token file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::login::Login;
use crate::http::auth_error::HttpAuthError;

/// The largest token file in bytes.
const MAX_BYTES: usize = 64 << 10;

/// The time between two attempts to lock the file.
const PAUSE: Duration = Duration::from_millis(20);

/// A token file, by its path without links.
pub(super) struct TokenFile(PathBuf);

/// A lock on a token file, against other processes. The system releases it with the process.
pub(super) struct Lock(File);

/// An unfinished file, which replaces the token file or is removed.
pub(super) struct Replacement<'a> {
    of: &'a TokenFile,
    path: PathBuf,
    file: File,
}

impl TokenFile {
    pub(super) fn new(path: &Path) -> Result<Self, HttpAuthError> {
        match fs::canonicalize(path) {
            Ok(path) => Ok(Self(path)),
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the file, which no other user may read.
    pub(super) fn read(&self) -> Result<Login, HttpAuthError> {
        let unreadable = |error| unreadable(&self.0, &error);
        // Opening a pipe would wait for its writer.
        if !fs::metadata(&self.0).map_err(unreadable)?.is_file() {
            return Err(unreadable(io::Error::other("it is not a regular file")));
        }
        let file = File::open(&self.0).map_err(unreadable)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let mode = file.metadata().map_err(unreadable)?.mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(HttpAuthError::FileMode { path: self.0.clone(), mode });
            }
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let login = match bytes.len() > MAX_BYTES {
            true => Err(format!("it is larger than {} KiB", MAX_BYTES >> 10)),
            false => Login::parse(&bytes),
        };
        login.map_err(|why| HttpAuthError::FileContent { path: self.0.clone(), why })
    }

    /// Locks the file. Waits for the lock for a limited time.
    pub(super) fn lock(&self, limit: Duration) -> Result<Lock, HttpAuthError> {
        let begun = Instant::now();
        let file = private().create(true).truncate(false).open(self.sibling(".lock"));
        let file = file.map_err(|error| self.unwritable(&error))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) if begun.elapsed() < limit => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(self.unwritable(&io::Error::other("another process has locked it")));
                }
                Err(TryLockError::Error(error)) => return Err(self.unwritable(&error)),
            }
        }
    }

    /// Creates the file that will replace this one, and reserves its space. Requires the lock.
    pub(super) fn replacement(&self) -> Result<Replacement<'_>, HttpAuthError> {
        let path = self.sibling(".new");
        let create = || {
            // An interrupted process may have left one.
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error);
            }
            let mut file = private().create_new(true).open(&path)?;
            let reserve = || {
                copy_owner(&self.0, &file)?;
                file.write_all(&[b' '; MAX_BYTES])?;
                file.sync_all()?;
                Ok(file)
            };
            reserve().inspect_err(|_: &io::Error| {
                let _ = fs::remove_file(&path);
            })
        };
        let file = create().map_err(|error| self.unwritable(&error))?;
        Ok(Replacement { of: self, path, file })
    }

    /// Returns the path of a file in the same directory, whose name has a suffix.
    fn sibling(&self, suffix: &str) -> PathBuf {
        let mut path = self.0.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    fn unwritable(&self, error: &io::Error) -> HttpAuthError {
        HttpAuthError::FileWrite { path: self.0.clone(), why: error.to_string() }
    }
}

impl Replacement<'_> {
    /// Replaces the token file. After a crash at any point, it has its old or its new content.
    pub(super) fn commit(self, login: &Login) -> Result<(), HttpAuthError> {
        self.try_commit(login).map_err(|error| self.of.unwritable(&error))
    }

    fn try_commit(&self, login: &Login) -> io::Result<()> {
        let json = login.to_json();
        if json.len() > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut file = &self.file;
        file.rewind()?;
        file.write_all(&json)?;
        file.set_len(json.len() as u64)?;
        file.sync_all()?;
        fs::rename(&self.path, &self.of.0)?;
        sync_directory(&self.of.0)
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        // Nothing is left after a commit.
        let _ = fs::remove_file(&self.path);
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not sufficient while a process that is being started has a copy.
        let _ = self.0.unlock();
    }
}

/// Returns options for a file that only the user can access.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Gives a file the owner and the mode of another one: `root` may renew the tokens of a user.
#[cfg(unix)]
fn copy_owner(from: &Path, to: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let (old, new) = (fs::metadata(from)?, to.metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        fchown(to, Some(old.uid()), Some(old.gid()))?;
    }
    to.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn copy_owner(_from: &Path, _to: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_directory(file: &Path) -> io::Result<()> {
    File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_file: &Path) -> io::Result<()> {
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> HttpAuthError {
    HttpAuthError::FileRead { path: path.to_owned(), why: error.to_string() }
}

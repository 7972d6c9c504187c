//! Locks on directories, which exclude other sessions.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::metadata::FileIdentity;
use super::system;
use crate::grants::Access;

/// The directories that a session has locked. The session's owner can release them without the
/// session, which may hang.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locks(Arc<Mutex<Vec<Held>>>);

/// A locked directory.
#[derive(Debug)]
struct Held {
    directory: FileIdentity,
    lock: system::Lock,
    /// Whether the lock excludes readers.
    exclusive: bool,
    /// The number of [`DirectoryLock`]s on the directory.
    count: usize,
}

/// One lock on a directory. The last one of a session releases the directory when it is dropped.
#[allow(unreachable_pub, reason = "the generated bindings name it")]
#[derive(Debug)]
pub struct DirectoryLock {
    locks: Locks,
    directory: FileIdentity,
    is_held: bool,
}

impl Locks {
    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Releases all locks, unless the session hangs in one of their system calls.
    pub(crate) fn release(&self) {
        if let Ok(mut held) = self.0.try_lock() {
            held.clear();
        }
    }
}

impl DirectoryLock {
    /// Locks a directory. Readers share a lock, which becomes an exclusive one for a writer of the
    /// same session if no other session holds it.
    ///
    /// # Errors
    /// Fails with [`io::ErrorKind::WouldBlock`] if another session holds the lock.
    pub(crate) fn new(locks: &Locks, handle: &system::Handle, access: Access) -> io::Result<Self> {
        let exclusive = access == Access::ReadWrite;
        let directory = handle.identity()?;
        let mut all = locks.held();
        match all.iter_mut().find(|held| held.directory == directory) {
            Some(held) => {
                if exclusive && !held.exclusive {
                    held.lock.make_exclusive()?;
                    held.exclusive = true;
                }
                held.count += 1;
            }
            None => {
                let lock = system::Lock::new(handle, exclusive)?;
                all.push(Held { directory, lock, exclusive, count: 1 });
            }
        }
        drop(all);
        Ok(Self { locks: locks.clone(), directory, is_held: true })
    }

    /// Releases the lock.
    pub(crate) fn release(&mut self) {
        if !std::mem::take(&mut self.is_held) {
            return;
        }
        let mut all = self.locks.held();
        if let Some(index) = all.iter().position(|held| held.directory == self.directory) {
            all[index].count -= 1;
            if all[index].count == 0 {
                all.swap_remove(index);
            }
        }
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        self.release();
    }
}

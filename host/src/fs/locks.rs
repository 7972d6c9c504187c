//! Locks on directories for the duration of a session.

use std::io;

use super::system;
use crate::grants::Access;

/// The directories that a session has locked.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Vec<system::Lock>,
}

impl Locks {
    /// Releases the locks.
    pub(crate) fn release(&mut self) {
        self.held.clear();
    }

    /// Locks a directory, and returns whether it was not locked already. Readers share a lock.
    pub(crate) fn hold(&mut self, directory: &system::Handle, access: Access) -> io::Result<bool> {
        let alone = access == Access::ReadWrite;
        let lock = system::Lock::new(directory, alone, &mut self.held)?;
        let new = lock.is_some();
        self.held.extend(lock);
        Ok(new)
    }
}

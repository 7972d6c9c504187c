//! Locks on directories, for the time of a session.

use std::io;

use super::system;
use crate::grants::Access;

/// The directories that a session holds, until it ends.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Vec<system::Lock>,
}

impl Locks {
    /// Lets others hold them.
    pub(crate) fn release(&mut self) {
        self.held.clear();
    }

    /// Whether it was not held already. Those that only read a directory hold it with each other.
    pub(crate) fn hold(&mut self, directory: &system::Handle, access: Access) -> io::Result<bool> {
        let alone = access == Access::ReadWrite;
        let lock = system::Lock::new(directory, alone, &mut self.held)?;
        let new = lock.is_some();
        self.held.extend(lock);
        Ok(new)
    }
}

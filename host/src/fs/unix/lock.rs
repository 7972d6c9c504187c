//! Locks on directories.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, Mode, flock, openat};

use super::{DIRECTORY, Handle};

/// A lock on a directory, which the system releases with the process.
#[derive(Debug)]
pub(crate) struct Lock(OwnedFd);

impl Lock {
    /// Locks a directory.
    pub(crate) fn new(directory: &Handle, exclusive: bool) -> io::Result<Self> {
        let how = match exclusive {
            true => FlockOperation::NonBlockingLockExclusive,
            false => FlockOperation::NonBlockingLockShared,
        };
        let own = openat(&directory.0, ".", DIRECTORY, Mode::empty())?;
        flock(&own, how)?;
        Ok(Self(own))
    }

    /// Makes a shared lock exclusive.
    pub(crate) fn make_exclusive(&self) -> io::Result<()> {
        // The system releases the lock before it acquires the other one.
        flock(&self.0, FlockOperation::NonBlockingLockExclusive).inspect_err(|_| {
            let _ = flock(&self.0, FlockOperation::NonBlockingLockShared);
        })?;
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not sufficient while a process that is being started has a copy.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

//! Locks on directories.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FlockOperation, Mode, flock, openat};

use super::{DIRECTORY, Handle};

/// A locked directory, by a lock that the system releases with the process.
#[derive(Debug)]
pub(crate) struct Lock {
    held: OwnedFd,
    file: (u64, u64),
    alone: bool,
}

impl Lock {
    /// Locks a directory. Returns `None` if it is among `held` already. A shared lock becomes an
    /// exclusive one (`alone`) if no one else holds it.
    pub(crate) fn new(
        directory: &Handle,
        alone: bool,
        held: &mut [Self],
    ) -> io::Result<Option<Self>> {
        let metadata = directory.metadata()?;
        let file = (metadata.device_id, metadata.file_id);
        let how = match alone {
            true => FlockOperation::NonBlockingLockExclusive,
            false => FlockOperation::NonBlockingLockShared,
        };
        if let Some(lock) = held.iter_mut().find(|lock| lock.file == file) {
            if alone && !lock.alone {
                // The system releases the lock before it acquires the other one.
                flock(&lock.held, how).inspect_err(|_| {
                    let _ = flock(&lock.held, FlockOperation::NonBlockingLockShared);
                })?;
                lock.alone = true;
            }
            return Ok(None);
        }
        let own = openat(directory.0.as_fd(), ".", DIRECTORY, Mode::empty())?;
        flock(&own, how)?;
        Ok(Some(Self { held: own, file, alone }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not sufficient while a process that is being started has a copy.
        let _ = flock(&self.held, FlockOperation::Unlock);
    }
}

//! The directories that no plugin reaches through a grant: those of the host's state.

use std::io;
use std::sync::Arc;

use super::metadata::FileIdentity;

/// The directories of the host that are excluded from every grant, by device and inode: under
/// whatever name they are reached, they are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fence(Arc<[FileIdentity]>);

impl Fence {
    /// Keeps plugins out of these directories.
    pub(crate) fn around(directories: impl Iterator<Item = FileIdentity>) -> Self {
        Self(directories.collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks a directory that was opened.
    pub(crate) fn check(&self, device_id: u64, file_id: u64) -> io::Result<()> {
        match self.0.contains(&(device_id, file_id)) {
            false => Ok(()),
            true => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it belongs to the host's state, which is excluded from every grant",
            )),
        }
    }
}

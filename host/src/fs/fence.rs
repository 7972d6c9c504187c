//! The directories of the host's state, which no plugin can reach through a grant.

use std::io;
use std::sync::Arc;

use super::metadata::FileIdentity;

/// The host's directories that are excluded from every grant. They are identified by device and
/// inode, so any path to them is recognized.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fence(Arc<[FileIdentity]>);

impl Fence {
    /// Excludes these directories.
    pub(crate) fn around(directories: impl Iterator<Item = FileIdentity>) -> Self {
        Self(directories.collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks an opened directory.
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

//! What no plugin reaches through a grant: the kernel's own file systems, and the host's state.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::system;

/// The directories of the host that are left out of every grant, by device and inode: under
/// whatever name they are reached, they are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fence(Arc<[(u64, u64)]>);

impl Fence {
    /// Keeps plugins out of these directories, as far as they exist.
    pub(crate) fn around(paths: &[PathBuf]) -> Self {
        Self(paths.iter().filter_map(|path| system::identity(path).ok()).collect())
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
                "it belongs to the host's state, which is left out of every grant",
            )),
        }
    }
}

//! An open directory, and a listing of one.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::fence::Fence;
use super::metadata::{FileIdentity, Links};
use super::system;
use crate::grants::Access;

/// A listing in progress.
#[allow(unreachable_pub, reason = "the generated bindings name it")]
#[derive(Debug)]
pub struct Listing {
    pub(crate) entries: system::Entries,
}

/// An open directory and its access.
#[allow(unreachable_pub, reason = "the generated bindings name it")]
#[derive(Clone, Debug)]
pub struct Directory {
    pub(crate) handle: Arc<system::Handle>,
    pub(crate) access: Access,
    /// The depth below the granted directory when it was opened.
    pub(crate) depth: usize,
    /// The granted directory.
    pub(crate) root: FileIdentity,
    /// Whether it is in the plugin's storage, which has a quota.
    pub(crate) stored: bool,
    /// The name of the grant, for messages.
    pub(crate) name: Arc<str>,
}

impl Directory {
    pub(crate) fn open(path: &Path, access: Access, name: &str, fence: &Fence) -> io::Result<Self> {
        // The path of a grant had no links when it was granted, so a link there now has replaced
        // the directory.
        let handle = Arc::new(system::Handle::open(path, Links::Refuse, fence)?);
        let root = handle.identity()?;
        Ok(Self { handle, access, depth: 0, root, stored: false, name: name.into() })
    }

    /// Opens the plugin's storage, which is in the host's state directory.
    pub(crate) fn open_storage(path: &Path, access: Access, name: &str) -> io::Result<Self> {
        let handle = Arc::new(system::Handle::open(path, Links::Follow, &Fence::default())?);
        let root = handle.identity()?;
        Ok(Self { handle, access, depth: 0, root, stored: true, name: name.into() })
    }

    /// Wraps a directory that is already open, below one of several granted directories.
    pub(crate) fn of_file(file: &std::fs::File, roots: &[FileIdentity]) -> io::Result<Self> {
        let handle = system::Handle::of_file(file)?;
        let (root, depth) = handle.root_above(roots)?;
        let (handle, name) = (Arc::new(handle), "".into());
        Ok(Self { handle, access: Access::ReadOnly, depth, root, stored: false, name })
    }

    /// Returns the current depth below the granted directory: it may have been moved since it was
    /// opened.
    pub(crate) fn depth_now(&self) -> io::Result<usize> {
        self.handle.depth_below(self.root, self.depth)
    }

    /// Returns the permissions of a new directory here. The host must be able to measure the
    /// storage.
    pub(crate) fn measurable(&self, mode: u32) -> u32 {
        if self.stored { mode | 0o700 } else { mode }
    }
}

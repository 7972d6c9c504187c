//! Opens directories by path.

use std::collections::VecDeque;

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, Result};

/// The number of handles of a walker, in addition to that of its root. More would be faster in deep
/// trees, but several walkers and many files are open at once.
pub(super) const HANDLES: usize = 8;

/// Opens directories by path from a root. It keeps the last directories of a path for the next one,
/// so that any depth needs the same number of handles.
pub(super) struct Walker {
    root: Option<Directory>,
    /// The components of the current directory.
    names: Vec<String>,
    /// The handles of the last components.
    open: VecDeque<Directory>,
    handles: usize,
}

impl Walker {
    pub(super) fn new(root: Option<Directory>) -> Self {
        Self { root, names: Vec::new(), open: VecDeque::new(), handles: HANDLES }
    }

    /// Closes all directories, and sets the number of handles.
    pub(super) fn set_handles(&mut self, handles: usize) {
        self.forget();
        self.handles = handles;
    }

    /// Returns the directory at a path. With `make`, creates missing directories.
    pub(super) fn directory(&mut self, path: &str, make: bool) -> Result<&Directory> {
        let parts = || path.split('/').filter(|part| !part.is_empty());
        let same = self.names.iter().zip(parts()).take_while(|(name, part)| *name == part).count();
        self.go_back(same);
        let missing = || Error::new(ErrorCode::NotFound, "the root is not open");
        for part in parts().skip(self.names.len()) {
            let parent = match self.open.back() {
                Some(directory) => directory,
                None => self.root.as_ref().ok_or_else(missing)?,
            };
            if make {
                match parent.create_directory(part, Some(0o700)) {
                    Ok(()) => {}
                    Err(error) if error.code == ErrorCode::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            let directory = parent.open_directory(part)?;
            if self.open.len() == self.handles {
                self.open.pop_front();
            }
            self.open.push_back(directory);
            self.names.push(part.to_owned());
        }
        match self.open.back() {
            Some(directory) => Ok(directory),
            None => self.root.as_ref().ok_or_else(missing),
        }
    }

    /// Returns to a parent directory, or to the root if its handle was not kept.
    fn go_back(&mut self, depth: usize) {
        let kept_from = self.names.len() - self.open.len();
        self.open.truncate(depth.saturating_sub(kept_from));
        self.names.truncate(if self.open.is_empty() { 0 } else { depth });
    }

    /// Closes the directory at a path that no longer has it, and those in it.
    pub(super) fn forget_at(&mut self, path: &str) {
        let is_inside = self.names.iter().zip(path.split('/')).all(|(name, part)| name == part);
        let depth = path.split('/').count();
        if is_inside && self.names.len() >= depth {
            self.go_back(depth - 1);
        }
    }

    pub(super) fn forget(&mut self) {
        self.go_back(0);
    }
}

//! Renames entries of any type.

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Local;
use crate::names;
use crate::tree::split;

impl Local {
    /// Renames an entry. If that is denied, makes the directories writable one after the other: a
    /// system may want to write into a directory that is moved to another one.
    pub(super) fn rename_entry(&mut self, path: &str, to: &str) -> Result<()> {
        // Open directories have the old paths, and some systems do not move them.
        self.walker.forget_at(path);
        let mut closed = [split(path).0, split(to).0, path].into_iter();
        loop {
            // A killed run may leave a directory at either place.
            self.note_moved(path, to)?;
            let target = self.parent(to)?.reopen()?;
            let denied = match self.try_to_rename(path, &target, to) {
                Err(error) if error.code == ErrorCode::AccessDenied => error,
                renamed => {
                    renamed?;
                    break;
                }
            };
            loop {
                let Some(directory) = closed.next() else { return Err(denied) };
                if self.open_up(directory)? {
                    break;
                }
            }
        }
        self.opened.moved(path, to);
        Ok(())
    }

    fn try_to_rename(&mut self, path: &str, target: &Directory, to: &str) -> Result<()> {
        let [(parent, old), (new_parent, new)] = [path, to].map(split);
        let directory = self.walker.directory(parent, false)?;
        match directory.rename_new(old, target, new) {
            Err(error)
                if error.code == ErrorCode::AlreadyExists
                    && parent == new_parent
                    && names::folded(old) == names::folded(new) =>
            {
                // Only the listing shows the names, because some file systems have no stable file
                // ids. On a case-insensitive side, the new name refers to the entry.
                for entry in directory.list()? {
                    if names::key(entry?.name.display()) == names::key(new) {
                        return Err(Error::new(error.code, format!("{new} is there, too")));
                    }
                }
                directory.rename(old, target, new)
            }
            renamed => renamed,
        }
    }
}

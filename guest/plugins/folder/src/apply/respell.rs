//! Renames entries whose names differ only in case.

use std::sync::Arc;

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Applier;
use crate::names;
use crate::plan::{Action, Operation};
use crate::state::{BaseChildren, BaseKind};
use crate::tree::{Name, Side, join};
use crate::walker::split;

impl Applier<'_> {
    /// Renames an entry.
    pub(super) fn respell(
        &mut self,
        operation: &Operation,
        on: Side,
        to: &str,
        next: &mut BaseChildren,
    ) -> Result<()> {
        let path = &operation.paths[on.index()];
        let (parent, name) = split(path);
        // Open directories have the old paths.
        self.roots[on.index()].forget();
        let directory = self.roots[on.index()].directory(parent, false)?;
        rename(directory, name, to)?;
        self.dirty.touch(on, parent, &operation.key);
        let new_path = join(parent, to);
        self.moved(on, path, &new_path);
        let mut renamed = operation.clone();
        renamed.paths[on.index()] = new_path.into();
        self.note(on, &renamed, next, None)?;
        self.respelled.insert(Name::clone(&operation.key));
        self.done.renamed += 1;
        Ok(())
    }
}

/// Renames an entry. On a case-insensitive side, the new name refers to the entry itself.
fn rename(directory: &Directory, name: &str, to: &str) -> Result<()> {
    match directory.rename_new(name, directory, to) {
        Err(error) if error.code == ErrorCode::AlreadyExists => {
            // Only the listing shows the names, because some file systems have no stable file ids.
            for entry in directory.list()? {
                if names::key(entry?.name.display()) == names::key(to) {
                    return Err(Error::new(error.code, format!("{to} is there, too")));
                }
            }
            directory.rename(name, directory, to)
        }
        renamed => renamed,
    }
}

/// Restores the old name of an entry that was not renamed.
pub(super) fn keep_spelling(next: &mut BaseChildren, operation: &Operation) {
    let Action::Respell { old_key, .. } = &operation.action else { return };
    let (parent, new) = split(&operation.key);
    let (_, old) = split(old_key);
    let mut here = next;
    for part in parent.split('/').filter(|part| !part.is_empty()) {
        here = match here.get_mut(part).map(|base| &mut Arc::make_mut(base).kind) {
            Some(BaseKind::Directory(children)) => children,
            Some(BaseKind::File(_) | BaseKind::Link(_)) | None => return,
        };
    }
    if let Some(base) = here.remove(new) {
        here.insert(old.into(), base);
    }
}

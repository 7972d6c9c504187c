//! Renames entries whose names differ only in case.

use std::sync::Arc;

use syncmgr_plugin::Result;

use super::Applier;
use crate::plan::{Action, Operation};
use crate::state::{BaseChildren, BaseKind};
use crate::tree::{Name, Side, join, split};

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
        let (parent, _) = split(path);
        self.end_of(on).respell(path, to)?;
        self.dirty.touch(on, parent, &operation.key);
        let new_path = join(parent, to);
        self.dirty.moved(on, path, &new_path);
        let mut renamed = operation.clone();
        renamed.paths[on.index()] = new_path.into();
        self.note(on, &renamed, next, None)?;
        self.respelled.insert(Name::clone(&operation.key));
        self.done.renamed += 1;
        Ok(())
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

//! The operations that a run leaves for the next one.

use std::collections::HashSet;

use syncmgr_plugin::Error;

use super::moves::Unmoved;
use super::new_baseline::restore;
use crate::plan::{Action, Operation};
use crate::state::BaseChildren;
use crate::tree::Name;

/// Operations that were not done.
#[derive(Clone, Debug, Default)]
pub(super) struct Left {
    /// Keys of operations other than moves.
    pub(super) undone: HashSet<Name>,
    pub(super) unmoved: Unmoved,
}

impl Left {
    /// Records an operation. `error` is the reason if it failed.
    pub(super) fn add(&mut self, operation: &Operation, error: Option<&Error>) {
        match operation.action {
            Action::Move { .. } => self.unmoved.add(operation, error),
            Action::MakeDirectory { .. }
            | Action::Copy { .. }
            | Action::MakeLink { .. }
            | Action::Rename { .. }
            | Action::Remove { .. }
            | Action::RemoveDirectory { .. }
            | Action::SetMode { .. }
            | Action::SetModified { .. } => {
                self.undone.insert(Name::clone(&operation.key));
            }
        }
    }

    /// Restores the old baseline of these operations.
    pub(super) fn restore(
        &self,
        next: &mut BaseChildren,
        before: &BaseChildren,
        moves: &[Operation],
    ) {
        for key in &self.undone {
            restore(next, before, key);
        }
        self.unmoved.restore(next, moves, &self.undone);
    }
}

//! Saves the baseline while a run is at work, if contents are expensive to compare: otherwise, the
//! run after an interruption would download each file that was copied already.

use std::collections::{HashSet, VecDeque};

use syncmgr_plugin::Result;

use super::Applier;
use super::new_baseline::revert;
use crate::plan::{Operation, Plan};
use crate::state::{BaseChildren, ConflictRecord};
use crate::tree::Name;

/// The number of steps and of copied bytes from which the baseline is saved.
const STEPS: u64 = 256;
const BYTES: u64 = 256 << 20;
/// The maximum number of times for the steps of a run, because each one writes the whole baseline.
const TIMES: u64 = 32;

/// Saves a baseline with its conflicts.
pub type Save<'a> = dyn FnMut(BaseChildren, Vec<ConflictRecord>) -> Result<()> + 'a;

/// Counts the work since the baseline was saved.
pub(super) struct Checkpoints {
    every: u64,
    steps: u64,
    bytes: u64,
}

impl Checkpoints {
    /// Begins a run with this number of steps.
    pub(super) fn new(steps: usize) -> Self {
        Self { every: (steps as u64 / TIMES).max(STEPS), steps: 0, bytes: 0 }
    }

    /// Records a step. Returns whether the baseline is to be saved.
    pub(super) fn is_due(&mut self, operation: &Operation) -> bool {
        self.steps += 1;
        self.bytes += operation.copied_bytes().unwrap_or(0);
        let is_due = self.steps >= self.every || self.bytes >= BYTES;
        if is_due {
            (self.steps, self.bytes) = (0, 0);
        }
        is_due
    }
}

impl Applier<'_> {
    /// Saves what was done so far. `rest` are the steps to come.
    pub(super) fn checkpoint(
        &mut self,
        plan: &mut Plan,
        before: &BaseChildren,
        moves: &[Operation],
        rest: &VecDeque<Operation>,
        save: &mut Save<'_>,
    ) {
        self.settle(&mut plan.next);
        self.flush();
        if self.ended.is_err() {
            return;
        }
        let mut undone = self.undone.clone();
        let pending = rest.iter().chain(self.room.waiting());
        undone.extend(pending.map(|operation| Name::clone(&operation.key)));
        let mut entries = plan.next.clone();
        self.revert(&mut entries, before, moves, &undone);
        let is_done = |one: &&ConflictRecord| !undone.contains(one.copy.as_str());
        let conflicts = plan.conflicts.iter().filter(is_done).cloned().collect();
        // The end of the run reports a storage that cannot be written.
        let _ = save(entries, conflicts);
    }

    /// Restores the old baseline of what was not done.
    pub(super) fn revert(
        &self,
        next: &mut BaseChildren,
        before: &BaseChildren,
        moves: &[Operation],
        undone: &HashSet<Name>,
    ) {
        for key in undone {
            revert(next, before, key);
        }
        self.unmoved.revert(next, moves, undone);
    }
}

//! Saves the baseline during a run, if contents are expensive to compare: otherwise, the run after
//! an interruption would download each file that was copied already.

use std::collections::VecDeque;

use syncmgr_plugin::Result;

use super::Applier;
use crate::plan::{Operation, Plan};
use crate::state::{BaseChildren, ConflictRecord};

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
        let mut left = self.left.clone();
        for operation in rest.iter().chain(self.room.waiting()) {
            left.add(operation, None);
        }
        let mut entries = plan.next.clone();
        left.restore(&mut entries, before, moves);
        let is_done = |one: &&ConflictRecord| !left.undone.contains(one.copy.as_str());
        let conflicts = plan.conflicts.iter().filter(is_done).cloned().collect();
        // The end of the run reports a storage that cannot be written.
        let _ = save(entries, conflicts);
    }
}

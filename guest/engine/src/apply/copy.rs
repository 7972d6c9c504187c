//! Copies files. A copy has a temporary name until its content is on the disk. Small files are
//! copied in batches, and all copies are flushed together, which takes little longer than flushing
//! one.

use std::time::{Duration, Instant};

use syncmgr_plugin::{ErrorCode, Interrupt, Result};

use super::Applier;
use crate::endpoint::{Endpoint, Received, Transfer, changed};
use crate::options::Options;
use crate::plan::{CopyModes, Operation};
use crate::state::BaseChildren;
use crate::tree::{Digest, Fingerprint, Side, join, split};

/// The total size of the copies of a batch.
const STEP_BYTES: u64 = 4 << 20;
/// The maximum size of a file in a batch.
const SMALL_BYTES: u64 = 1 << 20;
/// The maximum number of pending copies. They are open, and the host permits 128 open files.
const BATCH_FILES: usize = 64;
/// The initial size of a batch.
const FIRST_FILES: usize = 8;
/// The duration of a batch up to which the next one is larger.
const PATIENCE: Duration = Duration::from_millis(200);
/// The total size of pending copies from which they are flushed, because a cancellation waits for
/// them.
const BATCH_BYTES: u64 = 8 << 20;

/// A planned copy.
pub(super) struct Planned {
    pub(super) operation: Operation,
    pub(super) from: Side,
    pub(super) source: Fingerprint,
    pub(super) digest: Option<Digest>,
    pub(super) replaces: Option<Fingerprint>,
    /// The permission bits of the copy.
    mode: Option<u16>,
    /// Whether the copy gets the owner of its source if it replaces nothing.
    owner: bool,
    /// The path of the copy until it is complete.
    pub(super) temp: String,
}

impl Planned {
    /// The path on the side of the source, or on that of the copy.
    pub(super) fn path(&self, side: Side) -> &str {
        &self.operation.paths[side.index()]
    }

    fn transfer(&self) -> Transfer<'_> {
        Transfer {
            path: self.path(self.from),
            temp: &self.temp,
            name: split(self.path(self.from.other())).1,
            source: self.source,
            mode: self.mode,
            replaces: self.replaces.is_some(),
            owner: self.owner,
        }
    }

    fn is_digest(&self, digest: &Digest) -> bool {
        self.digest.as_ref().is_none_or(|planned| planned == digest)
    }
}

/// Pending copies.
pub(super) struct Batch {
    /// Copies to create.
    planned: Vec<Planned>,
    planned_bytes: u64,
    /// The maximum size of the next batch.
    planned_files: usize,
    /// Copies to flush and then rename.
    pub(super) copies: Vec<(Planned, Digest)>,
    pub(super) bytes: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            planned: Vec::new(),
            planned_bytes: 0,
            planned_files: FIRST_FILES,
            copies: Vec::new(),
            bytes: 0,
        }
    }
}

impl Batch {
    /// Adapts the size of batches to their duration, because a cancellation waits for a whole
    /// batch.
    fn took(&mut self, files: usize, took: Duration) {
        if took > PATIENCE {
            self.planned_files = (files / 2).max(1);
        } else if files >= self.planned_files {
            self.planned_files = (files * 2).min(BATCH_FILES);
        }
    }

    /// Returns whether its copies must be flushed now.
    pub(super) fn is_full(&self, options: &Options) -> bool {
        let many = self.copies.len() >= BATCH_FILES || self.bytes >= BATCH_BYTES;
        many || (!options.durable && !self.copies.is_empty())
    }

    /// Returns whether the batch must be copied now.
    fn is_ready(&self) -> bool {
        self.planned.len() >= self.planned_files
            || self.planned.len() + self.copies.len() >= BATCH_FILES
            || self.planned_bytes >= STEP_BYTES
    }

    fn is_empty(&self) -> bool {
        self.planned.is_empty() && self.copies.is_empty()
    }
}

impl Applier<'_> {
    /// Copies a file and renames the copy, or adds it to the batch.
    #[allow(clippy::too_many_arguments, reason = "everything that the plan says of a copy")]
    pub(super) fn copy(
        &mut self,
        operation: &Operation,
        from: Side,
        source: &Fingerprint,
        digest: Option<&Digest>,
        replaces: Option<&Fingerprint>,
        modes: CopyModes,
        next: &mut BaseChildren,
    ) -> Result<(), Interrupt> {
        let (source_parent, _) = split(&operation.paths[from.index()]);
        let (parent, _) = split(&operation.paths[from.other().index()]);
        // A side that stores permissions stores owners, too.
        let keeps_own = replaces.is_some() && modes.carried == modes.own;
        let keeps = keeps_own || self.keeps_modes(from, source_parent);
        let planned = Planned {
            operation: operation.clone(),
            from,
            source: *source,
            digest: digest.copied(),
            replaces: replaces.copied(),
            mode: if keeps { modes.carried } else { modes.own },
            owner: keeps,
            temp: join(parent, &self.temps.next()),
        };
        if source.size > SMALL_BYTES {
            return self.copy_alone(planned, next);
        }
        self.batch.planned_bytes += source.size;
        self.batch.planned.push(planned);
        if self.batch.is_ready() {
            self.copy_planned(next);
        }
        Ok(())
    }

    /// Returns both sides.
    pub(super) fn source_and_target(
        &mut self,
        from: Side,
    ) -> (&mut dyn Endpoint, &mut dyn Endpoint) {
        let [left, right] = &mut *self.ends;
        match from {
            Side::Left => (&mut **left, &mut **right),
            Side::Right => (&mut **right, &mut **left),
        }
    }

    /// Creates the copies of the batch.
    fn copy_planned(&mut self, next: &mut BaseChildren) {
        if self.batch.planned.is_empty() {
            return;
        }
        let go_on = self.context.check_cancelled();
        self.end(go_on);
        if self.ended.is_err() {
            return self.leave_planned();
        }
        self.batch.planned_bytes = 0;
        let planned = std::mem::take(&mut self.batch.planned);
        let mut again = Vec::new();
        for from in Side::BOTH {
            let some: Vec<_> = planned.iter().filter(|planned| planned.from == from).collect();
            if some.is_empty() {
                continue;
            }
            let transfers: Vec<_> = some.iter().map(|planned| planned.transfer()).collect();
            let begun = Instant::now();
            let (source, target) = self.source_and_target(from);
            let answers = target.receive_all(source, &transfers);
            self.batch.took(some.len(), begun.elapsed());
            again.extend(answers.into_iter().map(|answer| (from, answer)));
        }
        self.take_in_all(planned, again, next);
    }

    /// Accepts the copies of a batch. The answers are in the order of the sides.
    fn take_in_all(
        &mut self,
        planned: Vec<Planned>,
        answers: Vec<(Side, Result<Received, Interrupt>)>,
        next: &mut BaseChildren,
    ) {
        let [mut left, mut right] = [Side::Left, Side::Right].map(|_| Vec::new());
        for (from, answer) in answers {
            match from {
                Side::Left => left.push(answer),
                Side::Right => right.push(answer),
            }
        }
        let (mut left, mut right) = (left.into_iter(), right.into_iter());
        let mut again = Vec::new();
        for planned in planned {
            let answer = match planned.from {
                Side::Left => left.next(),
                Side::Right => right.next(),
            };
            match answer {
                Some(Ok(received)) => self.take_in(planned, received),
                Some(Err(Interrupt::Failed(error))) if error.code == ErrorCode::Changed => {
                    self.fail(&planned.operation, &changed("the file"));
                }
                Some(Err(cancelled @ (Interrupt::Item | Interrupt::All))) => {
                    self.give_up(&planned.operation, cancelled);
                }
                // There may be space after other copies are renamed; otherwise this returns the
                // reason.
                Some(Err(Interrupt::Failed(_))) | None => again.push(planned),
            }
        }
        for planned in again {
            if self.ended.is_err() {
                self.left.undone.insert(planned.operation.key);
                continue;
            }
            if self.must_wait(&planned.operation) {
                continue;
            }
            let operation = planned.operation.clone();
            if let Err(stop) = self.copy_alone(planned, next) {
                self.give_up(&operation, stop);
            }
        }
    }

    /// Accepts a copy of a batch if its source matches the plan.
    fn take_in(&mut self, planned: Planned, received: Received) {
        if !planned.is_digest(&received.digest) {
            self.remove_temp(&planned);
            self.fail(&planned.operation, &changed("the file"));
            return;
        }
        let advanced = self.advance(planned.source.size, planned.path(planned.from.other()));
        self.end(advanced);
        self.wait_for_name(planned, received.digest);
    }

    /// Skips the remaining copies.
    pub(super) fn leave_planned(&mut self) {
        self.batch.planned_bytes = 0;
        for planned in std::mem::take(&mut self.batch.planned) {
            self.left.undone.insert(planned.operation.key);
        }
    }

    /// Copies a file separately and renames the copy.
    fn copy_alone(&mut self, planned: Planned, next: &mut BaseChildren) -> Result<(), Interrupt> {
        let copied = match self.receive(&planned) {
            // Pending copies use open files, of which there may be too many, and the files that
            // they replace still use space.
            Err(Interrupt::Failed(error))
                if error.code != ErrorCode::Changed && !self.batch.is_empty() =>
            {
                self.settle(next);
                self.receive(&planned)
            }
            copied => copied,
        };
        let received = copied?;
        if !planned.is_digest(&received.digest) {
            self.remove_temp(&planned);
            return Err(changed("the file").into());
        }
        self.wait_for_name(planned, received.digest);
        Ok(())
    }

    /// Copies a file, with a report after each part.
    fn receive(&mut self, planned: &Planned) -> Result<Received, Interrupt> {
        let path = planned.path(planned.from.other());
        let [left, right] = &mut *self.ends;
        let (source, target) = match planned.from {
            Side::Left => (left, right),
            Side::Right => (right, left),
        };
        let context = &mut *self.context;
        target.receive(&mut **source, &planned.transfer(), &mut |bytes| {
            context.advance(bytes, || format!("copying {path}"))
        })
    }

    fn wait_for_name(&mut self, planned: Planned, digest: Digest) {
        self.batch.bytes += planned.source.size;
        self.batch.copies.push((planned, digest));
    }

    /// Creates the pending copies, flushes them, and renames them.
    pub(super) fn settle(&mut self, next: &mut BaseChildren) {
        self.copy_planned(next);
        self.name_copies(next);
    }

    /// Removes a copy that is not renamed. If that fails, the next run removes it.
    pub(super) fn remove_temp(&mut self, planned: &Planned) {
        let _ = self.end_of(planned.from.other()).remove(&planned.temp, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_size_is_bounded_by_the_copy_time() {
        let (soon, late) = (PATIENCE / 2, PATIENCE * 2);
        let mut batch = Batch::default();
        for (files, took, next) in [
            (8, soon, 16),
            (16, soon, 32),
            // A short duration for few files says nothing about many.
            (1, soon, 32),
            (32, soon, 64),
            (64, soon, 64),
            (64, late, 32),
            (2, late, 1),
            (1, late, 1),
            (1, soon, 2),
        ] {
            batch.took(files, took);
            assert_eq!(batch.planned_files, next, "{files} in {took:?}");
        }
    }
}

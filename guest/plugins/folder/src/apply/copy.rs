//! Copies files. A copy has a temporary name until its content is on the disk. Small files are
//! copied in batches, and all copies are flushed together, which takes little longer than flushing
//! one.

use std::time::{Duration, Instant};

use syncmgr_plugin::directories::{self, CopiedFile, CopyAttributes, CopyRequest, Directory, File};
use syncmgr_plugin::{ErrorCode, Interrupt, Result};

use super::Applier;
use super::recheck::{changed, check, is_still};
use crate::options::Options;
use crate::plan::{CopyModes, Operation};
use crate::scan::fingerprint;
use crate::state::BaseChildren;
use crate::tree::{Digest, Fingerprint, Side};
use crate::walker::split;

/// The bytes to copy between two checks for a cancellation.
pub(super) const STEP_BYTES: u64 = 4 << 20;
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
/// The maximum number of directory pairs in a batch. They are open, too.
const BATCH_PAIRS: usize = 8;

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
    pub(super) temp: String,
}

impl Planned {
    /// The path on the side of the source, or on that of the copy.
    pub(super) fn path(&self, side: Side) -> &str {
        &self.operation.paths[side.index()]
    }

    /// Returns whether these metadata match the plan.
    fn is_of(&self, source: &Fingerprint, digest: &Digest) -> bool {
        is_still(source, &self.source) && self.is_digest(digest)
    }

    /// Returns the attributes of the copy.
    pub(super) fn attributes(&self) -> CopyAttributes<'_> {
        let (_, name) = split(self.path(self.from.other()));
        CopyAttributes {
            mode: self.mode.map(u32::from),
            replaces: self.replaces.is_some().then_some(name),
            owner: self.owner,
        }
    }

    fn request<'a>(
        &'a self,
        pair: &'a DirectoryPair,
        options: &Options,
    ) -> (CopyRequest<'a>, CopyAttributes<'a>) {
        let request = CopyRequest {
            source: &pair.source,
            name: split(self.path(self.from)).1,
            target: &pair.target,
            target_name: &self.temp,
            max_size: self.source.size,
            verify: options.verify,
        };
        (request, self.attributes())
    }

    pub(super) fn is_digest(&self, digest: &Digest) -> bool {
        self.digest.as_ref().is_none_or(|planned| planned == digest)
    }
}

/// Two directories, by path, between which files are copied.
struct DirectoryPair {
    from: Side,
    paths: [String; 2],
    source: Directory,
    target: Directory,
}

/// Pending copies.
pub(super) struct Batch {
    /// Copies to create, each with the index of its directories.
    planned: Vec<(Planned, usize)>,
    planned_bytes: u64,
    /// The maximum size of the next batch.
    planned_files: usize,
    pairs: Vec<DirectoryPair>,
    /// Copies to flush and then rename.
    copies: Vec<(Planned, Digest, File)>,
    bytes: u64,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            planned: Vec::new(),
            planned_bytes: 0,
            planned_files: FIRST_FILES,
            pairs: Vec::new(),
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
            || self.pairs.len() >= BATCH_PAIRS
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
            temp: self.temp(),
        };
        let pair = match source.size <= SMALL_BYTES {
            true => self.pair_of(&planned).ok(),
            false => None,
        };
        // If it cannot be added, copying it reports the reason.
        let Some(pair) = pair else { return self.copy_alone(planned, next) };
        self.batch.planned_bytes += source.size;
        self.batch.planned.push((planned, pair));
        if self.batch.is_ready() {
            self.copy_planned(next);
        }
        Ok(())
    }

    /// Returns the index of the directories of a copy, which are open.
    fn pair_of(&mut self, planned: &Planned) -> Result<usize> {
        let from = planned.from;
        let (source_parent, _) = split(planned.path(from));
        let (target_parent, _) = split(planned.path(from.other()));
        let is_it = |pair: &DirectoryPair| {
            pair.from == from && pair.paths[0] == source_parent && pair.paths[1] == target_parent
        };
        // Most copies have the directories of the previous one.
        if let Some(pair) = self.batch.pairs.iter().rposition(is_it) {
            return Ok(pair);
        }
        let source = self.roots[from.index()].directory(source_parent, false)?.reopen()?;
        let target = self.roots[from.other().index()].directory(target_parent, false)?.reopen()?;
        let paths = [source_parent.to_owned(), target_parent.to_owned()];
        self.batch.pairs.push(DirectoryPair { from, paths, source, target });
        Ok(self.batch.pairs.len() - 1)
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
        let planned = std::mem::take(&mut self.batch.planned);
        let pairs = std::mem::take(&mut self.batch.pairs);
        self.batch.planned_bytes = 0;
        let requests: Vec<_> = planned
            .iter()
            .map(|(planned, pair)| planned.request(&pairs[*pair], self.options))
            .collect();
        let begun = Instant::now();
        let answers = directories::copy_files_with(&requests);
        self.batch.took(planned.len(), begun.elapsed());
        drop(requests);
        drop(pairs);
        let mut again = Vec::new();
        for ((planned, _), answer) in planned.into_iter().zip(answers) {
            match answer {
                Ok(copied) => self.take_in(planned, copied),
                Err(error) if error.code == ErrorCode::Changed => {
                    self.fail(&planned.operation, &changed("the file"));
                }
                // There may be space after other copies are renamed, or its directory may be made
                // writable; otherwise this returns the reason.
                Err(_) => again.push(planned),
            }
        }
        for planned in again {
            if self.ended.is_err() {
                self.undone.insert(planned.operation.key);
                continue;
            }
            if self.waits_for_room(&planned.operation) {
                continue;
            }
            let operation = planned.operation.clone();
            if let Err(stop) = self.copy_alone(planned, next) {
                self.give_up(&operation, stop);
            }
        }
    }

    /// Accepts a copy of a batch if its source matches the plan.
    fn take_in(&mut self, planned: Planned, copied: CopiedFile) {
        if !planned.is_of(&fingerprint(&copied.source), &copied.digest) {
            self.remove_temp(&planned);
            self.fail(&planned.operation, &changed("the file"));
            return;
        }
        let advanced = self.advance(planned.source.size, planned.path(planned.from.other()));
        self.end(advanced);
        self.wait_for_name(planned, copied.digest, copied.copy);
    }

    /// Skips the remaining copies.
    pub(super) fn leave_planned(&mut self) {
        self.batch.pairs.clear();
        self.batch.planned_bytes = 0;
        for (planned, _) in std::mem::take(&mut self.batch.planned) {
            self.undone.insert(planned.operation.key);
        }
    }

    /// Copies a file separately and renames the copy.
    fn copy_alone(&mut self, planned: Planned, next: &mut BaseChildren) -> Result<(), Interrupt> {
        let copied = match self.write(&planned) {
            // Pending copies use open files, of which there may be too many, and the files that
            // they replace still use space.
            Err(Interrupt::Failed(error))
                if error.code != ErrorCode::Changed && !self.batch.is_empty() =>
            {
                self.settle(next);
                self.write(&planned)
            }
            copied => copied,
        };
        let (digest, copy) = copied?;
        self.wait_for_name(planned, digest, copy);
        Ok(())
    }

    fn wait_for_name(&mut self, planned: Planned, digest: Digest, copy: File) {
        self.batch.bytes += planned.source.size;
        self.batch.copies.push((planned, digest, copy));
    }

    /// Creates the pending copies, flushes them, and renames them.
    pub(super) fn settle(&mut self, next: &mut BaseChildren) {
        self.copy_planned(next);
        self.name_copies(next);
    }

    /// Flushes the created copies, and renames them.
    pub(super) fn name_copies(&mut self, next: &mut BaseChildren) {
        self.batch.bytes = 0;
        let copies = std::mem::take(&mut self.batch.copies);
        if copies.is_empty() {
            return;
        }
        let flushed = match self.options.durable {
            true => {
                let files: Vec<_> = copies.iter().map(|(_, _, copy)| copy).collect();
                directories::flush_files(&files)
            }
            false => copies.iter().map(|_| Ok(())).collect(),
        };
        // The following operations may open other directories.
        let copies: Vec<_> =
            copies.into_iter().map(|(planned, digest, _)| (planned, digest)).collect();
        for ((planned, digest), flushed) in copies.into_iter().zip(flushed) {
            match flushed.and_then(|()| self.name(&planned, digest, next)) {
                Ok(()) => {
                    self.done.copied += 1;
                    self.done.bytes += planned.source.size;
                }
                Err(error) => {
                    self.remove_temp(&planned);
                    self.fail(&planned.operation, &error);
                }
            }
        }
    }

    /// Renames a copy, if its source is still unchanged.
    fn name(&mut self, planned: &Planned, digest: Digest, next: &mut BaseChildren) -> Result<()> {
        let (from, on) = (planned.from, planned.from.other());
        let (source_parent, source_name) = split(planned.path(from));
        let source = self.roots[from.index()].directory(source_parent, false)?;
        check(source, source_name, &planned.source)?;
        self.rename_finished(on, &planned.operation, &planned.temp, planned.replaces.as_ref())?;
        self.note(on, &planned.operation, next, Some(digest))?;
        if planned.source.changed.is_none() {
            // The source was renamed before its copy.
            self.note(from, &planned.operation, next, None)?;
        }
        Ok(())
    }

    /// Removes a copy that is not renamed. If that fails, the next run removes it.
    pub(super) fn remove_temp(&mut self, planned: &Planned) {
        let on = planned.from.other();
        let (parent, _) = split(planned.path(on));
        if let Ok(directory) = self.roots[on.index()].directory(parent, false) {
            let _ = directory.remove_file(&planned.temp);
        }
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

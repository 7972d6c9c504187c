//! Carries out a plan. Every operation checks that its source and target still match the plan, and
//! at any time each name has either the old or the new content.

mod checkpoint;
mod copy;
mod flush;
mod left;
mod moves;
mod name;
mod new_baseline;
mod old_trash;
mod perform;
mod place;
mod refused;
mod renamed;
mod report;
mod room;
mod words;

use std::collections::{HashMap, VecDeque};

use syncmgr_plugin::{Error, ErrorCode, Interrupt, SyncContext};

use crate::endpoint::{Endpoint, Run};
use crate::names::{self, TempNames};
use crate::options::Options;
use crate::outage::Outage;
use crate::pair::Pair;
use crate::plan::{Action, Operation, Plan};
use crate::state::BaseChildren;
use crate::tree::{Name, Side, split};
use checkpoint::Checkpoints;
pub use checkpoint::Save;
use copy::Batch;
use flush::Dirty;
use left::Left;
use refused::Refused;
use renamed::RenamedFiles;
pub use report::report_of;
use room::Room;

/// The changes of a run.
#[derive(Debug, Default)]
pub struct Done {
    /// Files and links copied.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files and links removed.
    pub removed: u64,
    /// Directories created or removed.
    pub directories: u64,
    /// Permissions set.
    pub modes: u64,
    /// Times of equal files set.
    pub times: u64,
    /// Entries moved, each with everything in it.
    pub moved: u64,
    /// Entries renamed to another case.
    pub renamed: u64,
    /// The operations that failed, with their reasons.
    pub failed: Vec<String>,
    /// The number of entries left for the next run.
    pub left: u64,
    /// The number of moves among them. A server that did not answer may have made some of them.
    pub unmoved: u64,
}

/// Carries out the operations of one run.
pub struct Applier<'a> {
    ends: &'a mut Endpoints,
    pair: &'a Pair,
    options: &'a Options,
    run: Run,
    context: &'a mut SyncContext,
    temps: TempNames,
    now: i64,
    dirty: Dirty,
    /// Whether each side shows all permissions for all users.
    is_open: [bool; 2],
    refused: Refused,
    /// New entries, with another name of their directory that differs only in case.
    alike: HashMap<Name, Name>,
    /// Copies that are not created or not renamed yet.
    batch: Batch,
    renamed: RenamedFiles,
    room: Room,
    outage: Outage,
    /// The reason to stop, once there is one.
    ended: Result<(), Interrupt>,
    /// The changes so far.
    pub done: Done,
    left: Left,
}

/// The two sides.
pub type Endpoints = [Box<dyn Endpoint>; 2];

impl<'a> Applier<'a> {
    /// Begins the changes. `now` is the time of the scan in ns since 1970, which makes names
    /// unique; `stamp` is the same time as text.
    pub fn new(
        pair: &'a Pair,
        ends: &'a mut Endpoints,
        is_open: [bool; 2],
        options: &'a Options,
        now: i64,
        stamp: String,
        context: &'a mut SyncContext,
    ) -> Self {
        // Any first number is possible.
        let first = (now.unsigned_abs() & u64::from(u32::MAX)).try_into().unwrap_or(0);
        let temps = TempNames::new(pair.tag(), first);
        let Options { verify, durable, trash, trash_keep, .. } = *options;
        let run = Run {
            stamp,
            verify,
            durable,
            trash,
            temps: temps.clone(),
            pair: pair.sides.each_ref().map(|side| side.id),
            keep: trash_keep.at(now),
        };
        ends.iter_mut().for_each(|end| end.begin(&run));
        Self {
            ends,
            pair,
            options,
            run,
            context,
            temps,
            now,
            dirty: Dirty::default(),
            is_open,
            refused: Refused::default(),
            alike: HashMap::new(),
            batch: Batch::default(),
            renamed: RenamedFiles::default(),
            room: Room::default(),
            outage: Outage::default(),
            ended: Ok(()),
            done: Done::default(),
            left: Left::default(),
        }
    }

    /// Removes the leftovers of an interrupted run of this pair.
    pub fn remove_leftovers(&mut self, on: Side, paths: &[String]) {
        if !self.pair.is_writable(on) {
            return;
        }
        let tag = self.pair.tag();
        for path in paths.iter().filter(|path| names::is_temp_of(split(path).1, tag)) {
            match self.end_of(on).remove(path, None) {
                Ok(()) => {}
                Err(error) if error.code == ErrorCode::NotFound => {}
                Err(error) => {
                    let (parent, _) = split(path);
                    self.cannot("remove an unfinished copy from", parent, on, &error);
                }
            }
        }
    }

    fn end_of(&mut self, on: Side) -> &mut dyn Endpoint {
        &mut *self.ends[on.index()]
    }

    /// Records the failure of an operation in a directory.
    fn cannot(&mut self, what: &str, directory: &str, on: Side, error: &Error) {
        let path = if directory.is_empty() { "the top" } else { directory };
        let message = names::cannot(what, path, self.pair.description(on), error).message;
        self.done.failed.push(message);
    }

    /// Returns whether the entries of a directory keep permissions.
    fn keeps_modes(&mut self, on: Side, parent: &str) -> bool {
        let is_open = self.is_open[on.index()];
        self.end_of(on).keeps_modes(parent, is_open)
    }

    /// Carries out a plan and flushes it. Afterwards `plan.next` is the new baseline, even after a
    /// failure or a cancellation, which ends the run early. `save` saves the baseline so far, if
    /// contents are expensive to compare.
    ///
    /// # Errors
    /// Returns the interrupt once the user cancelled, and fails if a side is full.
    pub fn apply(
        &mut self,
        plan: &mut Plan,
        before: &BaseChildren,
        mut save: Option<&mut Save<'_>>,
    ) -> Result<(), Interrupt> {
        let total = plan.operations.iter().filter_map(Operation::copied_bytes).sum();
        self.ended = self.context.set_total_bytes(total);
        let operations = std::mem::take(&mut plan.operations);
        let removals = std::mem::take(&mut plan.removals);
        self.alike = std::mem::take(&mut plan.alike);
        let mut moves = std::mem::take(&mut plan.moves);
        for operation in &moves {
            self.step(operation, &mut plan.next);
        }
        let is_move = |one: &&Operation| matches!(one.action, Action::Move { .. });
        moves.extend(removals.iter().filter(is_move).cloned());
        let mut rest: VecDeque<_> = operations.into_iter().chain(removals).collect();
        let mut checkpoints = Checkpoints::new(rest.len());
        while let Some(operation) = rest.pop_front() {
            self.step(&operation, &mut plan.next);
            if let (Some(save), true) = (&mut save, checkpoints.is_due(&operation)) {
                self.checkpoint(plan, before, &moves, &rest, *save);
            }
        }
        self.finish_copies(&mut plan.next);
        self.try_again(&mut plan.next);
        for on in Side::BOTH {
            for (what, path, error) in self.end_of(on).finish() {
                self.cannot(what, &path, on, &error);
            }
        }
        self.flush();
        self.ends.iter_mut().for_each(|end| end.forget_repairs());
        let left = std::mem::take(&mut self.left);
        left.restore(&mut plan.next, before, &moves);
        self.done.unmoved = left.unmoved.len();
        self.done.left = left.undone.len() as u64 + self.done.unmoved;
        plan.conflicts.retain(|conflict| !left.undone.contains(conflict.copy.as_str()));
        std::mem::replace(&mut self.ended, Ok(())).and_then(|()| self.no_room())
    }

    /// Performs one step, or records that it was skipped.
    fn step(&mut self, operation: &Operation, next: &mut BaseChildren) {
        if self.ended.is_ok() && needs_names(&operation.action) {
            self.settle(next);
        }
        // A directory that was refused has the reason.
        if self.ended.is_err() || self.refused.includes(&operation.key) {
            self.left.add(operation, None);
            return;
        }
        if self.must_wait(operation) {
            return;
        }
        match self.one(operation, next) {
            Ok(()) if operation.copied_bytes().is_none() => self.outage.works(),
            Ok(()) => {}
            Err(stop) => self.give_up(operation, stop),
        }
        if self.batch.is_full(self.options) {
            self.settle(next);
        }
    }

    /// Renames all finished copies. Copies from before a cancellation are kept.
    fn finish_copies(&mut self, next: &mut BaseChildren) {
        if self.ended.is_ok() {
            self.settle(next);
        }
        self.leave_planned();
        self.name_copies(next);
    }

    /// Records that an operation was skipped.
    fn give_up(&mut self, operation: &Operation, stop: Interrupt) {
        match stop {
            Interrupt::Failed(error) => self.fail(operation, &error),
            Interrupt::Item | Interrupt::All => {
                self.left.add(operation, None);
                self.end(Err(stop));
            }
        }
    }

    /// Stops the run, unless it has stopped already.
    fn end(&mut self, ended: Result<(), Interrupt>) {
        if self.ended.is_ok() {
            self.ended = ended;
        }
    }

    /// Records that an operation failed.
    fn fail(&mut self, operation: &Operation, error: &Error) {
        if room::is_postponed(error.code) {
            return self.postpone(operation, error);
        }
        if let Err(stop) = self.outage.failed(error) {
            self.end(Err(stop));
        }
        self.report_failure(operation, error);
        self.refused.note(operation);
        self.left.add(operation, Some(error));
        self.done.failed.push(words::explain(operation, self.pair, error));
    }
}

/// Returns whether an action may depend on the result of an earlier copy.
fn needs_names(action: &Action) -> bool {
    match action {
        Action::Copy { .. } | Action::MakeDirectory { .. } => false,
        Action::MakeLink { .. }
        | Action::Rename { .. }
        | Action::Move { .. }
        | Action::Remove { .. }
        | Action::RemoveDirectory { .. }
        | Action::SetMode { .. }
        | Action::SetModified { .. } => true,
    }
}

impl Operation {
    /// Returns the side that it changes.
    pub fn side(&self) -> Side {
        match &self.action {
            Action::Copy { from, .. } => from.other(),
            Action::MakeDirectory { on, .. }
            | Action::MakeLink { on, .. }
            | Action::Rename { on, .. }
            | Action::Move { on, .. }
            | Action::Remove { on, .. }
            | Action::RemoveDirectory { on }
            | Action::SetMode { on, .. }
            | Action::SetModified { on, .. } => *on,
        }
    }
}

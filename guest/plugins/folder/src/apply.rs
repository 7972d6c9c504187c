//! Carries out a plan. Every operation checks that its source and target still match the plan, and
//! at any time each name has either the old or the new content.

mod copy;
mod flush;
mod modes;
mod new_baseline;
mod perform;
mod permit;
mod recheck;
mod refused;
mod respell;
mod room;
mod trash;
mod words;
mod write;

use std::collections::{HashMap, HashSet};

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result, SyncContext};

use crate::names;
use crate::options::Options;
use crate::pair::Pair;
use crate::plan::{Action, Operation, Plan};
use crate::state::BaseChildren;
use crate::tree::{Name, Side};
use crate::walker::{Walker, split};
use copy::Batch;
use flush::Dirty;
use modes::KeptModes;
use new_baseline::revert;
use permit::Opened;
use refused::Refused;
use respell::keep_spelling;
use room::Room;
use trash::Trash;

pub(crate) use permit::repair;

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
    /// Entries renamed to another case.
    pub renamed: u64,
    /// The operations that failed, with their reasons.
    pub failed: Vec<String>,
    /// The number of entries left for the next run.
    pub left: u64,
}

/// Carries out the operations of one run.
pub struct Applier<'a> {
    roots: [Walker; 2],
    tops: &'a [Directory; 2],
    storage: &'a Directory,
    pair: &'a Pair,
    trash: [Trash; 2],
    /// The name of this run's directory in the trash.
    stamp: String,
    options: &'a Options,
    context: &'a mut SyncContext,
    tag: u32,
    next_temp: u32,
    now: i64,
    dirty: Dirty,
    /// Whether each side shows all permissions for all users.
    is_open: [bool; 2],
    kept_modes: KeptModes,
    refused: Refused,
    /// New entries, with another name of their directory that differs only in case.
    alike: HashMap<Name, Name>,
    /// Keys of entries that were renamed to another case.
    respelled: HashSet<Name>,
    /// Copies that are not created or not renamed yet.
    batch: Batch,
    room: Room,
    opened: Opened,
    /// The reason to stop, once there is one.
    ended: Result<(), Interrupt>,
    /// The changes so far.
    pub done: Done,
    /// Keys of operations that are skipped or pending.
    undone: HashSet<Name>,
}

/// The directories that an [`Applier`] works in.
#[derive(Clone, Copy, Debug)]
pub struct Directories<'a> {
    /// The pair.
    pub pair: &'a Pair,
    /// The two sides.
    pub roots: &'a [Directory; 2],
    /// The plugin's storage.
    pub storage: &'a Directory,
}

impl<'a> Applier<'a> {
    /// Prepares the run. `now` is the time of the scan in ns since 1970, which makes names unique;
    /// `stamp` is the same time as text.
    ///
    /// # Errors
    /// Fails if the sides cannot be reopened.
    pub fn new(
        directories: Directories<'a>,
        is_open: [bool; 2],
        options: &'a Options,
        now: i64,
        stamp: String,
        context: &'a mut SyncContext,
    ) -> Result<Self> {
        let Directories { pair, roots: tops, storage } = directories;
        let [left, right] = tops;
        Ok(Self {
            roots: [Walker::new(Some(left.reopen()?)), Walker::new(Some(right.reopen()?))],
            tops,
            storage,
            pair,
            trash: Default::default(),
            stamp,
            options,
            context,
            tag: pair.tag(),
            // Any value is possible.
            next_temp: (now.unsigned_abs() & u64::from(u32::MAX)).try_into().unwrap_or(0),
            now,
            dirty: Dirty::default(),
            is_open,
            kept_modes: KeptModes::default(),
            refused: Refused::default(),
            alike: HashMap::new(),
            respelled: HashSet::new(),
            batch: Batch::default(),
            room: Room::default(),
            opened: Opened::default(),
            ended: Ok(()),
            done: Done::default(),
            undone: HashSet::new(),
        })
    }

    /// Removes the leftovers of an interrupted run of this pair.
    pub fn remove_leftovers(&mut self, on: Side, paths: &[String]) {
        if !self.pair.is_writable(on) {
            return;
        }
        let tag = self.tag;
        for path in paths.iter().filter(|path| names::is_temp_of(split(path).1, tag)) {
            let (parent, name) = split(path);
            let remove = |applier: &mut Self| {
                applier.roots[on.index()].directory(parent, false)?.remove_file(name)
            };
            let removed = match remove(self) {
                Err(error) if error.code == ErrorCode::AccessDenied => {
                    self.open_up(on, parent).and_then(|_| remove(self))
                }
                removed => removed,
            };
            match removed {
                Ok(()) => {}
                Err(error) if error.code == ErrorCode::NotFound => {}
                Err(error) => {
                    let what = "remove an unfinished copy from";
                    let parent = if parent.is_empty() { "the top" } else { parent };
                    self.done
                        .failed
                        .push(words::cannot(what, parent, on, self.pair, &error).message);
                }
            }
        }
    }

    /// Carries out a plan and flushes it. Afterwards `plan.next` is the new baseline, even after a
    /// failure or a cancellation, which ends the run early.
    pub fn apply(&mut self, plan: &mut Plan, before: &BaseChildren) -> Result<(), Interrupt> {
        let total = plan.operations.iter().filter_map(Operation::copied_bytes).sum();
        self.ended = self.context.set_total_bytes(total);
        let operations = std::mem::take(&mut plan.operations);
        let removals = std::mem::take(&mut plan.removals);
        self.alike = std::mem::take(&mut plan.alike);
        let is_renaming = |one: &&Operation| matches!(one.action, Action::Respell { .. });
        let renames: Vec<_> = removals.iter().filter(is_renaming).cloned().collect();
        for operation in operations.into_iter().chain(removals) {
            self.step(&operation, &mut plan.next);
        }
        self.finish_copies(&mut plan.next);
        self.try_again(&mut plan.next);
        self.shut_all();
        self.flush();
        self.forget_note();
        for operation in &renames {
            self.undone.remove(&operation.key);
        }
        for key in &self.undone {
            revert(&mut plan.next, before, key);
        }
        for operation in renames.iter().filter(|one| !self.respelled.contains(&one.key)) {
            keep_spelling(&mut plan.next, operation);
        }
        let undone = std::mem::take(&mut self.undone);
        self.done.left = undone.len() as u64;
        plan.conflicts.retain(|conflict| !undone.contains(conflict.copy.as_str()));
        std::mem::replace(&mut self.ended, Ok(())).and_then(|()| self.no_room())
    }

    /// Performs one step, or records that it was skipped.
    fn step(&mut self, operation: &Operation, next: &mut BaseChildren) {
        if self.ended.is_ok() && needs_names(&operation.action) {
            self.settle(next);
        }
        if self.ended.is_err() {
            self.undone.insert(Name::clone(&operation.key));
            return;
        }
        if self.refused.includes(&operation.key) {
            // The parent directory has the reason.
            self.undone.insert(Name::clone(&operation.key));
            return;
        }
        if self.waits_for_room(operation) {
            return;
        }
        if let Err(stop) = self.one(operation, next) {
            self.give_up(operation, stop);
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
                self.undone.insert(Name::clone(&operation.key));
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
        if error.code == ErrorCode::NoSpace {
            return self.lacks_room(operation, error);
        }
        self.refused.note(operation);
        self.undone.insert(Name::clone(&operation.key));
        self.done.failed.push(words::explain(operation, self.pair, error));
    }

    /// Updates the paths after a directory was renamed.
    fn moved(&mut self, side: Side, old: &str, new: &str) {
        self.dirty.moved(side, old, new);
        self.opened.moved(side, old, new);
    }

    fn temp(&mut self) -> String {
        self.next_temp = self.next_temp.wrapping_add(1);
        names::temp(self.tag, self.next_temp)
    }
}

/// Returns whether an action may depend on the result of an earlier copy.
fn needs_names(action: &Action) -> bool {
    match action {
        Action::Copy { .. } | Action::MakeDirectory { .. } => false,
        Action::MakeLink { .. }
        | Action::Rename { .. }
        | Action::Respell { .. }
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
            | Action::Respell { on, .. }
            | Action::Remove { on, .. }
            | Action::RemoveDirectory { on }
            | Action::SetMode { on, .. }
            | Action::SetModified { on, .. } => *on,
        }
    }
}

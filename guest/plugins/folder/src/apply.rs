//! Carries a plan out. Every step checks that its victim and its source are still what the plan
//! saw, and leaves each name the old or the new thing at every instant.

mod agreed;
mod copy;
mod flush;
mod modes;
mod permit;
mod refused;
mod respell;
mod room;
mod still;
mod trash;
mod words;
mod write;

use std::collections::{HashMap, HashSet};

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, ItemRun, Result, Stop};

use crate::names;
use crate::options::Options;
use crate::pair::Pair;
use crate::plan::{Action, Operation, Plan};
use crate::state::BaseChildren;
use crate::tree::{Fingerprint, Name, Side};
use crate::walker::{Walker, split};
use agreed::revert;
use copy::Batch;
use flush::Dirty;
use modes::KeptModes;
use permit::Opened;
use refused::{Refused, no_link, not_named};
use respell::keep_spelling;
use room::Room;
use still::{changed, check};
use trash::Trash;

pub(crate) use permit::repair;

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    /// Files and links copied.
    pub copied: u64,
    /// The bytes of them.
    pub bytes: u64,
    /// Files and links removed.
    pub removed: u64,
    /// Directories made or removed.
    pub directories: u64,
    /// Permissions set.
    pub modes: u64,
    /// Times of equal files set.
    pub times: u64,
    /// Entries that got a name in another case.
    pub renamed: u64,
    /// What could not be done, and why.
    pub failed: Vec<String>,
    /// How many entries are left for the next run.
    pub left: u64,
}

/// Both roots, and what is needed to work on them.
pub struct Applier<'a> {
    roots: [Walker; 2],
    tops: &'a [Directory; 2],
    storage: &'a Directory,
    pair: &'a Pair,
    trash: [Trash; 2],
    /// The name of this run's directory in the trash.
    stamp: String,
    options: &'a Options,
    run: &'a mut ItemRun,
    tag: u32,
    next_temp: u32,
    now: i64,
    dirty: Dirty,
    /// Whether anybody may do anything on each side.
    is_open: [bool; 2],
    kept_modes: KeptModes,
    refused: Refused,
    /// New entries, with another name of their directory that differs only in case.
    alike: HashMap<Name, Name>,
    /// Keys of what got a name in another case.
    respelled: HashSet<Name>,
    /// Copies that are not made yet, or have no name yet.
    batch: Batch,
    room: Room,
    opened: Opened,
    /// Why nothing more is to be done, as soon as there is a reason.
    ended: Result<(), Stop>,
    /// What was done so far.
    pub done: Done,
    /// Keys of what was not done or not done yet.
    undone: HashSet<Name>,
}

/// Where an [`Applier`] works.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The pair.
    pub pair: &'a Pair,
    /// The two sides.
    pub roots: &'a [Directory; 2],
    /// The plugin's storage.
    pub storage: &'a Directory,
}

impl<'a> Applier<'a> {
    /// Prepares to work. `now` is the time of the scan in ns since 1970, and makes names unique;
    /// `stamp` says the same to people.
    ///
    /// # Errors
    /// Those of opening the sides once more.
    pub fn new(
        places: Places<'a>,
        is_open: [bool; 2],
        options: &'a Options,
        now: i64,
        stamp: String,
        run: &'a mut ItemRun,
    ) -> Result<Self> {
        let Places { pair, roots: tops, storage } = places;
        let [left, right] = tops;
        Ok(Self {
            roots: [Walker::new(Some(left.reopen()?)), Walker::new(Some(right.reopen()?))],
            tops,
            storage,
            pair,
            trash: Default::default(),
            stamp,
            options,
            run,
            tag: pair.tag(),
            // Any number will do.
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

    /// Removes what an interrupted run of this pair left.
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

    /// Carries a plan out, and makes it durable. Afterwards `plan.next` is what is agreed on,
    /// also after a failure or a cancellation, which ends it early.
    pub fn apply(&mut self, plan: &mut Plan, before: &BaseChildren) -> Result<(), Stop> {
        let total = plan.operations.iter().map(Operation::bytes).sum();
        self.ended = self.run.total_bytes(total);
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

    /// Does one step, or records that it is not done.
    fn step(&mut self, operation: &Operation, next: &mut BaseChildren) {
        if self.ended.is_ok() && needs_names(&operation.action) {
            self.settle(next);
        }
        if self.ended.is_err() {
            self.undone.insert(Name::clone(&operation.key));
            return;
        }
        if self.refused.includes(&operation.key) {
            // The directory around it says why.
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

    /// Gives all copies their names that are made. What was copied before a cancellation stays.
    fn finish_copies(&mut self, next: &mut BaseChildren) {
        if self.ended.is_ok() {
            self.settle(next);
        }
        self.leave_planned();
        self.name_copies(next);
    }

    /// Records that an operation was not done.
    fn give_up(&mut self, operation: &Operation, stop: Stop) {
        match stop {
            Stop::Failed(error) => self.fail(operation, &error),
            Stop::Item | Stop::All => {
                self.undone.insert(Name::clone(&operation.key));
                self.end(Err(stop));
            }
        }
    }

    /// Ends the work, unless it has ended already.
    fn end(&mut self, ended: Result<(), Stop>) {
        if self.ended.is_ok() {
            self.ended = ended;
        }
    }

    /// Records that an operation could not be done.
    fn fail(&mut self, operation: &Operation, error: &Error) {
        if error.code == ErrorCode::NoSpace {
            return self.lacks_room(operation, error);
        }
        self.refused.note(operation);
        self.undone.insert(Name::clone(&operation.key));
        self.done.failed.push(words::explain(operation, self.pair, error));
    }

    /// A directory has another path now.
    fn moved(&mut self, side: Side, old: &str, new: &str) {
        self.dirty.moved(side, old, new);
        self.opened.moved(side, old, new);
    }

    /// Does what an operation says, also in a directory that has to be opened for that.
    fn one(&mut self, operation: &Operation, next: &mut BaseChildren) -> Result<(), Stop> {
        match self.attempt(operation, next) {
            Err(Stop::Failed(error))
                if error.code == ErrorCode::AccessDenied
                    && !matches!(operation.action, Action::SetMode { .. }) =>
            {
                let on = operation.side();
                let (parent, _) = split(&operation.paths[on.index()]);
                match self.open_up(on, parent)? {
                    true => self.attempt(operation, next),
                    false => Err(error.into()),
                }
            }
            outcome => outcome,
        }
    }

    fn attempt(&mut self, operation: &Operation, next: &mut BaseChildren) -> Result<(), Stop> {
        let on = operation.side();
        let path = &operation.paths[on.index()];
        let (parent, name) = split(path);
        self.check_name(operation)?;
        match &operation.action {
            Action::Copy { from, source, digest, replaces, modes } => {
                let (digest, replaces) = (digest.as_deref(), replaces.as_deref());
                self.copy(operation, *from, source, digest, replaces, *modes, next)?;
            }
            Action::MakeDirectory { mode, .. } => {
                self.advance(0, path)?;
                if self.roots[on.index()].directory(parent, false).is_err() {
                    // Perhaps because too many are open.
                    self.settle(next);
                }
                self.make_directory(operation, on, *mode)?;
                self.dirty.touch(on, parent, &operation.key);
                self.note(on, operation, next, None)?;
                self.done.directories += 1;
            }
            Action::MakeLink { text, replaces, .. } => {
                self.advance(0, path)?;
                let temp = self.temp();
                let directory = self.roots[on.index()].directory(parent, false)?;
                directory.create_link(&temp, text).map_err(no_link)?;
                if let Err(error) = self.place(on, operation, &temp, replaces.as_deref()) {
                    let directory = self.roots[on.index()].directory(parent, false)?;
                    let _ = directory.remove_file(&temp);
                    return Err(error.into());
                }
                self.note(on, operation, next, None)?;
                self.done.copied += 1;
            }
            Action::Rename { source, to, .. } => {
                self.advance(0, path)?;
                let directory = self.roots[on.index()].directory(parent, false)?;
                check(directory, name, source)?;
                directory.rename_new(name, directory, to)?;
                self.dirty.touch(on, parent, &operation.key);
            }
            Action::Respell { to, .. } => {
                self.advance(0, path)?;
                self.respell(operation, on, to, next)?;
            }
            Action::Remove { target, .. } => {
                self.advance(0, path)?;
                let directory = self.roots[on.index()].directory(parent, false)?;
                match check(directory, name, target) {
                    // Another program did it.
                    Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
                    result => result?,
                }
                if self.options.trash {
                    self.keep_in_trash(on, path, false)?;
                } else {
                    directory.remove_file(name)?;
                    self.room.made(on);
                }
                self.dirty.touch(on, parent, &operation.key);
                self.done.removed += 1;
            }
            Action::RemoveDirectory { .. } => {
                self.advance(0, path)?;
                let directory = self.roots[on.index()].directory(parent, false)?;
                match directory.remove_directory(name) {
                    Err(error) if error.code == ErrorCode::NotFound => {}
                    Err(error) if error.code == ErrorCode::AlreadyExists => {
                        let message = "it is not empty: it has entries that are not synced";
                        return Err(Error::new(ErrorCode::Changed, message).into());
                    }
                    result => result?,
                }
                self.is_settled(on, path);
                self.dirty.touch(on, parent, &operation.key);
                self.done.directories += 1;
            }
            Action::SetMode { mode, .. } => {
                self.advance(0, path)?;
                let (other_parent, _) = split(&operation.paths[on.other().index()]);
                if !self.keeps_modes(on.other(), other_parent) {
                    // What the other side shows is not what anybody has set.
                    return Ok(());
                }
                let directory = self.roots[on.index()].directory(parent, false)?;
                match directory.set_mode(name, (*mode).into()) {
                    Err(error)
                        if error.code == ErrorCode::AccessDenied
                            && !self.keeps_modes(on, parent) => {}
                    set => set?,
                }
                self.is_settled(on, path);
                let now = self.note(on, operation, next, None)?;
                self.done.modes += u64::from(now == Some(*mode));
            }
            Action::SetModified { target, modified, .. } => {
                self.advance(0, path)?;
                let directory = self.roots[on.index()].directory(parent, false)?;
                check(directory, name, target)?;
                match directory.set_modified(name, *modified) {
                    // The contents are equal: nothing is wrong with a file of another owner.
                    Err(error) if error.code == ErrorCode::AccessDenied => return Ok(()),
                    set => set?,
                }
                self.note(on, operation, next, None)?;
                self.done.times += 1;
            }
        }
        Ok(())
    }

    /// Makes a directory, with the permissions that its source was seen with, if they are its own.
    fn make_directory(&mut self, operation: &Operation, on: Side, mode: Option<u16>) -> Result<()> {
        let from = on.other();
        let (source_parent, _) = split(&operation.paths[from.index()]);
        let keeps = self.keeps_modes(from, source_parent);
        let (parent, name) = split(&operation.paths[on.index()]);
        let [left, right] = &mut self.roots;
        let (source, target) = match on {
            Side::Left => (right, left),
            Side::Right => (left, right),
        };
        let target = target.directory(parent, false)?;
        match source.directory(&operation.paths[from.index()], false) {
            Ok(source) if keeps => target.create_directory_like(name, source, mode.map(u32::from)),
            Ok(_) | Err(_) => target.create_directory(name, mode.filter(|_| keeps).map(u32::from)),
        }
    }

    fn advance(&mut self, bytes: u64, path: &str) -> Result<(), Stop> {
        self.run.advance(bytes, || format!("copying {path}"))
    }

    fn temp(&mut self) -> String {
        self.next_temp = self.next_temp.wrapping_add(1);
        names::temp(self.tag, self.next_temp)
    }

    /// Gives a finished temporary entry its name.
    fn place(
        &mut self,
        on: Side,
        operation: &Operation,
        temp: &str,
        replaces: Option<&Fingerprint>,
    ) -> Result<()> {
        let path = &operation.paths[on.index()];
        let (parent, name) = split(path);
        let directory = self.roots[on.index()].directory(parent, false)?;
        match replaces {
            None => match directory.rename_new(temp, directory, name) {
                Err(error) if error.code == ErrorCode::AlreadyExists => {
                    return Err(self.taken(operation));
                }
                // Under the temporary name it is there.
                Err(error) if directory.stat(temp)?.is_some() => {
                    return Err(not_named(on, error));
                }
                named => named?,
            },
            Some(planned) => {
                check(directory, name, planned)?;
                if self.options.trash {
                    self.keep_in_trash(on, path, true)?;
                }
                let directory = self.roots[on.index()].directory(parent, false)?;
                directory.rename(temp, directory, name)?;
                if !self.options.trash {
                    self.room.made(on);
                }
            }
        }
        self.dirty.touch(on, parent, &operation.key);
        Ok(())
    }
}

/// Whether an action may be about what an earlier copy makes or replaces.
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
    /// The side that it changes.
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

//! Carries a plan out. Every step checks that its victim and its source are still what the plan
//! saw, and leaves each name the old or the new thing at every instant.

mod agreed;
mod copy;
mod modes;
mod refused;
mod respell;
mod still;
mod write;

use std::collections::{BTreeSet, HashMap, HashSet};

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, ItemRun, Result, Stop};

use crate::names;
use crate::options::Options;
use crate::plan::{Action, Operation, Plan};
use crate::state::BaseChildren;
use crate::tree::{Fingerprint, Name, Side};
use crate::walker::{Walker, split};
use agreed::revert;
use copy::Batch;
use modes::KeptModes;
use refused::{Refused, no_link, not_named};
use respell::keep_spelling;
use still::{changed, check};

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
    /// What could not be done, as path and error.
    pub failed: Vec<(String, Error)>,
}

/// Both roots, and what is needed to work on them.
pub struct Applier<'a> {
    roots: [Walker; 2],
    trash: [Walker; 2],
    options: &'a Options,
    run: &'a mut ItemRun,
    next_temp: u64,
    now: i64,
    dirty: BTreeSet<(Side, bool, String)>,
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
    /// Why nothing more is to be done, as soon as there is a reason.
    ended: Result<(), Stop>,
    /// What was done so far.
    pub done: Done,
    /// Whether all of it is durable, as far as that was asked for.
    pub is_durable: bool,
    /// Keys of what was not done or not done yet.
    undone: HashSet<Name>,
}

impl<'a> Applier<'a> {
    /// Prepares to work. `now` is the time of the scan in ns since 1970, and makes names unique.
    pub fn new(
        roots: [Directory; 2],
        trash: [Option<Directory>; 2],
        is_open: [bool; 2],
        options: &'a Options,
        now: i64,
        run: &'a mut ItemRun,
    ) -> Self {
        Self {
            roots: roots.map(|root| Walker::new(Some(root))),
            trash: trash.map(Walker::new),
            options,
            run,
            next_temp: now.unsigned_abs(),
            now,
            dirty: BTreeSet::new(),
            is_open,
            kept_modes: KeptModes::default(),
            refused: Refused::default(),
            alike: HashMap::new(),
            respelled: HashSet::new(),
            batch: Batch::default(),
            ended: Ok(()),
            done: Done::default(),
            is_durable: false,
            undone: HashSet::new(),
        }
    }

    /// Removes what an interrupted run left.
    pub fn remove_leftovers(&mut self, side: Side, paths: &[String]) {
        for path in paths {
            let (parent, name) = split(path);
            let removed = self.roots[side.index()]
                .directory(parent, false)
                .and_then(|directory| directory.remove_file(name));
            if let Err(error) = removed {
                self.done.failed.push((path.clone(), error));
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
            if self.ended.is_ok() && needs_names(&operation.action) {
                self.settle(&mut plan.next);
            }
            if self.ended.is_err() {
                self.undone.insert(operation.key);
                continue;
            }
            if self.refused.includes(&operation.key) {
                // The directory around it says why.
                self.undone.insert(operation.key);
                continue;
            }
            if let Err(stop) = self.one(&operation, &mut plan.next) {
                self.give_up(&operation, stop);
            }
            if self.batch.is_full(self.options) {
                self.settle(&mut plan.next);
            }
        }
        if self.ended.is_ok() {
            self.settle(&mut plan.next);
        }
        self.leave_planned();
        // What was copied before a cancellation stays.
        self.name_copies(&mut plan.next);
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
        plan.conflicts.retain(|conflict| !undone.contains(conflict.copy.as_str()));
        self.flush()?;
        self.is_durable = true;
        std::mem::replace(&mut self.ended, Ok(()))
    }

    /// Records that an operation was not done.
    fn give_up(&mut self, operation: &Operation, stop: Stop) {
        match stop {
            Stop::Failed(error) => self.fail(operation, error),
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
    fn fail(&mut self, operation: &Operation, error: Error) {
        self.undone.insert(Name::clone(&operation.key));
        if error.code == ErrorCode::NoSpace {
            // Without room nothing more will succeed.
            self.end(Err(Stop::Failed(error.clone())));
        }
        self.refused.note(operation);
        let path = operation.paths[operation.side().index()].to_string();
        self.done.failed.push((path, error));
    }

    /// Makes the names durable that were made, renamed or removed.
    fn flush(&mut self) -> Result<()> {
        if !self.options.durable {
            return Ok(());
        }
        for (side, in_trash, path) in std::mem::take(&mut self.dirty) {
            let walkers = if in_trash { &mut self.trash } else { &mut self.roots };
            match walkers[side.index()].directory(&path, false).and_then(Directory::flush) {
                Ok(()) => {}
                // Removed again since, and perhaps a file in its place.
                Err(error) if matches!(error.code, ErrorCode::NotFound | ErrorCode::Changed) => {}
                Err(error) => return Err(error.context(format!("making {path:?} durable"))),
            }
        }
        Ok(())
    }

    /// A directory has another path now.
    fn moved(&mut self, side: Side, old: &str, new: &str) {
        let new_path = |(dirty_side, in_trash, path): (Side, bool, String)| {
            let rest = path.strip_prefix(old).filter(|_| !in_trash && dirty_side == side);
            let path = match rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                Some(rest) => format!("{new}{rest}"),
                None => path,
            };
            (dirty_side, in_trash, path)
        };
        self.dirty = std::mem::take(&mut self.dirty).into_iter().map(new_path).collect();
    }

    fn touch(&mut self, side: Side, directory: &str) {
        self.dirty.insert((side, false, directory.to_owned()));
    }

    fn one(&mut self, operation: &Operation, next: &mut BaseChildren) -> Result<(), Stop> {
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
                self.touch(on, parent);
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
                self.touch(on, parent);
            }
            Action::Respell { to, .. } => {
                self.advance(0, path)?;
                self.respell(operation, on, to, next)?;
            }
            Action::Remove { target, .. } => {
                self.advance(0, path)?;
                let directory = self.roots[on.index()].directory(parent, false)?;
                match check(directory, name, target) {
                    // Somebody else did it.
                    Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
                    result => result?,
                }
                if self.options.trash {
                    self.keep_in_trash(on, path, false)?;
                } else {
                    directory.remove_file(name)?;
                }
                self.touch(on, parent);
                self.done.removed += 1;
            }
            Action::RemoveDirectory { .. } => {
                self.advance(0, path)?;
                let directory = self.roots[on.index()].directory(parent, false)?;
                match directory.remove_directory(name) {
                    Err(error) if error.code == ErrorCode::NotFound => {}
                    Err(error) if error.code == ErrorCode::AlreadyExists => {
                        return Err(changed("it is not empty any more: it").into());
                    }
                    result => result?,
                }
                self.touch(on, parent);
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
        names::temp(self.next_temp)
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
            }
        }
        self.touch(on, parent);
        Ok(())
    }

    /// Keeps an entry that is about to go, or (with `keep`) to be replaced.
    fn keep_in_trash(&mut self, on: Side, path: &str, keep: bool) -> Result<()> {
        let (parent, name) = split(path);
        let directory = self.roots[on.index()].directory(parent, false)?;
        let trash = self.trash[on.index()].directory(parent, true)?;
        self.dirty.insert((on, true, parent.to_owned()));
        // Two things of one name may go in one run: first a file, later what replaced it.
        for number in 0..100_u32 {
            let kept = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
            let result = match keep {
                true => match directory.link(name, trash, &kept) {
                    Err(error) if error.code == ErrorCode::NotImplemented => {
                        directory.rename_new(name, trash, &kept)
                    }
                    result => result,
                },
                false => directory.rename_new(name, trash, &kept),
            };
            match result {
                Err(error) if error.code == ErrorCode::AlreadyExists => {}
                result => return result,
            }
        }
        Err(Error::failed(format!("{name}: there is no room for it in the trash")))
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

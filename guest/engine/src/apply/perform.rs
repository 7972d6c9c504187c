//! Performs a single operation.

use syncmgr_plugin::directories::EntryKind;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::Applier;
use super::place::{Finished, check};
use super::refused::no_link;
use crate::endpoint::{Like, Metadata, Removal, Rename};
use crate::plan::{Action, Operation};
use crate::state::BaseChildren;
use crate::tree::{Fingerprint, Side, join, split};

impl Applier<'_> {
    /// Performs an operation.
    pub(super) fn one(
        &mut self,
        operation: &Operation,
        next: &mut BaseChildren,
    ) -> Result<(), Interrupt> {
        let on = operation.side();
        let path = &operation.paths[on.index()];
        let (parent, _) = split(path);
        self.check_name(operation)?;
        match &operation.action {
            Action::Copy { from, source, digest, replaces, modes } => {
                let source = self.renamed.expected(*from, &operation.paths[from.index()], source);
                let replaces = self.expected(on, path, replaces.as_deref());
                let (digest, replaces) = (digest.as_deref(), replaces.as_ref());
                self.copy(operation, *from, &source, digest, replaces, *modes, next)?;
            }
            Action::MakeDirectory { mode, .. } => {
                self.advance(0, path)?;
                match self.make_directory(operation, on, *mode) {
                    // There may be too many open files.
                    Err(error) if error.code == ErrorCode::Failed => {
                        self.settle(next);
                        self.make_directory(operation, on, *mode)?;
                    }
                    made => made?,
                }
                self.dirty.touch(on, parent, &operation.key);
                self.note(on, operation, next, None)?;
                self.done.directories += 1;
                self.report(operation);
            }
            Action::MakeLink { text, replaces, .. } => {
                self.advance(0, path)?;
                let temp = join(parent, &self.temps.next());
                self.end_of(on).create_link(&temp, text).map_err(no_link)?;
                let replaces = self.expected(on, path, replaces.as_deref());
                let finished = Finished { operation, temp: &temp, replaces: replaces.as_ref() };
                if let Err(error) = self.place_one(on, finished) {
                    let _ = self.end_of(on).remove(&temp, None);
                    return Err(error.into());
                }
                self.note(on, operation, next, None)?;
                self.done.copied += 1;
                self.report(operation);
            }
            Action::Rename { source, to, .. } => {
                self.advance(0, path)?;
                let source = self.renamed.expected(on, path, source);
                check(&self.end_of(on).stat(path)?, &source)?;
                let rename = Rename { path, to, replaces: None };
                let renamed = self.end_of(on).rename_all(&[rename]).pop().unwrap_or(Ok(None))?;
                self.note_aside(on, path, join(parent, to), &source, renamed);
                self.dirty.touch(on, parent, &operation.key);
            }
            Action::Move { to, expected, before, .. } => {
                self.advance(0, path)?;
                let expected = self.expected(on, path, expected.as_deref());
                self.move_entry(operation, on, to, expected.as_ref(), next)?;
                match before {
                    Some(_) => self.done.moved += 1,
                    None => self.done.renamed += 1,
                }
                self.report(operation);
            }
            Action::Remove { target, .. } => {
                self.advance(0, path)?;
                let target = &self.renamed.expected(on, path, target);
                match check(&self.end_of(on).stat(path)?, target) {
                    // Another program removed it.
                    Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
                    result => result?,
                }
                if self.options.trash {
                    self.keep_in_trash(on, &[(operation, target)], false)
                        .pop()
                        .unwrap_or(Ok(()))?;
                } else {
                    self.end_of(on).remove(path, Some(target))?;
                    self.room.made(on);
                }
                self.dirty.touch(on, parent, &operation.key);
                self.done.removed += 1;
                self.report(operation);
            }
            Action::RemoveDirectory { .. } => {
                self.advance(0, path)?;
                match self.end_of(on).remove_directory(path) {
                    Err(error) if error.code == ErrorCode::NotFound => {}
                    Err(error) if error.code == ErrorCode::AlreadyExists => {
                        let message = "the directory has entries that are not synced";
                        return Err(Error::new(ErrorCode::Changed, message).into());
                    }
                    result => result?,
                }
                self.dirty.touch(on, parent, &operation.key);
                self.done.directories += 1;
                self.report(operation);
            }
            Action::SetMode { mode, .. } => {
                self.advance(0, path)?;
                let (other_parent, _) = split(&operation.paths[on.other().index()]);
                if !self.keeps_modes(on.other(), other_parent) {
                    // The permissions of the other side were not set by a user.
                    return Ok(());
                }
                match self.end_of(on).set_mode(path, *mode) {
                    Err(error)
                        if error.code == ErrorCode::AccessDenied
                            && !self.keeps_modes(on, parent) => {}
                    set => set?,
                }
                let now = self.note(on, operation, next, None)?;
                if now == Some(*mode) {
                    self.done.modes += 1;
                    self.report(operation);
                }
            }
            Action::SetModified { target, modified, .. } => {
                self.advance(0, path)?;
                let target = self.renamed.expected(on, path, target);
                check(&self.end_of(on).stat(path)?, &target)?;
                match self.end_of(on).set_modified(path, *modified) {
                    // The contents are equal, so a file of another owner is not a failure.
                    Err(error) if error.code == ErrorCode::AccessDenied => return Ok(()),
                    set => set?,
                }
                self.note(on, operation, next, None)?;
                self.done.times += 1;
                self.report(operation);
            }
        }
        Ok(())
    }

    fn expected(&self, on: Side, path: &str, planned: Option<&Fingerprint>) -> Option<Fingerprint> {
        planned.map(|planned| self.renamed.expected(on, path, planned))
    }

    /// Records the fingerprint that the loser of a conflict has under its new name.
    fn note_aside(
        &mut self,
        on: Side,
        old: &str,
        path: String,
        before: &Fingerprint,
        renamed: Option<Metadata>,
    ) {
        let found = match renamed {
            Some(renamed) => Some(renamed),
            None => self.end_of(on).stat(&path).ok().flatten(),
        };
        if let Some(found) = found.filter(|found| found.kind == EntryKind::File) {
            // The copy finds out the time of the last change.
            let now = Fingerprint { changed: None, ..found.fingerprint };
            self.renamed.add(on, old, path, [*before, now]);
        }
    }

    /// Creates a directory, with the permissions of its source if that side stores them.
    fn make_directory(&mut self, operation: &Operation, on: Side, mode: Option<u16>) -> Result<()> {
        let [like, path] = [on.other(), on].map(|side| &*operation.paths[side.index()]);
        let keeps = self.keeps_modes(on.other(), split(like).0);
        let (side, target) = self.source_and_target(on.other());
        target.create_directory(path, keeps.then_some(Like { side, path: like, mode }))
    }

    pub(super) fn advance(&mut self, bytes: u64, path: &str) -> Result<(), Interrupt> {
        self.context.advance(bytes, || format!("copying {path}"))
    }

    /// Moves the entries that operations replace or remove to the trash.
    pub(super) fn keep_in_trash(
        &mut self,
        on: Side,
        operations: &[(&Operation, &Fingerprint)],
        stays: bool,
    ) -> Vec<Result<()>> {
        let removals: Vec<_> = operations
            .iter()
            .map(|&(operation, expected)| Removal { path: &operation.paths[on.index()], expected })
            .collect();
        let results = self.end_of(on).keep_in_trash(&removals, stays);
        for ((operation, _), result) in operations.iter().zip(&results) {
            if result.as_ref().is_err_and(|error| error.code == ErrorCode::NoSpace) {
                self.room.trash_is_full(&operation.key);
            }
        }
        results
    }
}

//! Performs a single operation.

use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::Applier;
use super::recheck::check;
use super::refused::{no_link, not_named};
use crate::plan::{Action, Operation};
use crate::state::BaseChildren;
use crate::tree::{Fingerprint, Side};
use crate::walker::split;

impl Applier<'_> {
    /// Performs an operation, and makes its directory writable first if necessary.
    pub(super) fn one(
        &mut self,
        operation: &Operation,
        next: &mut BaseChildren,
    ) -> Result<(), Interrupt> {
        match self.attempt(operation, next) {
            Err(Interrupt::Failed(error))
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

    fn attempt(&mut self, operation: &Operation, next: &mut BaseChildren) -> Result<(), Interrupt> {
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
                    // There may be too many open files.
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
                if let Err(error) = self.rename_finished(on, operation, &temp, replaces.as_deref())
                {
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
                    // Another program removed it.
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
                        let message = "the directory has entries that are not synced";
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
                    // The permissions of the other side were not set by a user.
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
                    // The contents are equal, so a file of another owner is not a failure.
                    Err(error) if error.code == ErrorCode::AccessDenied => return Ok(()),
                    set => set?,
                }
                self.note(on, operation, next, None)?;
                self.done.times += 1;
            }
        }
        Ok(())
    }

    /// Creates a directory, with the permissions of its source if that side stores them.
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

    pub(super) fn advance(&mut self, bytes: u64, path: &str) -> Result<(), Interrupt> {
        self.context.advance(bytes, || format!("copying {path}"))
    }

    /// Renames a finished temporary entry.
    pub(super) fn rename_finished(
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
                // It still exists under the temporary name.
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

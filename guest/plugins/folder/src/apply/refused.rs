//! Entries that a side cannot store, because of their name or type.

use std::collections::{HashMap, HashSet};

use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Applier;
use super::recheck::changed;
use crate::names;
use crate::plan::{Action, Operation};
use crate::tree::{Name, Side};
use crate::walker::split;

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Keys of directories that were not created.
    directories: HashSet<Name>,
    /// Whether a side can store the unusual characters of a name.
    trials: HashMap<(Side, String), bool>,
}

impl Refused {
    /// Records a failed operation.
    pub(super) fn note(&mut self, operation: &Operation) {
        if let Action::MakeDirectory { .. } = operation.action {
            self.directories.insert(Name::clone(&operation.key));
        }
    }

    /// Returns whether an operation is about a directory that was not created, or about an entry in
    /// it.
    pub(super) fn includes(&self, key: &str) -> bool {
        if self.directories.is_empty() {
            return false;
        }
        let ends = key.match_indices('/').map(|(at, _)| at).chain([key.len()]);
        ends.into_iter().any(|end| self.directories.contains(&key[..end]))
    }
}

impl Applier<'_> {
    /// Fails if a side cannot have a new entry, before its content is copied.
    pub(super) fn check_name(&mut self, operation: &Operation) -> Result<()> {
        let is_new = match &operation.action {
            Action::Copy { replaces, .. } | Action::MakeLink { replaces, .. } => replaces.is_none(),
            Action::MakeDirectory { .. } => true,
            Action::Rename { .. }
            | Action::Respell { .. }
            | Action::Remove { .. }
            | Action::RemoveDirectory { .. }
            | Action::SetMode { .. }
            | Action::SetModified { .. } => false,
        };
        if !is_new {
            return Ok(());
        }
        let on = operation.side();
        let (parent, name) = split(&operation.paths[on.index()]);
        if self.alike.contains_key(&operation.key) {
            let directory = self.roots[on.index()].directory(parent, false)?;
            if directory.stat(name)?.is_some() {
                return Err(self.taken(operation));
            }
        }
        match names::trial(name) {
            Some(trial) if !self.can_store(on, parent, &trial)? => Err(not_allowed(on)),
            Some(_) | None => Ok(()),
        }
    }

    /// Explains why the name of a new entry is used already.
    pub(super) fn taken(&self, operation: &Operation) -> Error {
        let message = match self.alike.get(&operation.key) {
            Some(other) => format!(
                "{other} is there, and this file system does not distinguish upper and lower case; \
                 rename one of the two"
            ),
            None => return changed("the other side"),
        };
        Error::new(ErrorCode::AlreadyExists, message)
    }

    /// Returns whether a side can store names with these characters.
    fn can_store(&mut self, on: Side, parent: &str, trial: &str) -> Result<bool> {
        if let Some(known) = self.refused.trials.get(&(on, trial.to_owned())) {
            return Ok(*known);
        }
        let temp = self.temp();
        let directory = self.roots[on.index()].directory(parent, false)?;
        let tried = format!("{temp}{trial}");
        let can = match directory.create_file(&tried) {
            Ok(_) => {
                // Some file systems omit trailing characters.
                let is_cut = directory.stat(&temp)?.is_some();
                directory.remove_file(&tried)?;
                !is_cut
            }
            Err(error) if is_about_the_name(&error) => false,
            // The operation itself determines the reason.
            Err(_) => return Ok(true),
        };
        self.refused.trials.insert((on, trial.to_owned()), can);
        Ok(can)
    }
}

/// Explains why an entry that exists under another name could not be renamed.
pub(super) fn not_named(on: Side, error: Error) -> Error {
    if is_about_the_name(&error) { not_allowed(on) } else { error }
}

/// Explains why a symbolic link could not be created.
pub(super) fn no_link(error: Error) -> Error {
    match error.code == ErrorCode::NotImplemented {
        true => Error::new(error.code, "this file system has no symbolic links"),
        false => error,
    }
}

/// Returns whether an error is that of a rejected name. There is no code for it.
fn is_about_the_name(error: &Error) -> bool {
    [ErrorCode::InvalidArgument, ErrorCode::NotFound, ErrorCode::InputOutput].contains(&error.code)
}

fn not_allowed(on: Side) -> Error {
    let other = on.other().name();
    let message = format!("this file system does not allow the name; rename the entry on {other}");
    Error::new(ErrorCode::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn entries_of_a_refused_directory_are_refused() {
        let key = Name::from("a/b");
        let action = Action::MakeDirectory { on: Side::Right, mode: None };
        let paths = [Arc::clone(&key), Arc::clone(&key)];
        let mut refused = Refused::default();
        assert!(!refused.includes("a/b"));
        refused.note(&Operation { action, paths, key, reason: Arc::from("new") });
        for (key, included) in
            [("a/b", true), ("a/b/c/d", true), ("a", false), ("a/bc", false), ("b", false)]
        {
            assert_eq!(refused.includes(key), included, "{key}");
        }
    }
}

//! Entries that a side cannot store, because of their name or type.

use std::collections::HashSet;

use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Applier;
use crate::endpoint::changed;
use crate::names;
use crate::plan::{Action, Operation};
use crate::tree::{Name, Side, prefixes, split};

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Keys of directories that were not created, and of entries that were not moved there.
    directories: HashSet<Name>,
}

impl Refused {
    /// Records a failed operation.
    pub(super) fn note(&mut self, operation: &Operation) {
        if let Action::MakeDirectory { .. } | Action::Move { before: Some(_), .. } =
            operation.action
        {
            self.directories.insert(Name::clone(&operation.key));
        }
    }

    /// Returns whether an operation is about such an entry, or about one in it.
    pub(super) fn includes(&self, key: &str) -> bool {
        if self.directories.is_empty() {
            return false;
        }
        prefixes(key).any(|path| self.directories.contains(path))
    }
}

impl Applier<'_> {
    /// Fails if a side cannot have a new entry, before its content is copied.
    pub(super) fn check_name(&mut self, operation: &Operation) -> Result<()> {
        let on = operation.side();
        let path = &operation.paths[on.index()];
        let path = match &operation.action {
            Action::Copy { replaces: None, .. }
            | Action::MakeLink { replaces: None, .. }
            | Action::MakeDirectory { .. } => path,
            Action::Move { to, before: Some(_), .. } => to,
            Action::Copy { replaces: Some(_), .. }
            | Action::MakeLink { replaces: Some(_), .. }
            | Action::Move { before: None, .. }
            | Action::Rename { .. }
            | Action::Remove { .. }
            | Action::RemoveDirectory { .. }
            | Action::SetMode { .. }
            | Action::SetModified { .. } => return Ok(()),
        };
        let (parent, name) = split(path);
        if self.alike.contains_key(&operation.key) && self.end_of(on).stat(path)?.is_some() {
            return Err(self.taken(operation));
        }
        match names::trial(name) {
            Some(trial) if !self.end_of(on).can_store(parent, &trial)? => Err(self.not_allowed(on)),
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

    /// Explains why an entry that exists under another name could not be renamed.
    pub(super) fn not_named(&self, on: Side, error: Error) -> Error {
        if names::is_refused(&error) { self.not_allowed(on) } else { error }
    }

    fn not_allowed(&self, on: Side) -> Error {
        let other = self.pair.label(on.other());
        let message =
            format!("this file system does not allow the name; rename the entry on {other}");
        Error::new(ErrorCode::InvalidArgument, message)
    }
}

/// Explains why a symbolic link could not be created.
pub(super) fn no_link(error: Error) -> Error {
    match error.code == ErrorCode::NotImplemented {
        true => Error::new(error.code, "this file system has no symbolic links"),
        false => error,
    }
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

//! Renames entries on one side that were moved or renamed on the other one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Applier;
use super::place::check;
use crate::endpoint::Renamed;
use crate::names;
use crate::plan::{Action, Operation};
use crate::state::{self, Base, BaseChildren, BaseKind};
use crate::tree::{Digest, Fingerprint, Name, Side, moved_path, prefixes, split};

/// Moves that were not made, by key, and whether the side cannot make them at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Unmoved(HashMap<Name, bool>);

impl Applier<'_> {
    /// Renames an entry, if it is still the expected one.
    pub(super) fn move_entry(
        &mut self,
        operation: &Operation,
        on: Side,
        to: &Name,
        expected: Option<&Fingerprint>,
        next: &mut BaseChildren,
    ) -> Result<()> {
        let path = &operation.paths[on.index()];
        if let Some(expected) = expected {
            check(&self.end_of(on).stat(path)?, expected)?;
        }
        match self.end_of(on).rename(path, to) {
            Err(error) if error.code == ErrorCode::AlreadyExists => {
                return Err(self.taken(operation));
            }
            renamed => renamed?,
        }
        self.note_fingerprints(on, operation, to, next);
        self.dirty.moved(on, path, to);
        self.dirty.touch_move(on, [path, to].map(|path| split(path).0), &operation.key);
        // Otherwise, or if it changed since, the next run compares it.
        let Ok(Some(found)) = self.end_of(on).stat(to) else { return Ok(()) };
        let is_same = |planned: &Fingerprint| {
            let found = &found.fingerprint;
            (found.size, found.modified) == (planned.size, planned.modified)
        };
        if expected.is_none_or(is_same) {
            self.note_found(on, operation, &found, next, None);
        }
        Ok(())
    }

    /// Records the fingerprints that changed by a move.
    fn note_fingerprints(
        &mut self,
        on: Side,
        operation: &Operation,
        to: &str,
        next: &mut BaseChildren,
    ) {
        for Renamed { path, before, now } in self.end_of(on).take_renamed() {
            if let Some(old) = moved_path(&path, to, &operation.paths[on.index()]) {
                self.renamed.add(on, &old, path.clone(), [before, now]);
            }
            // The baseline has the directories by their keys.
            let Some(key) = moved_path(&path, to, &operation.key) else { continue };
            let key: Vec<_> = key.split('/').map(names::key).collect();
            let key = key.join("/");
            let (parent, name) = split(&key);
            let entries = state::directory_mut(next, parent);
            let Some(base) = entries.and_then(|entries| entries.get_mut(name)) else { continue };
            let seen = &mut Arc::make_mut(base).sides[on.index()];
            if seen.fingerprint == before {
                seen.fingerprint = now;
            }
        }
    }
}

impl Unmoved {
    /// Records a move that is not made.
    pub(super) fn add(&mut self, operation: &Operation, error: Option<&Error>) {
        let is_impossible = error.is_some_and(|error| error.code == ErrorCode::NotImplemented);
        self.0.insert(Name::clone(&operation.key), is_impossible);
    }

    /// Records moves that may not be permanent.
    pub(super) fn extend(&mut self, keys: impl IntoIterator<Item = Name>) {
        self.0.extend(keys.into_iter().map(|key| (key, false)));
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Restores the baseline of entries that were not moved, at their old and new places. The last
    /// move is restored first. `undone` are the keys of other operations that were not done.
    pub(super) fn restore(
        &self,
        next: &mut BaseChildren,
        moves: &[Operation],
        undone: &HashSet<Name>,
    ) {
        let is_missing = |one: &&Operation| {
            matches!(one.action, Action::MakeDirectory { .. }) && undone.contains(&one.key)
        };
        let missing: HashSet<&str> =
            moves.iter().filter(is_missing).map(|operation| &*operation.key).collect();
        for operation in moves.iter().rev() {
            let Operation { action, key, .. } = operation;
            let Action::Move { old_key, before, .. } = action else {
                if missing.contains(&**key) {
                    state::remove(next, key);
                }
                continue;
            };
            let is_lost = prefixes(split(key).0).any(|above| missing.contains(above));
            let is_impossible = match (self.0.get(key), is_lost) {
                (Some(is_impossible), _) => *is_impossible,
                (None, true) => false,
                (None, false) => continue,
            };
            let moved = state::remove(next, key);
            let mut base = before.clone().or(moved);
            if let Some(base) = base.as_mut().filter(|_| is_impossible) {
                forget_contents(base);
            }
            let (parent, name) = split(old_key);
            if let (Some(base), Some(entries)) = (base, state::directory_mut(next, parent)) {
                entries.insert(name.into(), base);
            }
        }
    }
}

/// Forgets the contents of files, so that the next run copies them instead of moving them.
fn forget_contents(base: &mut Arc<Base>) {
    let mut rest = vec![base];
    while let Some(base) = rest.pop() {
        match &mut Arc::make_mut(base).kind {
            BaseKind::Directory(entries) => rest.extend(entries.values_mut()),
            BaseKind::File(digest) => *digest = Digest::default(),
            BaseKind::Link(_) => {}
        }
    }
}

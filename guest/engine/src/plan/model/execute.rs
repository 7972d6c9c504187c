//! Carries out the steps of a plan.

use std::num::NonZeroI64;

use super::{Item, SECOND, World, base_mut, digest, is_in, parent};
use crate::plan::{Action, Operation, Plan, is_racy};
use crate::state::{BaseChildren, BaseKind, Seen};
use crate::tree::{Fingerprint, Side, join};

impl World {
    /// Carries out the first steps of a plan.
    pub fn execute(&mut self, plan: &mut Plan, steps: usize) {
        self.scanned = self.now() + self.age * SECOND;
        for operation in plan.moves.iter().chain(&plan.operations).chain(&plan.removals).take(steps)
        {
            self.step(operation, &mut plan.next);
        }
    }

    pub fn step(&mut self, operation: &Operation, next: &mut BaseChildren) {
        let Operation { action, paths, key, .. } = operation;
        let on = operation.side();
        let path = &paths[on.index()];
        match action {
            Action::MakeDirectory { mode, .. } => {
                let mode = mode.unwrap();
                assert_eq!(mode & 0o700, 0o700, "{path} must be written into");
                let new = self.item(on, '/', "");
                self.insert(on, path, Item { mode, ..new });
                self.note(on, path, key, next);
            }
            Action::Copy { from, source, digest: planned, replaces, modes } => {
                let source_path = &paths[from.index()];
                let Item { text, modified, .. } = self.recheck(*from, source_path, source);
                let mode = modes.carried.unwrap();
                assert!(
                    planned.as_ref().is_none_or(|planned| **planned == digest(&text)),
                    "{operation:?}"
                );
                self.make_room(on, path, replaces.as_deref());
                let copy = self.item(on, ':', &text);
                self.insert(on, path, Item { mode, modified, ..copy });
                self.note(on, path, key, next);
                base_mut(next, key).unwrap().kind = BaseKind::File(digest(&text));
                if source.changed.is_none() {
                    self.note(*from, source_path, key, next);
                }
            }
            Action::MakeLink { text, replaces, .. } => {
                self.make_room(on, path, replaces.as_deref());
                let link = self.item(on, '@', text);
                self.insert(on, path, link);
                self.note(on, path, key, next);
            }
            Action::Rename { source, to, .. } => {
                self.recheck(on, path, source);
                let item = self.remove(on, path);
                let changed = self.item(on, '/', "").changed;
                self.insert(on, &join(parent(path), to), Item { changed, ..item });
            }
            Action::Move { to, expected, before, .. } => {
                assert!(before.is_some(), "a plan never renames by case: {path}");
                if let Some(expected) = expected {
                    self.recheck(on, path, expected);
                }
                let changed = self.item(on, '/', "").changed;
                let tree = &mut self.trees[on.index()];
                let inside: Vec<_> = tree.keys().filter(|at| is_in(at, path)).cloned().collect();
                assert!(!inside.is_empty(), "{path} does not exist");
                assert!(!tree.keys().any(|at| is_in(at, to)), "{to} is used");
                for at in inside {
                    let mut item = self.trees[on.index()].remove(&at).unwrap();
                    let rest = &at[path.len()..];
                    if let Some(bar) = self.bars[on.index()].remove(&at) {
                        self.bars[on.index()].insert(format!("{to}{rest}"), bar);
                    }
                    if rest.is_empty() {
                        item.changed = changed;
                    }
                    self.insert(on, &format!("{to}{rest}"), item);
                }
                self.note(on, to, key, next);
            }
            Action::Remove { target, .. } => self.make_room(on, path, Some(target)),
            Action::RemoveDirectory { .. } => assert_eq!(self.remove(on, path).mark, '/', "{path}"),
            Action::SetMode { mode, .. } => {
                let changed = self.item(on, '/', "").changed;
                let item = self.trees[on.index()].get_mut(&**path).unwrap();
                assert_ne!(item.mark, '@', "links have no permissions: {path}");
                (item.mode, item.changed) = (*mode, changed);
                self.note(on, path, key, next);
            }
            Action::SetModified { target, modified, .. } => {
                self.recheck(on, path, target);
                let changed = self.item(on, '/', "").changed;
                let item = self.trees[on.index()].get_mut(&**path).unwrap();
                (item.modified, item.changed) = (*modified, changed);
                self.note(on, path, key, next);
            }
        }
    }

    /// Returns the file or link at a path, which must match the plan.
    pub fn recheck(&self, side: Side, path: &str, planned: &Fingerprint) -> Item {
        let item = &self.trees[side.index()][path];
        let changed = planned.changed.and(NonZeroI64::new(item.changed));
        assert_eq!(Fingerprint { changed, ..item.fingerprint() }, *planned, "{path}");
        assert_ne!(item.mark, '/', "{path}");
        item.clone()
    }

    pub fn insert(&mut self, side: Side, path: &str, item: Item) {
        let tree = &mut self.trees[side.index()];
        let parent = tree.get(parent(path)).map_or('-', |parent| parent.mark);
        assert_eq!(parent, if path.contains('/') { '/' } else { '-' }, "{path} is nowhere");
        let old = tree.insert(path.to_owned(), item);
        assert!(old.is_none(), "{path} is in the way: {old:?}");
    }

    pub fn remove(&mut self, side: Side, path: &str) -> Item {
        let item = self.trees[side.index()].remove(path).unwrap();
        let inside = self.trees[side.index()].keys().find(|other| is_in(other, path));
        assert_eq!(inside, None, "{path} is not empty");
        item
    }

    /// Moves the replaced entry to the trash.
    pub fn make_room(&mut self, side: Side, path: &str, replaces: Option<&Fingerprint>) {
        if let Some(planned) = replaces {
            self.recheck(side, path, planned);
            let item = self.remove(side, path);
            self.trash.extend(item.content());
        }
    }

    pub fn note(&self, side: Side, path: &str, key: &str, next: &mut BaseChildren) {
        let item = &self.trees[side.index()][path];
        let fingerprint = item.fingerprint();
        let racy = is_racy(&fingerprint, self.scanned);
        let seen = Seen { fingerprint, mode: Some(item.mode), racy };
        base_mut(next, key).unwrap().sides[side.index()] = seen;
    }
}

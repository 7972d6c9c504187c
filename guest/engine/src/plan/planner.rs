//! The state of planning: the steps of the traversal, and the operations so far.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::options::Mode;
use crate::plan::location::Location;
use crate::plan::{Action, Hash, Input, Operation, Plan};
use crate::state::{Base, BaseChildren, Seen};
use crate::tree::{Fingerprint, Name, Node, Side};

/// Plans entry by entry.
pub(super) struct Planner<'a, 'b> {
    pub(super) input: &'a Input<'a>,
    pub(super) hash: &'a mut Hash<'b>,
    pub(super) plan: Plan,
    /// Reasons, shared by the operations.
    pub(super) reasons: BTreeSet<Arc<str>>,
}

/// The result for an entry.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// The entry of the new baseline, if any.
    pub(super) next: Option<Arc<Base>>,
    /// Whether it will exist on each side.
    pub(super) exists: [bool; 2],
}

#[derive(Debug, Default)]
pub(super) struct MergedChildren {
    pub(super) next: BaseChildren,
    pub(super) exist: [bool; 2],
}

/// How the traversal proceeds with an entry.
pub(super) enum Step<'t> {
    /// The entry is planned.
    Done(Merged),
    /// The entry is a directory, whose entries come first.
    Enter(Entered<'t>),
}

/// A directory on one side or both, whose entries come next.
pub(super) struct Entered<'t> {
    pub(super) key: Name,
    pub(super) location: Location,
    pub(super) nodes: [Option<&'t Node>; 2],
    pub(super) base: Option<&'t Arc<Base>>,
    /// The side that does not have it.
    pub(super) missing: Option<Side>,
    /// Whether it is missing because it was deleted, so that the other side deletes it, too.
    pub(super) removed: bool,
    /// The index of its first operation.
    pub(super) at: usize,
}

/// The directory of an entry, as far as conflicts need it.
pub(super) struct Around<'a> {
    pub(super) location: &'a Location,
    /// Returns whether a name is used, and reserves it.
    pub(super) is_taken: &'a mut dyn FnMut(&str) -> bool,
    pub(super) siblings: &'a mut BaseChildren,
}

impl MergedChildren {
    pub(super) fn add(&mut self, key: &Name, entry: Merged) {
        for (exist, exists) in self.exist.iter_mut().zip(entry.exists) {
            *exist |= exists;
        }
        if let Some(next) = entry.next {
            self.next.insert(Name::clone(key), next);
        }
    }
}

impl<'a, 'b> Planner<'a, 'b> {
    pub(super) fn new(input: &'a Input<'a>, hash: &'a mut Hash<'b>) -> Self {
        Self { input, hash, plan: Plan::default(), reasons: BTreeSet::new() }
    }
}

impl Planner<'_, '_> {
    pub(super) fn mode(&self) -> Mode {
        self.input.options.mode
    }

    fn is_racy(&self, side: Side, fingerprint: &Fingerprint) -> bool {
        self.input.capabilities[side.index()].is_racy(fingerprint, self.input.now)
    }

    pub(super) fn label(&self, side: Side) -> &'static str {
        self.input.labels[side.index()]
    }

    pub(super) fn skip(&mut self, path: &str, why: String) {
        self.plan.skipped.push((path.to_owned(), why));
    }

    pub(super) fn push(&mut self, action: Action, location: &Location, reason: &str) {
        let operation = self.operation(action, location, reason);
        self.plan.operations.push(operation);
    }

    pub(super) fn push_removal(&mut self, action: Action, location: &Location, reason: &str) {
        let operation = self.operation(action, location, reason);
        self.plan.removals.push(operation);
    }

    pub(super) fn operation(
        &mut self,
        action: Action,
        location: &Location,
        reason: &str,
    ) -> Operation {
        let reason = self.reason(reason);
        Operation { action, paths: location.paths.clone(), key: Name::clone(&location.key), reason }
    }

    pub(super) fn reason(&mut self, words: &str) -> Arc<str> {
        if let Some(reason) = self.reasons.get(words) {
            return Arc::clone(reason);
        }
        let reason = Arc::from(words);
        self.reasons.insert(Arc::clone(&reason));
        reason
    }

    pub(super) fn seen(&self, side: Side, node: Option<&Node>) -> Seen {
        let fingerprint = node.map(|node| node.fingerprint).unwrap_or_default();
        let mode = node.and_then(|node| node.mode);
        Seen { fingerprint, mode, racy: self.is_racy(side, &fingerprint) }
    }
}

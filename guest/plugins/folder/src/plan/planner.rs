//! Goes through both sides and the agreement at once.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::names;
use crate::options::Mode;
use crate::plan::place::Place;
use crate::plan::{Action, Cancelled, Hash, Input, Operation, Plan, is_racy};
use crate::state::{Base, BaseChildren, Seen};
use crate::tree::{Children, Fingerprint, Kind, Name, Node, Side};

/// Makes a plan, entry by entry.
pub(super) struct Planner<'a, 'b> {
    pub(super) input: &'a Input<'a>,
    pub(super) hash: &'a mut Hash<'b>,
    pub(super) plan: Plan,
    /// The files that are new on each side: where a file is gone, it may be one of these. `None`:
    /// none was missed yet.
    pub(super) moved_here: Option<[NewFiles; 2]>,
    /// The same few words, again and again.
    pub(super) reasons: BTreeSet<Arc<str>>,
}

/// What becomes of an entry.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// What is agreed on then; `None`: nothing.
    pub(super) next: Option<Arc<Base>>,
    /// Whether it will exist on each side.
    pub(super) exists: [bool; 2],
}

#[derive(Debug, Default)]
pub(super) struct MergedChildren {
    pub(super) next: BaseChildren,
    pub(super) exist: [bool; 2],
}

/// Files by their identity and length.
type NewFiles = HashSet<(u64, u64)>;

impl<'a, 'b> Planner<'a, 'b> {
    pub(super) fn new(input: &'a Input<'a>, hash: &'a mut Hash<'b>) -> Self {
        Self { input, hash, plan: Plan::default(), moved_here: None, reasons: BTreeSet::new() }
    }
}

impl Planner<'_, '_> {
    pub(super) fn mode(&self) -> Mode {
        self.input.options.mode
    }

    pub(super) fn children(
        &mut self,
        place: &Place,
        left: Option<&Children>,
        right: Option<&Children>,
        base: Option<&BaseChildren>,
    ) -> Result<MergedChildren, Cancelled> {
        static EMPTY: Children = Children::new();
        let (left, right) = (left.unwrap_or(&EMPTY), right.unwrap_or(&EMPTY));
        let mut nodes = [left.iter().peekable(), right.iter().peekable()];
        let mut agreed = base.into_iter().flatten().peekable();
        let mut merged = MergedChildren::default();
        let mut taken: HashSet<String> = HashSet::new();
        loop {
            let keys = nodes.each_mut().map(|nodes| nodes.peek().map(|(key, _)| *key));
            let agreed_key = agreed.peek().map(|(key, _)| *key);
            let Some(key) = [agreed_key].into_iter().chain(keys).flatten().min() else { break };
            let b = agreed.next_if(|(next, _)| *next == key).map(|(_, base)| base);
            let [l, r] = nodes
                .each_mut()
                .map(|nodes| nodes.next_if(|(next, _)| *next == key).map(|(_, node)| node));
            let here = place.child(key, l, r);
            let mut is_taken = |name: &str| {
                let key = names::key(name);
                left.contains_key(&*key)
                    || right.contains_key(&*key)
                    || !taken.insert(key.into_owned())
            };
            let entry = self.entry(place, &here, [l, r], b, &mut is_taken, &mut merged.next)?;
            merged.exist[0] |= entry.exists[0];
            merged.exist[1] |= entry.exists[1];
            if let Some(next) = entry.next {
                merged.next.insert(Name::clone(key), next);
            }
        }
        Ok(merged)
    }

    /// Whether a file that is gone from a side is elsewhere on it now.
    pub(super) fn was_moved(&mut self, side: Side, gone: &Fingerprint) -> bool {
        let input = self.input;
        let moved_here = self.moved_here.get_or_insert_with(|| {
            input.sides.map(|children| {
                let mut found = NewFiles::new();
                note_new_files(children, Some(input.base), &mut found);
                found
            })
        });
        moved_here[side.index()].contains(&(gone.file_id, gone.size))
    }

    pub(super) fn entry(
        &mut self,
        parent: &Place,
        place: &Place,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
        is_taken: &mut dyn FnMut(&str) -> bool,
        siblings: &mut BaseChildren,
    ) -> Result<Merged, Cancelled> {
        let exists = nodes.map(|node| node.is_some());
        for (side, node) in Side::BOTH.into_iter().zip(nodes) {
            if let Some(Node { kind: Kind::Blocked(why), .. }) = node {
                if let Some(why) = why {
                    self.leave(&place.paths[side.index()], why.to_string());
                }
                // What a filter hides is forgotten, so that it is new, and never deleted, once
                // it is seen again.
                let next = why.as_ref().and(base).cloned();
                return Ok(Merged { next, exists });
            }
        }
        let is_directory = |node: &Node| node.children().is_some();
        let directories = nodes.map(|node| node.is_some_and(is_directory));
        let leaves = nodes.map(|node| node.is_some_and(|node| !is_directory(node)));
        match (directories, leaves) {
            (_, [false, false]) if exists == [false, false] => Ok(Merged::default()),
            (_, [false, false]) => self.directory(place, nodes, base),
            ([false, false], _) => self.leaf(parent, place, nodes, base, is_taken, siblings),
            ([true, _], _) => {
                self.clash(parent, place, nodes, Side::Left, base, is_taken, siblings)
            }
            ([_, true], _) => {
                self.clash(parent, place, nodes, Side::Right, base, is_taken, siblings)
            }
        }
    }

    pub(super) fn leave(&mut self, path: &str, why: String) {
        self.plan.left_alone.push((path.to_owned(), why));
    }

    pub(super) fn push(&mut self, action: Action, place: &Place, reason: &str) {
        let operation = self.operation(action, place, reason);
        self.plan.operations.push(operation);
    }

    pub(super) fn push_removal(&mut self, action: Action, place: &Place, reason: &str) {
        let operation = self.operation(action, place, reason);
        self.plan.removals.push(operation);
    }

    pub(super) fn operation(&mut self, action: Action, place: &Place, reason: &str) -> Operation {
        let reason = self.reason(reason);
        Operation { action, paths: place.paths.clone(), key: Name::clone(&place.key), reason }
    }

    pub(super) fn reason(&mut self, words: &str) -> Arc<str> {
        if let Some(reason) = self.reasons.get(words) {
            return Arc::clone(reason);
        }
        let reason = Arc::from(words);
        self.reasons.insert(Arc::clone(&reason));
        reason
    }

    pub(super) fn seen(&self, node: Option<&Node>) -> Seen {
        let fingerprint = node.map(|node| node.fingerprint).unwrap_or_default();
        let mode = node.and_then(|node| node.mode);
        Seen { fingerprint, mode, racy: is_racy(&fingerprint, self.input.now) }
    }
}

fn note_new_files(children: &Children, base: Option<&BaseChildren>, found: &mut NewFiles) {
    for (key, node) in children {
        let known = base.and_then(|base| base.get(key));
        match &node.kind {
            Kind::File if known.is_none() && node.fingerprint.file_id != 0 => {
                found.insert((node.fingerprint.file_id, node.fingerprint.size));
            }
            Kind::Directory(children) => {
                note_new_files(children, known.and_then(|base| base.children()), found);
            }
            Kind::File | Kind::Link(_) | Kind::Blocked(_) => {}
        }
    }
}

//! The entries that are missing on a side, and the new ones.

use crate::plan::merge::Merge;
use crate::state::{Base, BaseChildren, BaseKind};
use crate::tree::{Children, Kind, Node, Side};

/// An entry of the sides or of the baseline.
#[derive(Clone, Copy)]
pub(super) struct Place<'t> {
    /// The index of its directory. The root is its own.
    pub(super) parent: usize,
    pub(super) depth: usize,
    pub(super) key: &'t str,
    pub(super) nodes: [Option<&'t Node>; 2],
    pub(super) base: Option<&'t Base>,
}

/// Entries, each after its directory. The first one is the root.
pub(super) struct Places<'t>(Vec<Place<'t>>);

/// The places where the sides differ from the baseline.
pub(super) struct Found<'t> {
    pub(super) places: Places<'t>,
    changes: [Changes; 2],
}

/// The differences of one side. Entries in a listed directory are not listed.
#[derive(Default)]
struct Changes {
    /// Entries that it no longer has, but the other one does.
    gone: Vec<usize>,
    /// Entries that neither the baseline nor the other side has.
    fresh: Vec<usize>,
    /// Files and links in whose place it has another one, according to the file ids.
    replaced: Vec<usize>,
}

/// A directory that both sides have, and whose entries are being visited.
struct Frame<'t> {
    /// Its index, if it was needed already.
    at: Option<usize>,
    place: Place<'t>,
    entries: Merge<'t>,
}

impl<'t> Places<'t> {
    pub(super) fn get(&self, at: usize) -> &Place<'t> {
        &self.0[at]
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn push(&mut self, place: Place<'t>) -> usize {
        self.0.push(place);
        self.0.len() - 1
    }

    /// Returns a place and the directories above it, without the root.
    pub(super) fn upwards(&self, at: usize) -> impl Iterator<Item = usize> {
        let above = |at: &usize| Some(self.get(*at).parent);
        std::iter::successors(Some(at), above).take_while(|at| *at != 0)
    }

    /// Returns the path by keys.
    pub(super) fn key(&self, at: usize) -> String {
        self.joined(at, |place| place.key)
    }

    /// Returns the path as a side spells it.
    pub(super) fn path(&self, at: usize, side: Side) -> String {
        self.joined(at, |place| place.nodes[side.index()].map_or(place.key, |node| &node.name))
    }

    fn joined(&self, at: usize, name: impl Fn(&Place<'t>) -> &'t str) -> String {
        let mut names: Vec<_> = self.upwards(at).map(|at| name(self.get(at))).collect();
        names.reverse();
        names.join("/")
    }
}

impl<'t> Found<'t> {
    /// Visits everything that both sides have.
    pub(super) fn search(trees: [&'t Children; 2], base: &'t BaseChildren) -> Self {
        let root = Place { parent: 0, depth: 0, key: "", nodes: [None; 2], base: None };
        let mut found = Self { places: Places(vec![root]), changes: Default::default() };
        let mut stack = vec![Frame { at: Some(0), place: root, entries: Merge::new(trees, base) }];
        while let Some(frame) = stack.last_mut() {
            let Some(entry) = frame.entries.next() else {
                stack.pop();
                continue;
            };
            let (nodes, base) = (entry.nodes, entry.base.map(|base| &**base));
            let is_synced = |node: &&Node| !matches!(node.kind, Kind::Blocked(_) | Kind::Junk);
            if !nodes.iter().flatten().all(is_synced) {
                continue;
            }
            let depth = frame.place.depth + 1;
            let mut place = Place { parent: 0, depth, key: entry.key, nodes, base };
            let mut at = None;
            for side in Side::BOTH {
                let Some(change) = Change::of(side, &place) else { continue };
                let index = match at {
                    Some(index) => index,
                    None => {
                        place.parent = found.index(&mut stack);
                        found.places.push(place)
                    }
                };
                at = Some(index);
                found.changes[side.index()].list(change).push(index);
            }
            if nodes.iter().all(|node| node.is_some_and(|node| node.children().is_some())) {
                stack.push(Frame { at, place, entries: Merge::of(nodes, base) });
            }
        }
        found
    }

    /// Returns the index of the directory on top of the stack.
    fn index(&mut self, stack: &mut [Frame<'t>]) -> usize {
        let known = stack.iter().rposition(|frame| frame.at.is_some()).unwrap_or(0);
        let mut parent = stack[known].at.unwrap_or(0);
        for frame in &mut stack[known + 1..] {
            frame.place.parent = parent;
            parent = self.places.push(frame.place);
            frame.at = Some(parent);
        }
        parent
    }

    /// Returns whether a side has both lost and new entries.
    pub(super) fn may_have_moves(&self, side: Side) -> bool {
        let changes = &self.changes[side.index()];
        !changes.gone.is_empty() && !changes.fresh.is_empty()
    }

    /// Returns the files and links that a side no longer has, including those in directories.
    pub(super) fn gone(&mut self, side: Side) -> Vec<usize> {
        let other = side.other().index();
        let mut leaves = Vec::new();
        let mut rest = self.changes[side.index()].gone.clone();
        let mut next = 0;
        while let Some(at) = rest.get(next).copied() {
            next += 1;
            let Place { nodes, base, depth, .. } = *self.places.get(at);
            if base.is_some_and(|base| base.children().is_none()) {
                leaves.push(at);
                continue;
            }
            let mut there = [None; 2];
            there[other] = nodes[other];
            for entry in Merge::of(there, base) {
                let (node, base) = (entry.nodes[other], entry.base.map(|base| &**base));
                if !is_same_type(node, base) {
                    continue;
                }
                let (depth, nodes) = (depth + 1, entry.nodes);
                let place = Place { parent: at, depth, key: entry.key, nodes, base };
                rest.push(self.places.push(place));
            }
        }
        leaves
    }

    /// Returns the new files and links of a side that are wanted, including those in new
    /// directories.
    pub(super) fn fresh(&mut self, side: Side, is_wanted: impl Fn(&Node) -> bool) -> Vec<usize> {
        let mut leaves = Vec::new();
        let mut rest = self.changes[side.index()].fresh.clone();
        let mut next = 0;
        while let Some(at) = rest.get(next).copied() {
            next += 1;
            let Place { nodes, depth, .. } = *self.places.get(at);
            let Some(node) = nodes[side.index()] else { continue };
            if node.children().is_none() {
                leaves.extend(is_wanted(node).then_some(at));
                continue;
            }
            for entry in Merge::of(nodes, None) {
                let wanted = entry.nodes[side.index()].is_some_and(|node| match node.kind {
                    Kind::Directory(_) => true,
                    Kind::File | Kind::Link(_) => is_wanted(node),
                    Kind::Blocked(_) | Kind::Junk => false,
                });
                if wanted {
                    let (depth, nodes) = (depth + 1, entry.nodes);
                    let place = Place { parent: at, depth, key: entry.key, nodes, base: None };
                    rest.push(self.places.push(place));
                }
            }
        }
        leaves
    }

    /// Returns the files and links in whose place a side has another one.
    pub(super) fn replaced(&self, side: Side) -> Vec<usize> {
        self.changes[side.index()].replaced.clone()
    }
}

/// The change of a place on a side.
enum Change {
    Gone,
    Fresh,
    Replaced,
}

impl Change {
    fn of(side: Side, place: &Place<'_>) -> Option<Self> {
        let [here, there] = [side, side.other()].map(|side| place.nodes[side.index()]);
        match (here, there, place.base) {
            (Some(_), None, None) => Some(Self::Fresh),
            (None, Some(_), base) => is_same_type(there, base).then_some(Self::Gone),
            (Some(node), Some(other), Some(base)) if is_same_type(there, place.base) => {
                let is_directory = |node: &Node| node.children().is_some();
                match (is_directory(node), is_directory(other)) {
                    (true, false) | (false, true) => Some(Self::Gone),
                    (true, true) => None,
                    (false, false) => is_another(node, base, side).then_some(Self::Replaced),
                }
            }
            (_, _, _) => None,
        }
    }
}

impl Changes {
    fn list(&mut self, change: Change) -> &mut Vec<usize> {
        match change {
            Change::Gone => &mut self.gone,
            Change::Fresh => &mut self.fresh,
            Change::Replaced => &mut self.replaced,
        }
    }
}

/// Returns whether an entry still has the type that it has in the baseline.
pub(super) fn is_same_type(node: Option<&Node>, base: Option<&Base>) -> bool {
    match (node.map(|node| &node.kind), base.map(|base| &base.kind)) {
        (Some(Kind::File), Some(BaseKind::File(_)))
        | (Some(Kind::Link(_)), Some(BaseKind::Link(_)))
        | (Some(Kind::Directory(_)), Some(BaseKind::Directory(_))) => true,
        (_, _) => false,
    }
}

/// Returns whether an entry is not the one that a side had when it was synced, according to the
/// file ids.
pub(super) fn is_another(node: &Node, base: &Base, side: Side) -> bool {
    let [now, then] = [node.fingerprint.file_id, base.seen(side).fingerprint.file_id];
    now != 0 && then != 0 && now != then
}

//! The entries of a directory on both sides and in the baseline, together.

use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::sync::Arc;

use crate::state::{Base, BaseChildren};
use crate::tree::{Children, Name, Node};

static EMPTY: Children = Children::new();
static NOTHING: BaseChildren = BTreeMap::new();

/// The entries of a directory, in the order of their keys.
pub(super) struct Merge<'t> {
    nodes: [Peekable<btree_map::Iter<'t, Name, Node>>; 2],
    baseline: Peekable<btree_map::Iter<'t, Name, Arc<Base>>>,
}

/// One key, with its entries.
pub(super) struct Entry<'t> {
    pub(super) key: &'t Name,
    pub(super) nodes: [Option<&'t Node>; 2],
    pub(super) base: Option<&'t Arc<Base>>,
}

/// Returns the entries of a directory; none if it is not one.
pub(super) fn children(node: Option<&Node>) -> &Children {
    node.and_then(Node::children).unwrap_or(&EMPTY)
}

/// Returns the baseline entries of a directory; none if it is not one.
pub(super) fn base_children(base: Option<&Base>) -> &BaseChildren {
    base.and_then(Base::children).unwrap_or(&NOTHING)
}

impl<'t> Merge<'t> {
    pub(super) fn new(sides: [&'t Children; 2], base: &'t BaseChildren) -> Self {
        let nodes = sides.map(|children| children.iter().peekable());
        Self { nodes, baseline: base.iter().peekable() }
    }

    /// Merges the entries of one directory.
    pub(super) fn of(nodes: [Option<&'t Node>; 2], base: Option<&'t Base>) -> Self {
        Self::new(nodes.map(children), base_children(base))
    }
}

impl<'t> Iterator for Merge<'t> {
    type Item = Entry<'t>;

    fn next(&mut self) -> Option<Entry<'t>> {
        let keys = self.nodes.each_mut().map(|nodes| nodes.peek().map(|(key, _)| *key));
        let baseline_key = self.baseline.peek().map(|(key, _)| *key);
        let key = [baseline_key].into_iter().chain(keys).flatten().min()?;
        let base = self.baseline.next_if(|(next, _)| *next == key).map(|(_, base)| base);
        let of = |nodes: &mut Peekable<btree_map::Iter<'t, Name, Node>>| {
            nodes.next_if(|(next, _)| *next == key).map(|(_, node)| node)
        };
        Some(Entry { key, nodes: self.nodes.each_mut().map(of), base })
    }
}

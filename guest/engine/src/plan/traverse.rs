//! Traverses both sides and the baseline at once.

use std::collections::HashSet;
use std::sync::Arc;

use crate::names;
use crate::plan::Cancelled;
use crate::plan::location::Location;
use crate::plan::merge::{Entry, Merge, base_children, children};
use crate::plan::planner::{Around, Entered, Merged, MergedChildren, Planner, Step};
use crate::state::{Base, BaseChildren};
use crate::tree::{Children, Kind, Name, Node, Side};

/// A directory whose entries are being visited.
struct Frame<'t> {
    /// The directory to complete afterwards; `None`: this is the root.
    entered: Option<Entered<'t>>,
    location: Location,
    sides: [&'t Children; 2],
    entries: Merge<'t>,
    merged: MergedChildren,
    /// The names of planned conflict copies in this directory.
    taken: HashSet<String>,
}

impl<'t> Frame<'t> {
    fn new(
        entered: Option<Entered<'t>>,
        location: Location,
        sides: [&'t Children; 2],
        base: &'t BaseChildren,
    ) -> Self {
        Self {
            entered,
            location,
            sides,
            entries: Merge::new(sides, base),
            merged: MergedChildren::default(),
            taken: HashSet::new(),
        }
    }

    fn enter(entered: Entered<'t>) -> Self {
        let location = entered.location.clone();
        let sides = entered.nodes.map(children);
        let base = base_children(entered.base.map(|base| &**base));
        Self::new(Some(entered), location, sides, base)
    }
}

impl Planner<'_, '_> {
    /// Visits both roots and everything in them, with an explicit stack, since a deep tree would
    /// overflow the call stack.
    pub(super) fn tree(
        &mut self,
        left: &Children,
        right: &Children,
        base: &BaseChildren,
    ) -> Result<BaseChildren, Cancelled> {
        let mut stack = vec![Frame::new(None, Location::root(), [left, right], base)];
        loop {
            let Some(frame) = stack.last_mut() else { return Ok(BaseChildren::new()) };
            match self.next_entry(frame)? {
                Some((key, Step::Done(merged))) => frame.merged.add(&key, merged),
                Some((_, Step::Enter(entered))) => stack.push(Frame::enter(entered)),
                None => {
                    let Some(frame) = stack.pop() else { return Ok(BaseChildren::new()) };
                    let Some(entered) = frame.entered else { return Ok(frame.merged.next) };
                    let key = Name::clone(&entered.key);
                    let merged = self.leave_directory(entered, frame.merged);
                    if let Some(parent) = stack.last_mut() {
                        parent.merged.add(&key, merged);
                    }
                }
            }
        }
    }

    /// Plans the next entry of a directory; `None`: there are no more.
    fn next_entry<'t>(
        &mut self,
        frame: &mut Frame<'t>,
    ) -> Result<Option<(Name, Step<'t>)>, Cancelled> {
        let Some(Entry { key, nodes, base }) = frame.entries.next() else { return Ok(None) };
        let here = frame.location.child(key, nodes[0], nodes[1]);
        let (sides, taken) = (frame.sides, &mut frame.taken);
        let mut is_taken = |name: &str| {
            let key = names::key(name);
            sides.iter().any(|side| side.contains_key(&*key)) || !taken.insert(key.into_owned())
        };
        let siblings = &mut frame.merged.next;
        let around = &mut Around { location: &frame.location, is_taken: &mut is_taken, siblings };
        let step = self.entry(around, key, here, nodes, base)?;
        Ok(Some((Name::clone(key), step)))
    }

    fn entry<'t>(
        &mut self,
        around: &mut Around<'_>,
        key: &Name,
        location: Location,
        nodes: [Option<&'t Node>; 2],
        base: Option<&'t Arc<Base>>,
    ) -> Result<Step<'t>, Cancelled> {
        let exists = nodes.map(|node| node.is_some_and(|node| node.kind != Kind::Junk));
        let is_ignored = nodes.map(|node| node.is_some_and(Node::is_ignored));
        let mut is_blocked = false;
        for (side, node) in Side::BOTH.into_iter().zip(nodes) {
            let Some(node) = node else { continue };
            if let Kind::Blocked(Some(why)) = &node.kind {
                self.skip(&location.paths[side.index()], why.to_string());
                is_blocked = true;
            } else if is_ignored[side.other().index()] && !is_ignored[side.index()] {
                let other = self.label(side.other());
                let why = format!("skipped, since {other} has an ignored entry with this name");
                self.skip(&location.paths[side.index()], why);
            }
        }
        if is_blocked || is_ignored != [false, false] {
            // An ignored entry is removed from the baseline, so that it is new, and never deleted,
            // once it is no longer ignored.
            let next = base.filter(|_| is_ignored == [false, false]).cloned();
            return Ok(Step::Done(Merged { next, exists }));
        }
        let is_directory = |node: &Node| node.children().is_some();
        let directories = nodes.map(|node| node.is_some_and(is_directory));
        let leaves = nodes.map(|node| node.is_some_and(|node| !is_directory(node)));
        match (directories, leaves) {
            (_, [false, false]) if exists == [false, false] => Ok(Step::Done(Merged::default())),
            (_, [false, false]) => Ok(self.directory(key, location, nodes, base)),
            ([false, false], _) => self.file_entry(around, &location, nodes, base).map(Step::Done),
            ([true, _], _) => self.type_conflict(around, key, location, nodes, Side::Left, base),
            ([_, true], _) => self.type_conflict(around, key, location, nodes, Side::Right, base),
        }
    }
}

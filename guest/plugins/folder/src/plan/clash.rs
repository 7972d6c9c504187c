//! A directory on one side, and something else on the other.

use std::sync::Arc;

use crate::options::Mode;
use crate::plan::decide::{Change, Verdict, decide};
use crate::plan::place::Place;
use crate::plan::planner::{Merged, Planner};
use crate::plan::{Action, Cancelled, CopyModes};
use crate::state::{Base, BaseChildren, BaseKind};
use crate::tree::{Kind, Node, Side};

impl Planner<'_, '_> {
    /// A directory on one side, and a file or link on the other.
    #[allow(clippy::too_many_arguments, reason = "two entries, and the directory around them")]
    pub(super) fn clash(
        &mut self,
        parent: &Place,
        place: &Place,
        nodes: [Option<&Node>; 2],
        tree_side: Side,
        base: Option<&Arc<Base>>,
        is_taken: &mut dyn FnMut(&str) -> bool,
        siblings: &mut BaseChildren,
    ) -> Result<Merged, Cancelled> {
        let leaf_side = tree_side.other();
        let keep = Merged { next: base.cloned(), exists: [true, true] };
        let (Some(tree), Some(leaf)) = (nodes[tree_side.index()], nodes[leaf_side.index()]) else {
            return Ok(keep);
        };
        let leaf_looked = match self.look(leaf_side, place, Some(leaf), base)? {
            Ok(looked) => looked,
            Err(why) => {
                self.leave(&place.paths[leaf_side.index()], why);
                return Ok(keep);
            }
        };
        let tree_change = match base.map(|base| &base.kind) {
            None => Change::New,
            Some(BaseKind::Directory(agreed)) => {
                match self.has_changes(tree_side, place, tree, agreed)? {
                    true => Change::Changed,
                    false => Change::Same,
                }
            }
            Some(BaseKind::File(_) | BaseKind::Link(_)) => Change::Changed,
        };
        let mut changes = [tree_change; 2];
        changes[leaf_side.index()] = leaf_looked.change;
        let mut verdict = decide(self.mode(), changes[0], changes[1]);
        if verdict == Verdict::Conflict && self.mode() != Mode::TwoWaySafe {
            verdict = Verdict::Take(self.winner(nodes));
        }
        match verdict {
            Verdict::Take(from) if from == tree_side => {
                let target = leaf.fingerprint;
                let reason = format!("became a directory on {}", tree_side.name());
                self.push(Action::Remove { on: leaf_side, target }, place, &reason);
                let mut only_tree = nodes;
                only_tree[leaf_side.index()] = None;
                self.directory(place, only_tree, None)
            }
            Verdict::Take(_) => {
                if tree.has_blocked() {
                    self.leave(
                        &place.paths[tree_side.index()],
                        format!(
                            "became a file on {}, but has entries here that are not synced",
                            leaf_side.name()
                        ),
                    );
                    return Ok(keep);
                }
                let reason = format!("became a file on {}", leaf_side.name());
                self.remove_tree(place, tree_side, tree, &reason);
                let digest = leaf_looked.digest;
                let modes = CopyModes { carried: leaf.mode, own: None };
                let next = self.transfer(place, leaf_side, leaf, digest, None, modes, &reason);
                Ok(Merged { next: Some(next), exists: [true, true] })
            }
            Verdict::Conflict => {
                let digest = leaf_looked.digest;
                let modes = CopyModes { carried: leaf.mode, own: None };
                self.move_aside(parent, place, leaf_side, leaf, digest, modes, is_taken, siblings);
                let mut only_tree = nodes;
                only_tree[leaf_side.index()] = None;
                self.directory(place, only_tree, None)
            }
            Verdict::Leave | Verdict::Nothing | Verdict::Drop => {
                self.leave(
                    &place.paths[Side::Right.index()],
                    "was changed on right, and mode one-way-safe leaves that alone".to_owned(),
                );
                Ok(keep)
            }
        }
    }

    /// Removes a whole directory to make room for a file, before that is copied.
    pub(super) fn remove_tree(&mut self, place: &Place, on: Side, tree: &Node, reason: &str) {
        for (key, node) in tree.children().into_iter().flatten() {
            let sides = match on {
                Side::Left => (Some(node), None),
                Side::Right => (None, Some(node)),
            };
            let here = place.child(key, sides.0, sides.1);
            match &node.kind {
                Kind::Directory(_) => self.remove_tree(&here, on, node, reason),
                Kind::File | Kind::Link(_) | Kind::Blocked(_) => {
                    let target = node.fingerprint;
                    self.push(Action::Remove { on, target }, &here, reason);
                }
            }
        }
        self.push(Action::RemoveDirectory { on }, place, reason);
    }

    /// Whether a directory has anything that was not agreed on. Deletions do not count: what is
    /// gone needs no keeping.
    pub(super) fn has_changes(
        &mut self,
        side: Side,
        place: &Place,
        tree: &Node,
        agreed: &BaseChildren,
    ) -> Result<bool, Cancelled> {
        for (key, node) in tree.children().into_iter().flatten() {
            let base = agreed.get(key);
            let sides = match side {
                Side::Left => (Some(node), None),
                Side::Right => (None, Some(node)),
            };
            let here = place.child(key, sides.0, sides.1);
            let changed = match (&node.kind, base.map(|base| &base.kind)) {
                (Kind::Blocked(_), _) => false,
                (Kind::Directory(_), Some(BaseKind::Directory(agreed))) => {
                    self.has_changes(side, &here, node, agreed)?
                }
                (Kind::Directory(_), _) => true,
                (Kind::File | Kind::Link(_), _) => {
                    match self.look(side, &here, Some(node), base)? {
                        Ok(looked) => looked.change != Change::Same,
                        Err(_unknown) => true,
                    }
                }
            };
            if changed {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

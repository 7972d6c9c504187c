//! Plans an entry that is a directory on one side and a file or link on the other.

use std::sync::Arc;

use crate::options::Mode;
use crate::plan::decide::{Change, Verdict, decide};
use crate::plan::location::Location;
use crate::plan::planner::{Around, Merged, Planner, Step};
use crate::plan::{Action, Cancelled, CopyModes, JUNK};
use crate::state::{Base, BaseChildren, BaseKind};
use crate::tree::{Kind, Name, Node, Side};

impl Planner<'_, '_> {
    /// Plans an entry that is a directory on one side and a file or link on the other.
    pub(super) fn type_conflict<'t>(
        &mut self,
        around: &mut Around<'_>,
        key: &Name,
        location: Location,
        nodes: [Option<&'t Node>; 2],
        tree_side: Side,
        base: Option<&'t Arc<Base>>,
    ) -> Result<Step<'t>, Cancelled> {
        let leaf_side = tree_side.other();
        let keep = Step::Done(Merged { next: base.cloned(), exists: [true, true] });
        let (Some(tree), Some(leaf)) = (nodes[tree_side.index()], nodes[leaf_side.index()]) else {
            return Ok(keep);
        };
        let leaf_looked = match self.look(leaf_side, &location, Some(leaf), base)? {
            Ok(looked) => looked,
            Err(why) => {
                self.skip(&location.paths[leaf_side.index()], why);
                return Ok(keep);
            }
        };
        let tree_change = match base.map(|base| &base.kind) {
            None => Change::New,
            Some(BaseKind::Directory(baseline)) => {
                match self.has_changes(tree_side, &location, tree, baseline)? {
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
                let reason = format!("became a directory on {}", self.label(tree_side));
                self.push(Action::Remove { on: leaf_side, target }, &location, &reason);
                let mut only_tree = nodes;
                only_tree[leaf_side.index()] = None;
                Ok(self.directory(key, location, only_tree, None))
            }
            Verdict::Take(_) => {
                if let Some((path, _)) = tree.first_blocked() {
                    let side = self.label(leaf_side);
                    self.skip(
                        &location.paths[tree_side.index()],
                        format!("became a file on {side}, but is kept because of {path:?} in it"),
                    );
                    return Ok(keep);
                }
                let reason = format!("became a file on {}", self.label(leaf_side));
                self.remove_tree(&location, tree_side, tree, &reason);
                let digest = leaf_looked.digest;
                let modes = CopyModes { carried: leaf.mode, own: None };
                let next = self.transfer(&location, leaf_side, leaf, digest, None, modes, &reason);
                Ok(Step::Done(Merged { next: Some(next), exists: [true, true] }))
            }
            Verdict::Conflict => {
                let digest = leaf_looked.digest;
                let modes = CopyModes { carried: leaf.mode, own: None };
                self.move_aside(around, &location, leaf_side, leaf, digest, modes);
                let mut only_tree = nodes;
                only_tree[leaf_side.index()] = None;
                Ok(self.directory(key, location, only_tree, None))
            }
            Verdict::Leave | Verdict::Nothing | Verdict::Drop => {
                self.skip(
                    &location.paths[Side::Right.index()],
                    "changed on right, which mode=one-way-safe keeps".to_owned(),
                );
                Ok(keep)
            }
        }
    }

    /// Removes a whole directory before a file replaces it.
    fn remove_tree(&mut self, location: &Location, on: Side, tree: &Node, reason: &str) {
        let mut rest = vec![(location.clone(), tree, false)];
        while let Some((location, node, is_empty)) = rest.pop() {
            match &node.kind {
                Kind::Directory(children) if !is_empty => {
                    rest.push((location.clone(), node, true));
                    let inner = children.iter().rev();
                    rest.extend(
                        inner.map(|(key, node)| {
                            (location.child(key, Some(node), None), node, false)
                        }),
                    );
                }
                Kind::Directory(_) => self.push(Action::RemoveDirectory { on }, &location, reason),
                Kind::File | Kind::Link(_) | Kind::Blocked(_) | Kind::Junk => {
                    let reason = if node.kind == Kind::Junk { JUNK } else { reason };
                    let target = node.fingerprint;
                    self.push(Action::Remove { on, target }, &location, reason);
                }
            }
        }
    }

    /// Returns whether a directory has anything that is not in the baseline. Deletions do not
    /// count, since nothing would be lost.
    fn has_changes(
        &mut self,
        side: Side,
        location: &Location,
        tree: &Node,
        baseline: &BaseChildren,
    ) -> Result<bool, Cancelled> {
        let mut rest = vec![(location.clone(), tree, baseline)];
        while let Some((location, tree, baseline)) = rest.pop() {
            for (key, node) in tree.children().into_iter().flat_map(|children| children.iter()) {
                let base = baseline.get(key);
                let here = location.child(key, Some(node), None);
                let is_changed = match (&node.kind, base.map(|base| &base.kind)) {
                    (Kind::Blocked(_) | Kind::Junk, _) => false,
                    (Kind::Directory(_), Some(BaseKind::Directory(baseline))) => {
                        rest.push((here, node, baseline));
                        false
                    }
                    (Kind::Directory(_), _) => true,
                    (Kind::File | Kind::Link(_), _) => {
                        match self.look(side, &here, Some(node), base)? {
                            Ok(looked) => looked.change != Change::Same,
                            Err(_unknown) => true,
                        }
                    }
                };
                if is_changed {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

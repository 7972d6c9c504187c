//! Plans a directory.

use std::sync::Arc;

use crate::options::Mode;
use crate::plan::location::Location;
use crate::plan::planner::{Entered, Merged, MergedChildren, Planner, Step};
use crate::plan::{Action, JUNK};
use crate::state::{Base, BaseKind};
use crate::tree::{Kind, Name, Node, Side};

impl Planner<'_, '_> {
    /// Plans a directory that exists on one side or both, with nothing else on either.
    pub(super) fn directory<'t>(
        &mut self,
        key: &Name,
        location: Location,
        nodes: [Option<&'t Node>; 2],
        base: Option<&'t Arc<Base>>,
    ) -> Step<'t> {
        let missing = match nodes {
            [Some(_), Some(_)] => None,
            [Some(_), None] => Some(Side::Right),
            [None, _] => Some(Side::Left),
        };
        let mode = self.mode();
        let removed = match (missing, mode) {
            (None, _) => false,
            (Some(Side::Left), Mode::Mirror) => true,
            (Some(Side::Right), Mode::Mirror | Mode::OneWaySafe) => false,
            (Some(_), _) => base.is_some_and(|base| base.children().is_some()),
        };
        if missing == Some(Side::Left) && !removed && mode == Mode::OneWaySafe {
            // Created on the right, which this mode keeps.
            return Step::Done(Merged { next: None, exists: [false, true] });
        }
        let at = self.plan.operations.len();
        if let Some(on) = missing {
            let mode = nodes[on.other().index()].and_then(|node| node.mode);
            // Its owner must be able to write into it.
            let action = Action::MakeDirectory { on, mode: mode.map(|mode| mode | 0o700) };
            self.push(action, &location, &format!("new on {}", self.label(on.other())));
        }
        Step::Enter(Entered { key: Name::clone(key), location, nodes, base, missing, removed, at })
    }

    /// Completes a directory after all its entries.
    pub(super) fn leave_directory(
        &mut self,
        entered: Entered<'_>,
        inner: MergedChildren,
    ) -> Merged {
        let Entered { location, nodes, base, missing, removed, at, .. } = entered;
        let mut exists = [true, true];
        if let Some(on) = missing {
            let kept = on.other();
            let needed = !removed || inner.exist[on.index()];
            if !needed {
                self.plan.operations.remove(at);
                exists[on.index()] = false;
                if inner.exist[kept.index()] {
                    let why = why_kept(self.label(on), nodes[kept.index()]);
                    self.skip(&location.paths[kept.index()], why);
                } else {
                    exists[kept.index()] = false;
                    self.remove_junk(&location, kept, nodes[kept.index()]);
                    let action = Action::RemoveDirectory { on: kept };
                    let reason = format!("deleted on {}", self.label(on));
                    self.push_removal(action, &location, &reason);
                    return Merged { next: None, exists };
                }
            } else if removed {
                self.plan.operations[at].reason =
                    self.reason(&format!("has changes on {}", self.label(kept)));
            }
        }
        let mode = match missing {
            None => self.settle_directory_mode(&location, nodes, base, at),
            Some(on) => {
                let mode = nodes[on.other().index()].and_then(|node| node.mode);
                if let Some(mode) = mode.filter(|mode| mode & 0o700 != 0o700)
                    && exists[on.index()]
                {
                    self.shut(on, mode, &location);
                }
                mode
            }
        };
        let sides = Side::BOTH.map(|side| self.seen(side, nodes[side.index()]));
        let next = Base { kind: BaseKind::Directory(inner.next), mode, sides };
        Merged { next: Some(Arc::new(next)), exists }
    }

    /// Removes the junk in a directory that is removed.
    fn remove_junk(&mut self, location: &Location, on: Side, directory: Option<&Node>) {
        for (key, node) in directory.and_then(Node::children).into_iter().flat_map(|all| all.iter())
        {
            if node.kind == Kind::Junk {
                let action = Action::Remove { on, target: node.fingerprint };
                self.push_removal(action, &location.child(key, Some(node), None), JUNK);
            }
        }
    }
}

/// Returns why a directory is kept that was deleted on a side.
fn why_kept(side: &str, directory: Option<&Node>) -> String {
    match directory.and_then(Node::first_blocked) {
        Some((path, None)) => {
            format!("deleted on {side}, but kept because of {path:?} in it, which is ignored")
        }
        Some((path, Some(why))) => {
            format!("deleted on {side}, but kept because of {path:?} in it: {why}")
        }
        None => format!("deleted on {side}, but kept because of entries that are not synced"),
    }
}

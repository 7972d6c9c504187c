//! What becomes of a directory.

use std::sync::Arc;

use crate::options::Mode;
use crate::plan::place::Place;
use crate::plan::planner::{Merged, Planner};
use crate::plan::{Action, Cancelled};
use crate::state::{Base, BaseKind};
use crate::tree::{Node, Side};

impl Planner<'_, '_> {
    /// A directory on one side or both, and on neither anything else.
    pub(super) fn directory(
        &mut self,
        place: &Place,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
    ) -> Result<Merged, Cancelled> {
        let base_children = base.and_then(|base| base.children());
        let [left, right] = nodes;
        let missing = match (left, right) {
            (Some(_), Some(_)) => None,
            (Some(_), None) => Some(Side::Right),
            (None, _) => Some(Side::Left),
        };
        let mode = self.mode();
        // Whether the directory is missing because it is to go on the other side, too.
        let removed = match (missing, mode) {
            (None, _) => false,
            (Some(Side::Left), Mode::Mirror) => true,
            (Some(Side::Right), Mode::Mirror | Mode::OneWaySafe) => false,
            (Some(_), _) => base_children.is_some(),
        };
        if missing == Some(Side::Left) && !removed && mode == Mode::OneWaySafe {
            // Made on the right, and none of our business.
            return Ok(Merged { next: None, exists: [false, true] });
        }
        let at = self.plan.operations.len();
        if let Some(on) = missing {
            let mode = nodes[on.other().index()].and_then(|node| node.mode);
            // Its owner must be able to write into it.
            let action = Action::MakeDirectory { on, mode: mode.map(|mode| mode | 0o700) };
            self.push(action, place, &format!("new on {}", on.other().name()));
        }
        let inner = self.children(
            place,
            left.and_then(Node::children),
            right.and_then(Node::children),
            base_children,
        )?;
        let mut exists = [true, true];
        if let Some(on) = missing {
            let kept = on.other();
            let needed = !removed || inner.exist[on.index()];
            if !needed {
                self.plan.operations.remove(at);
                exists[on.index()] = false;
                if inner.exist[kept.index()] {
                    self.leave(
                        &place.paths[kept.index()],
                        format!(
                            "was deleted on {}, but has entries here that are not synced",
                            on.name()
                        ),
                    );
                } else {
                    exists[kept.index()] = false;
                    let action = Action::RemoveDirectory { on: kept };
                    let reason = format!("deleted on {}", on.name());
                    self.push_removal(action, place, &reason);
                    return Ok(Merged { next: None, exists });
                }
            } else if removed {
                self.plan.operations[at].reason =
                    self.reason(&format!("has changes on {}", kept.name()));
            }
        }
        let mode = match missing {
            None => self.settle_directory_mode(place, nodes, base, at),
            Some(on) => {
                let mode = nodes[on.other().index()].and_then(|node| node.mode);
                if let Some(mode) = mode.filter(|mode| mode & 0o700 != 0o700)
                    && exists[on.index()]
                {
                    self.shut(on, mode, place);
                }
                mode
            }
        };
        let sides = nodes.map(|node| self.seen(node));
        let next = Base { kind: BaseKind::Directory(inner.next), mode, sides };
        Ok(Merged { next: Some(Arc::new(next)), exists })
    }
}

//! Permission bits, which go from one side to the other apart from contents.

use std::sync::Arc;

use crate::options::Mode;
use crate::plan::Action;
use crate::plan::place::Place;
use crate::plan::planner::Planner;
use crate::state::Base;
use crate::tree::{Kind, Node, Side};

impl Planner<'_, '_> {
    /// Brings the permission bits of two directories together. What lets their owner work in them
    /// comes before that work, which begins at the operation `at`, and what does not, after it.
    pub(super) fn settle_directory_mode(
        &mut self,
        place: &Place,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
        at: usize,
    ) -> Option<u16> {
        let end = self.plan.operations.len();
        let mode = self.settle_mode(place, nodes, base);
        for operation in self.plan.operations.split_off(end) {
            if let Action::SetMode { on, mode } = operation.action
                && mode & 0o700 != 0o700
            {
                self.shut(on, mode, place);
            } else {
                self.plan.operations.insert(at, operation);
            }
        }
        mode
    }

    /// Sets the permissions of a directory when all is done in it.
    pub(super) fn shut(&mut self, on: Side, mode: u16, place: &Place) {
        self.push_removal(Action::SetMode { on, mode }, place, "permissions changed");
    }

    /// Brings the permission bits of two equal entries together. Where both changed, what both
    /// allow holds.
    pub(super) fn settle_mode(
        &mut self,
        place: &Place,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
    ) -> Option<u16> {
        let modes = nodes.map(|node| node.and_then(|node| node.mode));
        let [Some(left), Some(right)] = modes else {
            return modes[0].or(modes[1]).or(base.and_then(|base| base.mode));
        };
        if left == right {
            return Some(left);
        }
        let Some(mode) = self.merge_modes(left, right, base) else {
            return base.and_then(|base| base.mode);
        };
        for (on, now) in [(Side::Left, left), (Side::Right, right)] {
            if now != mode {
                self.push(Action::SetMode { on, mode }, place, "permissions changed");
            }
        }
        Some(mode)
    }

    /// What two different permissions become; `None`: they stay as they are, because neither side
    /// changed its own.
    pub(super) fn merge_modes(
        &self,
        left: u16,
        right: u16,
        base: Option<&Arc<Base>>,
    ) -> Option<u16> {
        let is_same = |side: Side, now: u16| {
            base.is_some_and(|base| base.seen(side).mode.or(base.mode) == Some(now))
        };
        match (self.mode(), is_same(Side::Left, left), is_same(Side::Right, right)) {
            (_, true, true) => None,
            (Mode::OneWaySafe | Mode::Mirror, _, _) => Some(left),
            (_, true, false) => Some(right),
            (_, false, true) => Some(left),
            (_, false, false) => Some(left & right),
        }
    }

    /// A copy has the permissions of its source. Puts back what the other side made of those of
    /// the file that it replaces.
    pub(super) fn carry_mode(
        &mut self,
        place: &Place,
        from: Side,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
    ) -> Option<u16> {
        let copied = nodes[from.index()].and_then(|node| node.mode);
        let is_file = |node: Option<&Node>| node.is_some_and(|node| node.kind == Kind::File);
        let [Some(left), Some(right)] = nodes.map(|node| node.and_then(|node| node.mode)) else {
            return copied;
        };
        let Some(mode) = self.merge_modes(left, right, base) else { return copied };
        if !nodes.into_iter().all(is_file) || copied == Some(mode) {
            return copied;
        }
        for on in Side::BOTH {
            self.push(Action::SetMode { on, mode }, place, "permissions changed");
        }
        Some(mode)
    }
}

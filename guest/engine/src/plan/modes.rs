//! Permission bits, which are synced separately from contents.
//!
//! The plan assumes that both sides store them. Whether a side does is determined when the plan is
//! carried out, and permissions of a side that does not are not propagated.

use std::sync::Arc;

use crate::options::Mode;
use crate::plan::location::Location;
use crate::plan::planner::Planner;
use crate::plan::{Action, CopyModes};
use crate::state::Base;
use crate::tree::{Kind, Node, Side};

/// The permission bits for all users.
const PERMISSIONS: u16 = 0o777;
/// The special bits of a directory. Each side keeps those that the other one never had.
const SPECIAL: u16 = 0o3000;

impl Planner<'_, '_> {
    /// Merges the permission bits of two directories. Changes that permit the owner to write come
    /// before the operations in the directory, which begin at `at`; other changes come after them.
    pub(super) fn settle_directory_mode(
        &mut self,
        location: &Location,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
        at: usize,
    ) -> Option<u16> {
        let end = self.plan.operations.len();
        let mode = self.settle_mode(location, nodes, base);
        for operation in self.plan.operations.split_off(end) {
            if let Action::SetMode { on, mode } = operation.action
                && mode & 0o700 != 0o700
            {
                self.shut(on, mode, location);
            } else {
                self.plan.operations.insert(at, operation);
            }
        }
        mode
    }

    /// Sets the permissions of a directory after all operations in it.
    pub(super) fn shut(&mut self, on: Side, mode: u16, location: &Location) {
        self.push_removal(Action::SetMode { on, mode }, location, "permissions changed");
    }

    /// Merges the permission bits of two equal entries. If both changed, the result is the
    /// intersection.
    pub(super) fn settle_mode(
        &mut self,
        location: &Location,
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
        let merged = self.merge_modes(left, right, base);
        let special = self.merge_special([left, right], base);
        for (on, now) in [(Side::Left, left), (Side::Right, right)] {
            let mode = merged.unwrap_or(now & PERMISSIONS) | special[on.index()];
            if now != mode {
                self.push(Action::SetMode { on, mode }, location, "permissions changed");
            }
        }
        merged.or(base.and_then(|base| base.mode))
    }

    /// Merges two different permissions; `None`: neither side changed, so they stay as they are.
    pub(super) fn merge_modes(
        &self,
        left: u16,
        right: u16,
        base: Option<&Arc<Base>>,
    ) -> Option<u16> {
        let [left, right] = [left & PERMISSIONS, right & PERMISSIONS];
        let is_same = |side: Side, now: u16| {
            let seen = base.and_then(|base| base.seen(side).mode.or(base.mode));
            seen.is_some_and(|seen| seen & PERMISSIONS == now)
        };
        if left == right {
            return Some(left);
        }
        match (self.mode(), is_same(Side::Left, left), is_same(Side::Right, right)) {
            (_, true, true) => None,
            (Mode::OneWaySafe | Mode::Mirror, _, _) => Some(left),
            (_, true, false) => Some(right),
            (_, false, true) => Some(left),
            (_, false, false) => Some(left & right),
        }
    }

    /// Returns the special bits of each side: its own, with the changes of the other side.
    fn merge_special(&self, now: [u16; 2], base: Option<&Arc<Base>>) -> [u16; 2] {
        let changed = |side: Side| {
            let seen = base.and_then(|base| base.seen(side).mode);
            seen.map_or(0, |seen| (seen ^ now[side.index()]) & SPECIAL)
        };
        let [left, right] = [changed(Side::Left), changed(Side::Right)];
        let taken = match self.mode() {
            Mode::OneWaySafe | Mode::Mirror => [0, left],
            Mode::TwoWaySafe | Mode::PreferLeft | Mode::PreferRight | Mode::Newer => {
                [right & !left, left & !right]
            }
        };
        let [left, right] = now;
        [
            (left & !taken[0] | right & taken[0]) & SPECIAL,
            (right & !taken[1] | left & taken[1]) & SPECIAL,
        ]
    }

    /// Returns the permission bits of a copy, and the new ones of its source if they change. If
    /// only the content changed, the replaced file keeps its permissions.
    pub(super) fn copy_modes(
        &self,
        from: Side,
        nodes: [Option<&Node>; 2],
        base: Option<&Arc<Base>>,
    ) -> (CopyModes, Option<u16>) {
        let modes = file_modes(nodes);
        let own = modes[from.other().index()];
        match modes {
            [Some(left), Some(right)] => {
                let merged = self.merge_modes(left, right, base);
                let source = merged.filter(|mode| modes[from.index()] != Some(*mode));
                (CopyModes { carried: merged.or(own), own }, source)
            }
            [_, _] => (CopyModes { carried: modes[from.index()], own }, None),
        }
    }
}

impl CopyModes {
    /// The permissions of the winning version.
    pub(super) fn of_winner(from: Side, nodes: [Option<&Node>; 2]) -> Self {
        let modes = file_modes(nodes);
        Self { carried: modes[from.index()], own: modes[from.other().index()] }
    }
}

fn file_modes(nodes: [Option<&Node>; 2]) -> [Option<u16>; 2] {
    nodes.map(|node| node.filter(|node| node.kind == Kind::File)?.mode)
}

//! The guarantees after every sync.

use std::collections::{BTreeMap, BTreeSet};

use super::{Item, World, base_at, options};
use crate::options::Mode::{self, Mirror, OneWaySafe, TwoWaySafe};
use crate::tree::Side;

/// Checks that nothing is lost, and the stricter guarantees of some modes.
pub fn check_nothing_is_lost(before: &World, after: &World, mode: Mode) {
    let live = after.contents();
    for content in before.contents() {
        let is_found = live.contains(&content) || after.trash.contains(&content);
        assert!(is_found, "{content} is lost: {after:#?}");
    }
    for (path, content) in before.own(Side::Left).chain(before.own(Side::Right)) {
        let is_live = mode != TwoWaySafe || live.contains(&content);
        assert!(is_live, "{path}{content} is only in the trash");
    }
    if matches!(mode, OneWaySafe | Mirror) {
        assert_eq!(before.list(Side::Left), after.list(Side::Left));
    }
    if mode == OneWaySafe {
        for (path, content) in before.own(Side::Right) {
            assert_eq!(after.trees[1].get(path).and_then(Item::content), Some(content), "{path}");
        }
    }
}

pub fn check_a_rerun_does_nothing(world: &World, mode: Mode) {
    let plan = world.plan(&options(mode)).plan;
    let steps: Vec<_> = plan.all().collect();
    assert!(steps.is_empty() && plan.conflicts.is_empty(), "{steps:#?}");
}

/// Checks the guarantees for a sync in any mode.
pub fn check_outcome(before: &World, after: &World, mode: Mode) {
    check_nothing_is_lost(before, after, mode);
    check_a_rerun_does_nothing(after, mode);
    if mode != OneWaySafe {
        assert_eq!(after.list(Side::Left), after.list(Side::Right));
    }
}

impl World {
    /// Returns all contents of the sides.
    pub fn contents(&self) -> BTreeSet<String> {
        self.trees.iter().flat_map(BTreeMap::values).filter_map(Item::content).collect()
    }

    /// Returns the files and links of a side that differ from the baseline.
    pub fn own(&self, side: Side) -> impl Iterator<Item = (&String, String)> {
        self.trees[side.index()].iter().filter_map(move |(path, item)| {
            let is_agreed = item.is_agreed(base_at(&self.base, path));
            // Junk may be in the trash only.
            let is_junk = self.bars[side.index()].get(path) == Some(&'~');
            Some((path, item.content()?)).filter(|_| !is_agreed && !is_junk)
        })
    }
}

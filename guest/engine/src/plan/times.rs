//! Times of files whose content did not change, such as after `touch`.

use std::sync::Arc;

use crate::options::Mode;
use crate::plan::Action;
use crate::plan::location::Location;
use crate::plan::planner::Planner;
use crate::state::{Base, Seen};
use crate::tree::{Node, Side};

const MINUTE_NS: u64 = 60_000_000_000;
/// On file systems that store local times, times shift with the clock or the time zone by a
/// multiple of this...
const ZONE_STEP_NS: u64 = 15 * MINUTE_NS;
/// ... and at most by this.
const ZONE_MOST_NS: u64 = 26 * 60 * MINUTE_NS;

impl Planner<'_, '_> {
    /// Propagates the changed time of one of two equal files, or the newer one if both changed.
    pub(super) fn settle_time(
        &mut self,
        location: &Location,
        nodes: [&Node; 2],
        base: Option<&Arc<Base>>,
    ) {
        let keeps_times = self.input.capabilities.iter().all(|can| can.keeps_times);
        let Some(base) = base.filter(|_| keeps_times) else { return };
        let [left, right] = nodes.map(|node| node.fingerprint.modified);
        let is_changed = |side: Side, now: i64| is_set(base.seen(side), now) && left != right;
        let changed = [is_changed(Side::Left, left), is_changed(Side::Right, right)];
        let from = match (self.mode(), changed) {
            (_, [false, false]) | (Mode::OneWaySafe, [_, true]) => return,
            (Mode::OneWaySafe | Mode::Mirror, _) | (_, [true, false]) => Side::Left,
            (_, [false, true]) => Side::Right,
            (_, [true, true]) if left > right => Side::Left,
            (_, [true, true]) => Side::Right,
        };
        let on = from.other();
        let target = nodes[on.index()].fingerprint;
        let modified = nodes[from.index()].fingerprint.modified;
        self.push(Action::SetModified { on, target, modified }, location, "time changed");
    }
}

/// Returns whether a time differs from the one that was seen.
fn is_set(seen: &Seen, now: i64) -> bool {
    let seen = seen.fingerprint;
    let distance = now.abs_diff(seen.modified);
    let is_known = seen.file_id != 0 || seen.modified != 0;
    // A time outside of the range cannot be propagated.
    let can_be_said = now != i64::MIN && now != i64::MAX;
    let is_zone = distance.is_multiple_of(ZONE_STEP_NS) && distance <= ZONE_MOST_NS;
    is_known && can_be_said && !is_zone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Fingerprint;

    #[test]
    fn times_of_a_clock_set_back_are_not_newer() {
        let then = 1_800_000_000_000_000_000;
        let hour = 60 * 60 * 1_000_000_000;
        let fingerprint = Fingerprint { modified: then, file_id: 7, ..Fingerprint::default() };
        let seen = Seen { fingerprint, ..Seen::default() };
        for (now, set) in [
            (then, false),
            (then + 1, true),
            (then + hour, false),
            (then - hour, false),
            (then + hour / 4 * 23, false),
            (then + 26 * hour, false),
            (then + 27 * hour, true),
            (then - hour + 1, true),
            (i64::MAX, false),
        ] {
            assert_eq!(is_set(&seen, now), set, "{}", now - then);
        }
        assert!(!is_set(&Seen::default(), then), "it was never seen");
    }
}

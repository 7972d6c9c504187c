use crate::options::Mode;
use crate::tree::Side;

/// The change of an entry on one side since the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It never existed.
    Absent,
    /// It is unchanged.
    Same,
    /// The entry exists, and is not in the baseline.
    New,
    /// The content or the type changed.
    Changed,
    /// It was deleted.
    Deleted,
}

/// The decision for two entries that are not equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both are unchanged since the baseline.
    Nothing,
    /// Make the other side equal to this side, including deletions.
    Take(Side),
    /// Both sides have changes.
    Conflict,
    /// Skip both.
    Leave,
    /// Neither side has it: remove it from the baseline.
    Drop,
}

/// The decision table. The contents of the sides differ, if both have any.
pub const fn decide(mode: Mode, left: Change, right: Change) -> Verdict {
    match mode {
        Mode::TwoWaySafe | Mode::PreferLeft | Mode::PreferRight | Mode::Newer => {
            two_way(left, right)
        }
        Mode::OneWaySafe => one_way(left, right),
        Mode::Mirror => mirror(left, right),
    }
}

const fn two_way(left: Change, right: Change) -> Verdict {
    use Change::{Absent, Changed, Deleted, New, Same};
    match (left, right) {
        (Same, Same) => Verdict::Nothing,
        (Absent | Deleted, Absent | Deleted) => Verdict::Drop,
        // Content takes precedence over a deletion.
        (New | Changed, Same | Absent | Deleted) => Verdict::Take(Side::Left),
        (Same | Absent | Deleted, New | Changed) => Verdict::Take(Side::Right),
        (Absent | Deleted, Same) => Verdict::Take(Side::Left),
        (Same, Absent | Deleted) => Verdict::Take(Side::Right),
        (New | Changed, New | Changed) => Verdict::Conflict,
    }
}

const fn one_way(left: Change, right: Change) -> Verdict {
    use Change::{Absent, Changed, Deleted, New, Same};
    match (left, right) {
        (Same, Same) => Verdict::Nothing,
        (Absent | Deleted, Absent | Deleted) => Verdict::Drop,
        (Absent | Deleted | New | Changed, Same) | (New | Changed | Same, Absent | Deleted) => {
            Verdict::Take(Side::Left)
        }
        // Changes of the right side are kept.
        (Absent | Deleted | Same | New | Changed, New | Changed) => Verdict::Leave,
    }
}

const fn mirror(left: Change, right: Change) -> Verdict {
    use Change::{Absent, Changed, Deleted, New, Same};
    match (left, right) {
        (Same, Same) => Verdict::Nothing,
        (Absent | Deleted, Absent | Deleted) => Verdict::Drop,
        (Absent | Deleted, Same | New | Changed)
        | (New | Changed, Absent | Same | New | Changed | Deleted)
        | (Same, Absent | New | Changed | Deleted) => Verdict::Take(Side::Left),
    }
}

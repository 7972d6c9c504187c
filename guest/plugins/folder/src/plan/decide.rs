use crate::options::Mode;
use crate::tree::Side;

/// The change of an entry on one side since the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It never was there.
    Absent,
    /// Nothing.
    Same,
    /// The entry exists, and is not in the baseline.
    New,
    /// It has another content or is something else.
    Changed,
    /// It is gone.
    Deleted,
}

/// What to do about two entries that are not equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are as agreed.
    Nothing,
    /// Make the other side what this side is, also by deleting.
    Take(Side),
    /// Both sides have something of their own.
    Conflict,
    /// Leave both as they are.
    Leave,
    /// Neither has it: forget it.
    Drop,
}

/// The table of decisions. The content of the two sides differs, where both have any.
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
        // Content wins over a deletion.
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
        // What the right side made itself is not touched.
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

//! Decides what to do. Reads nothing itself: it asks for the digest of a file where only the
//! content can tell.

mod clash;
mod decide;
mod directory;
mod leaf;
mod modes;
mod place;
mod planner;
mod times;
mod transfer;

use std::collections::HashMap;
use std::sync::Arc;

use crate::options::{DeleteLimit, Mode, Options};
use crate::state::{self, BaseChildren, ConflictRecord};
use crate::tree::{Children, Digest, Fingerprint, Kind, Name, Side};
use place::Place;
use planner::Planner;

pub use decide::{Change, Verdict, decide};

/// A file that was written less than this before it was looked at may be written again without
/// a change of its times: those of some file systems are no finer.
const RACY_NS: i64 = 2_000_000_000;

/// Everything that is to be done, and what is agreed on when it has been.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is done first, in this order: everything that makes or replaces.
    pub operations: Vec<Operation>,
    /// What is done after that, in this order: everything that only removes, and the permissions
    /// of directories that keep their owner from working in them.
    pub removals: Vec<Operation>,
    /// What the two sides agree on once all of it is done.
    pub next: BaseChildren,
    /// Conflicts that are settled by keeping both versions.
    pub conflicts: Vec<ConflictRecord>,
    /// What is left alone, as path and reason.
    pub left_alone: Vec<(String, String)>,
    /// Entries that need nothing.
    pub unchanged: u64,
    /// New entries, by key, with another name of their directory that differs only in case.
    pub alike: HashMap<Name, Name>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What.
    pub action: Action,
    /// The entry, as each side spells its path.
    pub paths: [Name; 2],
    /// The path by keys.
    pub key: Name,
    /// Why, in a few words.
    pub reason: Arc<str>,
}

/// What to do with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a directory.
    MakeDirectory {
        /// Where.
        on: Side,
        /// With which permission bits.
        mode: Option<u16>,
    },
    /// Copy a file to the other side.
    Copy {
        /// From where.
        from: Side,
        /// What it must still be.
        source: Fingerprint,
        /// The content it must have, if that is known.
        digest: Option<Box<Digest>>,
        /// What it replaces; `None`: nothing may be there.
        replaces: Option<Box<Fingerprint>>,
        /// The permission bits that it gets.
        modes: CopyModes,
    },
    /// Make a link.
    MakeLink {
        /// Where.
        on: Side,
        /// Its text.
        text: Box<str>,
        /// What it replaces; `None`: nothing may be there.
        replaces: Option<Box<Fingerprint>>,
    },
    /// Rename a file or link, in its directory.
    Rename {
        /// Where.
        on: Side,
        /// What it must still be.
        source: Fingerprint,
        /// The new name.
        to: Box<str>,
    },
    /// Give an entry a name that differs only in case.
    Respell {
        /// Where.
        on: Side,
        /// The new name.
        to: Box<str>,
        /// The path by keys, with the old name.
        old_key: Box<str>,
    },
    /// Remove a file or link.
    Remove {
        /// Where.
        on: Side,
        /// What it must still be.
        target: Fingerprint,
    },
    /// Remove a directory, if it is empty.
    RemoveDirectory {
        /// Where.
        on: Side,
    },
    /// Set permission bits.
    SetMode {
        /// Where.
        on: Side,
        /// To what.
        mode: u16,
    },
    /// Set when the content of a file was changed, which is equal on both sides.
    SetModified {
        /// Where.
        on: Side,
        /// What it must still be.
        target: Fingerprint,
        /// To what, in ns since 1970.
        modified: i64,
    },
}

/// The permission bits of a copy. `None`: those that the system gives to a new file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyModes {
    /// Where the side of its source keeps permissions.
    pub carried: Option<u16>,
    /// Where that side keeps none: those that its path has on the other side.
    pub own: Option<u16>,
}

/// Why a plan must not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Danger {
    /// A side that had entries is empty.
    Emptied(Side),
    /// Too many files of a side would be deleted.
    Deletions {
        /// Of which side.
        side: Side,
        /// How many.
        deleted: u64,
        /// Of how many.
        files: u64,
        /// A few of them.
        examples: Vec<String>,
    },
}

/// Tells the digest of a file by side and path; an error says why it cannot be told. `Err(None)`:
/// the user cancelled.
pub type Hash<'a> = dyn FnMut(Side, &str) -> Result<Digest, Option<String>> + 'a;

/// The user cancelled while the plan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// What a plan is made from.
pub struct Input<'a> {
    /// The entries of each side's root.
    pub sides: [&'a Children; 2],
    /// What was agreed on.
    pub base: &'a BaseChildren,
    /// The settings.
    pub options: &'a Options,
    /// When the scan began, in ns since 1970.
    pub now: i64,
    /// The same for people, for conflict names.
    pub when: &'a str,
}

/// Makes the plan.
pub fn plan(input: &Input<'_>, hash: &mut Hash<'_>) -> Result<Plan, Cancelled> {
    let mut planner = Planner::new(input, hash);
    let dirs = Place::root();
    let [left, right] = input.sides;
    let one_way = matches!(input.options.mode, Mode::OneWaySafe | Mode::Mirror);
    if input.base.is_empty() && (right.is_empty() || !one_way) {
        // There is much to do, and what has room for all of it need not be moved.
        planner.plan.operations.reserve_exact(on_one_side(Some(left), Some(right)));
    }
    let merged = planner.children(&dirs, Some(left), Some(right), Some(input.base))?;
    planner.plan.next = merged.next;
    Ok(planner.plan)
}

/// How many entries are on one side only.
fn on_one_side(left: Option<&Children>, right: Option<&Children>) -> usize {
    let from_left = left.into_iter().flatten().map(|(key, node)| {
        match right.and_then(|right| right.get(key)) {
            Some(other) => on_one_side(node.children(), other.children()),
            None => 1 + on_one_side(node.children(), None),
        }
    });
    let from_right = right
        .into_iter()
        .flatten()
        .filter(|(key, _)| left.is_none_or(|left| !left.contains_key(*key)))
        .map(|(_, node)| 1 + on_one_side(None, node.children()));
    from_left.sum::<usize>() + from_right.sum::<usize>()
}

/// Checks a plan before its first step.
pub fn check(plan: &Plan, input: &Input<'_>, files: [u64; 2]) -> Result<(), Danger> {
    let limit = input.options.max_delete;
    if limit == DeleteLimit::Any {
        return Ok(());
    }
    // What the system drops into an empty directory, and a filter hides, does not fill it.
    let emptied = |side: Side| {
        let [here, other] = [side, side.other()].map(|side| input.sides[side.index()]);
        here.values().all(|node| matches!(node.kind, Kind::Blocked(_)))
            && !input.base.keys().any(|key| here.contains_key(key))
            && input.base.keys().any(|key| other.contains_key(key))
    };
    if let Some(side) = Side::BOTH.into_iter().find(|&side| emptied(side))
        && input.base.len() >= 2
        // One way, the right side is filled again.
        && !(side == Side::Right
            && matches!(input.options.mode, Mode::OneWaySafe | Mode::Mirror))
    {
        return Err(Danger::Emptied(side));
    }
    let agreed = state::count_files(input.base);
    for side in Side::BOTH {
        let removed: Vec<&str> = plan
            .operations
            .iter()
            .chain(&plan.removals)
            .filter(|operation| operation.counts_as_deletion_on(side))
            .map(|operation| &*operation.paths[side.index()])
            .collect();
        let deleted = removed.len() as u64;
        let files = agreed.max(files[side.index()]);
        if limit.is_exceeded(deleted, files) {
            let examples = removed.into_iter().take(5).map(str::to_owned).collect();
            return Err(Danger::Deletions { side, deleted, files, examples });
        }
    }
    Ok(())
}

impl Operation {
    /// Whether a file of this side is gone afterwards, also under any other name.
    pub fn counts_as_deletion_on(&self, side: Side) -> bool {
        match &self.action {
            Action::Remove { on, .. } => *on == side && *self.reason != *MOVED,
            Action::MakeDirectory { .. }
            | Action::Copy { .. }
            | Action::MakeLink { .. }
            | Action::Rename { .. }
            | Action::Respell { .. }
            | Action::RemoveDirectory { .. }
            | Action::SetMode { .. }
            | Action::SetModified { .. } => false,
        }
    }

    /// The bytes that it copies.
    pub fn bytes(&self) -> u64 {
        match &self.action {
            Action::Copy { source, .. } => source.size,
            Action::MakeDirectory { .. }
            | Action::MakeLink { .. }
            | Action::Rename { .. }
            | Action::Respell { .. }
            | Action::Remove { .. }
            | Action::RemoveDirectory { .. }
            | Action::SetMode { .. }
            | Action::SetModified { .. } => 0,
        }
    }
}

/// The reason of a removal whose file is elsewhere on the other side now.
const MOVED: &str = "moved";

/// Whether a file may change without its fingerprint changing.
pub fn is_racy(fingerprint: &Fingerprint, now: i64) -> bool {
    fingerprint.modified.saturating_add(RACY_NS) > now
}

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod model;

#[cfg(test)]
mod tests;

//! Decides what to do. It does no I/O itself, and requests the digest of a file only where the content
//! decides.

mod decide;
mod directory;
mod file_entry;
mod guard;
mod modes;
mod place;
mod planner;
mod times;
mod transfer;
mod traverse;
mod type_conflict;

use std::collections::HashMap;
use std::sync::Arc;

use crate::options::{Mode, Options};
use crate::state::{BaseChildren, ConflictRecord};
use crate::tree::{Children, Digest, Fingerprint, Name, Node, Side};
use planner::Planner;

pub use decide::{Change, Verdict, decide};
pub use guard::{SafetyStop, check};

/// A file that was written less than this before it was looked at may be written again without
/// a change of its times: those of some file systems are no finer.
const RACY_NS: i64 = 2_000_000_000;

/// The operations of a run, and the baseline after them.
#[derive(Debug, Default)]
pub struct Plan {
    /// The operations that come first, in this order: those that create or replace.
    pub operations: Vec<Operation>,
    /// The operations that follow, in this order: those that only remove, and permissions that make
    /// directories read-only for their owner.
    pub removals: Vec<Operation>,
    /// The baseline after all operations.
    pub next: BaseChildren,
    /// Conflicts that are resolved by keeping both versions.
    pub conflicts: Vec<ConflictRecord>,
    /// Skipped entries, as path and reason.
    pub skipped: Vec<(String, String)>,
    /// The number of unchanged entries.
    pub unchanged: u64,
    /// New entries, by key, with another name of their directory that differs only in case.
    pub alike: HashMap<Name, Name>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The action.
    pub action: Action,
    /// The entry, as each side spells its path.
    pub paths: [Name; 2],
    /// The path by keys.
    pub key: Name,
    /// The reason, in a few words.
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

/// Returns the digest of a file by side and path, or the reason why it cannot be read. `Err(None)` is a
/// cancellation.
pub type Hash<'a> = dyn FnMut(Side, &str) -> Result<Digest, Option<String>> + 'a;

/// The user cancelled while the plan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// The input of a plan.
pub struct Input<'a> {
    /// The entries of each side's root.
    pub sides: [&'a Children; 2],
    /// The baseline.
    pub base: &'a BaseChildren,
    /// The settings.
    pub options: &'a Options,
    /// When the scan began, in ns since 1970.
    pub now: i64,
    /// The same as text, for the names of conflict copies.
    pub when: &'a str,
}

/// Makes the plan.
pub fn plan(input: &Input<'_>, hash: &mut Hash<'_>) -> Result<Plan, Cancelled> {
    let mut planner = Planner::new(input, hash);
    let [left, right] = input.sides;
    let one_way = matches!(input.options.mode, Mode::OneWaySafe | Mode::Mirror);
    if input.base.is_empty() && (right.is_empty() || !one_way) {
        // There is much to do, and what has room for all of it need not be moved.
        planner.plan.operations.reserve_exact(on_one_side(left, right));
    }
    planner.plan.next = planner.tree(left, right, input.base)?;
    Ok(planner.plan)
}

/// Counts the entries that exist on one side only.
fn on_one_side(left: &Children, right: &Children) -> usize {
    let mut count = 0;
    let mut rest = vec![(Some(left), Some(right))];
    while let Some((left, right)) = rest.pop() {
        for (children, others, is_left) in [(left, right, true), (right, left, false)] {
            for (key, node) in children.into_iter().flat_map(|children| children.iter()) {
                let other = others.and_then(|others| others.get(key));
                count += usize::from(other.is_none());
                // What both sides have is gone into once.
                if (is_left || other.is_none()) && node.children().is_some() {
                    rest.push((node.children(), other.and_then(Node::children)));
                }
            }
        }
    }
    count
}

impl Operation {
    /// Returns whether the operation deletes a file of this side that is not moved.
    pub fn counts_as_deletion_on(&self, side: Side) -> bool {
        match &self.action {
            Action::Remove { on, .. } => *on == side && ![MOVED, JUNK].contains(&&*self.reason),
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

    /// Returns the number of bytes to copy.
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

/// The reason of a removal whose content is elsewhere on the other side now.
const MOVED: &str = "moved";
/// The reason of a removal of junk, which goes with its directory.
const JUNK: &str = "ignored, and its directory was deleted";

/// Returns whether a file may change without a change of its fingerprint.
pub fn is_racy(fingerprint: &Fingerprint, now: i64) -> bool {
    fingerprint.modified.saturating_add(RACY_NS) > now
}

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod model;

#[cfg(test)]
mod tests;

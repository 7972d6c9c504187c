//! Plans a run. It does no I/O itself, and requests the digest of a file only if the content
//! decides.

mod content;
mod decide;
mod directory;
mod file_entry;
mod guard;
mod location;
mod merge;
mod modes;
pub mod moves;
mod planner;
mod times;
mod transfer;
mod traverse;
mod type_conflict;

use std::collections::HashMap;
use std::sync::Arc;

use crate::endpoint::Capabilities;
use crate::options::{Mode, Options};
use crate::state::{Base, BaseChildren, ConflictRecord};
use crate::tree::{Children, Digest, Fingerprint, Name, Node, Side};
use planner::Planner;

pub use decide::{Change, Verdict, decide};
pub use guard::{SafetyStop, check};
pub use moves::{Before, Finder, Moves};

/// A file that was written less than this before the scan may be written again without a change of
/// its times, because some file systems store them with this precision.
const RACY_NS: i64 = 2_000_000_000;

/// The operations of a run, and the baseline after them.
#[derive(Debug, Default)]
pub struct Plan {
    /// The operations that come before all others, in this order: moves of entries that were moved
    /// on the other side, and directories that are created for them.
    pub moves: Vec<Operation>,
    /// The operations that come next, in this order: those that create or replace.
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

/// The action for an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create a directory.
    MakeDirectory {
        /// The side.
        on: Side,
        /// The permission bits.
        mode: Option<u16>,
    },
    /// Copy a file to the other side.
    Copy {
        /// The side of the source.
        from: Side,
        /// The expected fingerprint of the source.
        source: Fingerprint,
        /// The expected digest, if known.
        digest: Option<Box<Digest>>,
        /// The entry to replace; `None`: the name must be unused.
        replaces: Option<Box<Fingerprint>>,
        /// The permission bits of the copy.
        modes: CopyModes,
    },
    /// Create a link.
    MakeLink {
        /// The side.
        on: Side,
        /// The target text.
        text: Box<str>,
        /// The entry to replace; `None`: the name must be unused.
        replaces: Option<Box<Fingerprint>>,
    },
    /// Rename a file or link, in its directory.
    Rename {
        /// The side.
        on: Side,
        /// The expected entry.
        source: Fingerprint,
        /// The new name.
        to: Box<str>,
    },
    /// Rename an entry of any type. The paths and the key of the operation are those of the other
    /// side, except for the old path of this one.
    Move {
        /// The side.
        on: Side,
        /// The new path.
        to: Name,
        /// The old path by keys.
        old_key: Box<str>,
        /// The expected file or link; `None`: a directory, or only the case of the name changes.
        expected: Option<Box<Fingerprint>>,
        /// The baseline of the entry at its old path; `None`: only the case of the name changes,
        /// after all other operations on the entry.
        before: Option<Arc<Base>>,
    },
    /// Remove a file or link.
    Remove {
        /// The side.
        on: Side,
        /// The expected entry.
        target: Fingerprint,
    },
    /// Remove a directory, if it is empty.
    RemoveDirectory {
        /// The side.
        on: Side,
    },
    /// Set permission bits.
    SetMode {
        /// The side.
        on: Side,
        /// The new permission bits.
        mode: u16,
    },
    /// Set the modification time of a file whose content is equal on both sides.
    SetModified {
        /// The side.
        on: Side,
        /// The expected fingerprint.
        target: Fingerprint,
        /// The new time, in ns since 1970.
        modified: i64,
    },
}

/// The permission bits of a copy. `None`: those that the system gives to a new file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyModes {
    /// If the side of the source stores permissions.
    pub carried: Option<u16>,
    /// Otherwise: the permissions of the path on the other side.
    pub own: Option<u16>,
}

/// Returns the digest of a file by side and path, or the reason why it cannot be read. `Err(None)`
/// is a cancellation.
pub type Hash<'a> = dyn FnMut(Side, &str) -> Result<Digest, Option<String>> + 'a;

/// The user cancelled during planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// The input of a plan.
pub struct Input<'a> {
    /// The entries of each side's root.
    pub sides: [&'a Children; 2],
    /// The baseline.
    pub base: &'a BaseChildren,
    /// The state before moves were made in the sides and in the baseline.
    pub before: Before,
    /// The settings.
    pub options: &'a Options,
    /// The capabilities of the sides.
    pub capabilities: [Capabilities; 2],
    /// How reasons name the sides.
    pub labels: [&'static str; 2],
    /// When the scan began, in ns since 1970.
    pub now: i64,
    /// The same as text, for the names of conflict copies.
    pub when: &'a str,
}

/// Creates the plan.
pub fn plan(input: &Input<'_>, hash: &mut Hash<'_>) -> Result<Plan, Cancelled> {
    let mut planner = Planner::new(input, hash);
    let [left, right] = input.sides;
    let one_way = matches!(input.options.mode, Mode::OneWaySafe | Mode::Mirror);
    if input.base.is_empty() && (right.is_empty() || !one_way) {
        // If there is much to do and space for all of it, moves are not needed.
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
                // Directories on both sides are visited once.
                if (is_left || other.is_none()) && node.children().is_some() {
                    rest.push((node.children(), other.and_then(Node::children)));
                }
            }
        }
    }
    count
}

impl Plan {
    /// Returns all operations, in their order.
    pub fn all(&self) -> impl Iterator<Item = &Operation> {
        self.moves.iter().chain(&self.operations).chain(&self.removals)
    }
}

impl Operation {
    /// Returns whether the operation deletes a file of this side that is not moved.
    pub fn counts_as_deletion_on(&self, side: Side) -> bool {
        matches!(self.action, Action::Remove { on, .. } if on == side)
            && ![MOVED, JUNK].contains(&&*self.reason)
    }

    /// Returns the number of bytes to copy; `None` if the operation copies no file.
    pub fn copied_bytes(&self) -> Option<u64> {
        let Action::Copy { source, .. } = &self.action else { return None };
        Some(source.size)
    }
}

/// The reason of a removal whose content has moved on the other side.
const MOVED: &str = "moved";
/// The reason of a removal of junk, together with its directory.
const JUNK: &str = "ignored, and its directory was deleted";

impl Capabilities {
    /// Returns whether a file of this side may change without a change of its fingerprint.
    pub fn is_racy(&self, fingerprint: &Fingerprint, now: i64) -> bool {
        !self.has_versions && is_racy(fingerprint, now.saturating_add(self.clock_ahead))
    }
}

/// Returns whether a file may change without a change of its fingerprint.
pub fn is_racy(fingerprint: &Fingerprint, now: i64) -> bool {
    // Without any time, only the size is known.
    let is_unknown = fingerprint.modified == 0 && fingerprint.changed.is_none();
    is_unknown || fingerprint.modified.saturating_add(RACY_NS) > now
}

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod model;

#[cfg(test)]
mod tests;

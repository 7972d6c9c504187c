//! Finds what was moved on one side, before the run is planned.
//!
//! A moved file, link or directory is renamed on the other side, too, instead of being copied and
//! deleted. The trees and the baseline are changed as if that had happened already, and the planner
//! then finds each moved entry at its new place on both sides. A move that is not found, or that
//! cannot be made, is planned as a deletion and a new entry.

mod contents;
mod directories;
mod order;
mod places;

use std::borrow::Cow;
use std::collections::HashMap;

use crate::endpoint::Capabilities;
use crate::options::Mode;
use crate::plan::{Cancelled, Hash, Operation};
use crate::state::BaseChildren;
use crate::tree::{Children, Digest, Name, Side};
use contents::Contents;
pub(crate) use order::adapt;
use order::{Mover, Steps};
use places::Found;

/// Finds moves.
#[derive(Clone, Copy, Debug)]
pub struct Finder<'a> {
    /// The mode of the run. In one-way modes, only the right side is changed.
    pub mode: Mode,
    /// The capabilities of the sides.
    pub capabilities: [Capabilities; 2],
    /// How reasons name the sides.
    pub labels: [&'static str; 2],
    /// New entries, by key, with another name of their directory that differs only in case.
    pub alike: &'a HashMap<Name, Name>,
}

/// The moves of a run.
#[derive(Debug, Default)]
pub struct Moves {
    /// The steps, in this order: moves, and directories that are created for them.
    pub steps: Vec<Operation>,
    /// The state before the moves.
    pub before: Before,
}

/// The similarity of the sides to the baseline before the moves, for the safety stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before {
    /// The number of top-level entries of the baseline.
    pub entries: usize,
    /// Whether each side has one of them.
    pub has_synced: [bool; 2],
    /// The number of files and links that are moved on each side.
    pub moved: [u64; 2],
}

impl Finder<'_> {
    /// Finds the moves, and makes them in the trees and in the baseline.
    ///
    /// # Errors
    /// Fails if the user cancels.
    pub fn find(
        &self,
        sides: [&mut Children; 2],
        base: &mut Cow<'_, BaseChildren>,
        hash: &mut Hash<'_>,
    ) -> Result<Moves, Cancelled> {
        let [left, right] = sides;
        let has_synced = |side: &Children| base.keys().any(|key| side.contains_key(key));
        let before = Before {
            entries: base.len(),
            has_synced: [has_synced(left), has_synced(right)],
            moved: [0; 2],
        };
        let mut moves = Moves { steps: Vec::new(), before };
        let mut known: HashMap<(Side, String), Digest> = HashMap::new();
        let mut hash = |side: Side, path: &str| {
            let key = (side, path.to_owned());
            if let Some(digest) = known.get(&key) {
                return Ok(*digest);
            }
            let digest = hash(side, path)?;
            known.insert(key, digest);
            Ok(digest)
        };
        let mut rest = Side::BOTH.to_vec();
        while let Some((from, steps)) = self.next(&mut rest, [left, right], base, &mut hash)? {
            let (source, target) = match from {
                Side::Left => (&*left, &mut *right),
                Side::Right => (&*right, &mut *left),
            };
            let (steps, moved) = Mover::new(self, from, source, target, base.to_mut()).make(steps);
            if !steps.is_empty() {
                // They may show moves of the other side.
                rest = vec![from.other(), from];
            }
            moves.steps.extend(steps);
            moves.before.moved[from.other().index()] += moved;
        }
        Ok(moves)
    }

    /// Returns the moves of the next side that has any, and removes the sides up to it.
    fn next(
        &self,
        sides: &mut Vec<Side>,
        trees: [&Children; 2],
        base: &BaseChildren,
        hash: &mut Hash<'_>,
    ) -> Result<Option<(Side, Steps)>, Cancelled> {
        sides.retain(|side| self.is_possible(*side));
        if sides.is_empty() || base.is_empty() {
            return Ok(None);
        }
        let mut found = Found::search(trees, base);
        while !sides.is_empty() {
            let from = sides.remove(0);
            if !found.may_have_moves(from) {
                continue;
            }
            let mut contents = Contents::new(from, self.capabilities, hash);
            let matches = contents.find(&mut found)?;
            if !matches.pairs.is_empty() {
                let directories = directories::find(&found.places, &matches, &mut contents)?;
                return Ok(Some((from, Steps::new(&found.places, &matches, &directories))));
            }
        }
        Ok(None)
    }

    /// Returns whether moves of a side can be recognized, and made on the other one.
    fn is_possible(&self, from: Side) -> bool {
        let is_permitted = match self.mode {
            Mode::TwoWaySafe | Mode::PreferLeft | Mode::PreferRight | Mode::Newer => true,
            Mode::OneWaySafe | Mode::Mirror => from == Side::Left,
        };
        let [here, there] = [from, from.other()].map(|side| &self.capabilities[side.index()]);
        is_permitted && there.renames && (here.hashes_cheaply || here.has_ids)
    }
}

#[cfg(test)]
mod tests;

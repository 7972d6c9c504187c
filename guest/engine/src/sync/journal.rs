//! The moves of a run that has not saved its state yet.
//!
//! Between a move and the next state, a side has entries in places that the baseline does not know:
//! a killed run would leave entries that look new, and changes in them would look like conflicts.
//! The journal is written before the first move, and removed after the state is saved with all
//! moves. The next run makes those that were completed in the baseline.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{ErrorCode, Result};

use super::saved_state::{MAX_STATE_BYTES, remove_if_there, replace};
use crate::options::Options;
use crate::pair::Pair;
use crate::plan::{Action, Plan, moves};
use crate::seal::{seal, unseal};
use crate::state::{self, BaseChildren};
use crate::tree::{Children, Side, moved_path};

/// The first bytes of the file: its type and version.
const MAGIC: &[u8] = b"syncmgr-moves\0\0\x01";

/// Moves, in their order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Journal {
    /// The ids of the two directories.
    roots: [[u8; 16]; 2],
    moves: Vec<Move>,
    #[serde(skip)]
    exists: bool,
}

/// A move, by keys.
#[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Move {
    is_right: bool,
    from: String,
    to: String,
}

impl Journal {
    /// Loads the journal of an interrupted run. Without one, and with a damaged one, the next run
    /// compares contents.
    ///
    /// # Errors
    /// Fails if there is one that cannot be read.
    pub(super) fn load(storage: &Directory, pair: &Pair) -> Result<Self> {
        let roots = pair.roots();
        let none = |exists| Self { roots, moves: Vec::new(), exists };
        let file = match storage.open_file(&name(pair)) {
            Err(error) if error.code == ErrorCode::NotFound => return Ok(none(false)),
            file => file?,
        };
        Ok(match unseal::<Self>(MAGIC, &file.read_to_end(MAX_STATE_BYTES)?) {
            Some(journal) if journal.roots == roots => Self { exists: true, ..journal },
            Some(mut journal) if journal.roots == [roots[1], roots[0]] => {
                journal.moves.iter_mut().for_each(|one| one.is_right = !one.is_right);
                Self { roots, moves: journal.moves, exists: true }
            }
            Some(_) | None => none(true),
        })
    }

    /// Forgets the moves that the baseline has already: in a later run, an entry may move back and
    /// be moved again. A move may begin where an earlier one ends.
    fn forget_known(&mut self, base: &BaseChildren) {
        let mut kept: Vec<Move> = Vec::new();
        for one in std::mem::take(&mut self.moves) {
            let follows = |earlier: &Move| moved_path(&one.from, &earlier.to, "").is_some();
            if state::entry(base, &one.from).is_some() || kept.iter().any(follows) {
                kept.push(one);
            }
        }
        self.moves = kept;
    }

    /// Makes the moves that were completed in the baseline.
    pub(super) fn replay(&mut self, sides: [&Children; 2], base: &mut Cow<'_, BaseChildren>) {
        self.forget_known(base);
        for (index, Move { is_right, from, to }) in self.moves.iter().enumerate() {
            let on = if *is_right { Side::Right } else { Side::Left };
            let side = sides[on.index()];
            let Some(node) = side.at(to) else { continue };
            // A later move may have filled the old place again.
            let is_filled = || {
                let later = self.moves[index + 1..].iter();
                later.filter(|one| one.is_right == *is_right).any(|one| one.to == *from)
            };
            let is_known = state::entry(base, from).is_some() && state::entry(base, to).is_none();
            if !is_known || (side.at(from).is_some() && !is_filled()) {
                continue;
            }
            let base = base.to_mut();
            if let Some(mut moved) = state::remove(base, from) {
                moves::adapt(&mut moved, node, on.other(), false);
                state::insert(base, to, moved);
            }
        }
    }

    /// Adds the moves of a plan before they are made.
    ///
    /// # Errors
    /// Fails if the journal cannot be written.
    pub(super) fn add(
        &mut self,
        plan: &Plan,
        storage: &Directory,
        pair: &Pair,
        options: &Options,
    ) -> Result<()> {
        let new = plan.moves.iter().filter_map(|operation| {
            let Action::Move { on, old_key, .. } = &operation.action else { return None };
            let (from, to) = (old_key.to_string(), operation.key.to_string());
            Some(Move { is_right: *on == Side::Right, from, to })
        });
        let new: Vec<_> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        // Moves that were tried before become the last ones.
        let again: HashSet<&Move> = new.iter().collect();
        self.moves.retain(|old| !again.contains(old));
        self.moves.extend(new);
        self.exists = true;
        let bytes = seal(MAGIC, self)?;
        replace(storage, pair, &name(pair), options, |file| file.write(&bytes).map(drop))
            .map_err(|error| error.context("cannot record the moves"))
    }

    /// Removes the journal, because the state has its moves.
    ///
    /// # Errors
    /// Fails if that is impossible.
    pub(super) fn remove(&self, storage: &Directory, pair: &Pair) -> Result<()> {
        match self.exists {
            true => remove_if_there(storage, &name(pair)),
            false => Ok(()),
        }
    }
}

fn name(pair: &Pair) -> String {
    format!("{}.moves", pair.state_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(from: &str, to: &str) -> Move {
        Move { is_right: false, from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn a_damaged_journal_is_not_used() {
        let moves = vec![one("a", "b"), one("c/d", "e")];
        let journal = Journal { roots: [[1; 16], [2; 16]], moves, exists: true };
        let bytes = seal(MAGIC, &journal).unwrap();
        assert_eq!(unseal::<Journal>(MAGIC, &bytes).unwrap().moves, journal.moves);
        for length in 0..bytes.len() {
            assert!(unseal::<Journal>(MAGIC, &bytes[..length]).is_none(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(unseal::<Journal>(MAGIC, &flipped).is_none(), "{at}");
        }
    }

    #[test]
    fn moves_that_the_baseline_has_are_forgotten() {
        let mut world = crate::plan::model::World::default();
        for side in Side::BOTH {
            world.edit(side, "b:1 c/d:2");
        }
        world.sync(crate::options::Mode::TwoWaySafe);
        let moves = vec![one("a", "b"), one("c", "e"), one("e/d", "f"), one("x/y", "z")];
        let mut journal = Journal { moves, ..Journal::default() };
        journal.forget_known(&world.base);
        assert_eq!(journal.moves, [one("c", "e"), one("e/d", "f")]);
    }
}

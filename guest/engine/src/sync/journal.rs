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
use syncmgr_plugin::{Error, Result};

use super::saved_state::{MAX_STATE_BYTES, remove_if_there, replace};
use crate::options::Options;
use crate::pair::Pair;
use crate::plan::{Action, Plan, moves};
use crate::state::{self, BaseChildren};
use crate::tree::{Children, Side};

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
    /// Loads the journal of an interrupted run. Without one, the next run compares contents.
    pub(super) fn load(storage: &Directory, pair: &Pair) -> Self {
        let roots = pair.roots();
        let none = |exists| Self { roots, moves: Vec::new(), exists };
        let Ok(file) = storage.open_file(&name(pair)) else { return none(false) };
        let bytes = file.read_to_end(MAX_STATE_BYTES).unwrap_or_default();
        match postcard::from_bytes::<Self>(&bytes) {
            Ok(journal) if journal.roots == roots => Self { exists: true, ..journal },
            Ok(mut journal) if journal.roots == [roots[1], roots[0]] => {
                journal.moves.iter_mut().for_each(|one| one.is_right = !one.is_right);
                Self { roots, moves: journal.moves, exists: true }
            }
            Ok(_) | Err(_) => none(true),
        }
    }

    /// Makes the moves that were completed in the baseline.
    pub(super) fn replay(&self, sides: [&Children; 2], base: &mut Cow<'_, BaseChildren>) {
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
        // Those that were tried before are the last ones again.
        let again: HashSet<&Move> = new.iter().collect();
        self.moves.retain(|old| !again.contains(old));
        self.moves.extend(new);
        self.exists = true;
        let bytes = postcard::to_stdvec(self).map_err(|error| Error::failed(error.to_string()))?;
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

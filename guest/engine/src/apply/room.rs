//! Postpones operations for which there is no space, or whose entry is locked, and retries them at
//! the end: deletions may have freed some space.

use std::collections::{BTreeMap, BTreeSet};

use syncmgr_plugin::{Error, ErrorCode, Interrupt};

use super::{Applier, words};
use crate::plan::Operation;
use crate::state::BaseChildren;
use crate::tree::{Name, Side};

/// Postponed operations.
#[derive(Default)]
pub(super) struct Room {
    waiting: Vec<Operation>,
    /// Their keys and reasons.
    keys: BTreeMap<(Side, Name), ErrorCode>,
    /// The smallest file of each side that did not fit, since the last removal.
    too_large: [Option<u64>; 2],
    /// Whether operations that fail again are left for the next run.
    is_last_try: bool,
    /// Keys of operations for which the trash had no space.
    trash_full: BTreeSet<Name>,
    /// The number of operations without space that are left for the next run.
    lacked: u64,
}

/// Returns whether an operation that fails with this code is postponed.
pub(super) fn is_postponed(code: ErrorCode) -> bool {
    [ErrorCode::NoSpace, ErrorCode::Busy].contains(&code)
}

impl Room {
    /// Returns the reason if an operation does not fit, or depends on a postponed one.
    fn must_wait(&self, operation: &Operation) -> Option<ErrorCode> {
        let on = operation.side();
        let is_too_large = match (operation.copied_bytes(), self.too_large[on.index()]) {
            (Some(size), Some(smallest)) => size >= smallest,
            (Some(_) | None, _) => false,
        };
        match is_too_large {
            true => Some(ErrorCode::NoSpace),
            false if self.keys.is_empty() => None,
            false => self.near(on, &operation.key),
        }
    }

    /// Returns the reason why the entry, a parent of it, or an entry in it is postponed.
    fn near(&self, on: Side, key: &Name) -> Option<ErrorCode> {
        let mut above = Some(&**key);
        while let Some(path) = above {
            if let Some(reason) = self.keys.get(&(on, path.into())) {
                return Some(*reason);
            }
            above = path.rsplit_once('/').map(|(parent, _)| parent);
        }
        let below = format!("{key}/");
        let mut from = self.keys.range((on, Name::from(&*below))..);
        let ((side, next), reason) = from.next()?;
        (*side == on && next.starts_with(&below)).then_some(*reason)
    }

    /// Returns the postponed operations.
    pub(super) fn waiting(&self) -> &[Operation] {
        &self.waiting
    }

    /// Records that the trash has no space for what an operation replaces or removes.
    pub(super) fn trash_is_full(&mut self, key: &Name) {
        self.trash_full.insert(Name::clone(key));
    }

    /// Records that an entry may have been removed from a side.
    pub(super) fn made(&mut self, on: Side) {
        self.too_large[on.index()] = None;
    }
}

impl Applier<'_> {
    /// Postpones an operation that does not fit yet, or that depends on a postponed one. Returns
    /// whether it did.
    pub(super) fn must_wait(&mut self, operation: &Operation) -> bool {
        let Some(reason) = self.room.must_wait(operation) else { return false };
        let why = match reason == ErrorCode::NoSpace {
            true => "no space left for it, or for a step that it depends on; free some space",
            false => "it, or an entry that it depends on, is in use; the next run tries again",
        };
        self.postpone(operation, &Error::new(reason, why));
        true
    }

    /// Records that there is no space for an operation, or that its entry is in use.
    pub(super) fn postpone(&mut self, operation: &Operation, error: &Error) {
        let (on, key) = (operation.side(), &operation.key);
        let is_trash = self.room.trash_full.remove(key);
        let copied = operation.copied_bytes();
        let lacks_room = error.code == ErrorCode::NoSpace;
        if let (Some(size), true, false) = (copied, lacks_room, is_trash) {
            let smallest = &mut self.room.too_large[on.index()];
            *smallest = Some(smallest.map_or(size, |smallest| smallest.min(size)));
        }
        self.room.keys.insert((on, Name::clone(key)), error.code);
        // No later operation frees space in the trash, so the copy is not repeated.
        if self.room.is_last_try || (is_trash && copied.is_some()) {
            self.room.lacked += u64::from(lacks_room);
            self.left.add(operation, Some(error));
            self.done.failed.push(words::explain(operation, self.pair, error));
        } else {
            self.room.waiting.push(operation.clone());
        }
    }

    /// Retries the postponed operations.
    pub(super) fn try_again(&mut self, next: &mut BaseChildren) {
        let waiting = std::mem::take(&mut self.room.waiting);
        self.room.keys.clear();
        self.room.too_large = [None; 2];
        self.room.is_last_try = true;
        for operation in &waiting {
            self.step(operation, next);
        }
        self.finish_copies(next);
    }

    /// Fails if operations were left for the next run for lack of space.
    pub(super) fn no_room(&self) -> Result<(), Interrupt> {
        match self.room.lacked {
            0 => Ok(()),
            lacked => {
                let message = format!(
                    "no space for {lacked} of the changes; free space where the warnings say, then run \
                     again"
                );
                Err(Interrupt::Failed(Error::new(ErrorCode::NoSpace, message)))
            }
        }
    }
}

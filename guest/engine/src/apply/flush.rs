//! Flushes directories in which entries were created, renamed or removed, many at a time.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::time::{Duration, Instant};

use syncmgr_plugin::Error;

use super::Applier;
use crate::tree::{Name, Side, moved_path};

/// The initial and the maximum number of directories that are flushed together. They are open.
const FIRST: usize = 8;
const MOST: usize = 64;
/// The duration up to which the next batch is larger.
const PATIENCE: Duration = Duration::from_millis(100);
/// The time limit of flushing after a cancellation.
const AFTER_CANCELLATION: Duration = Duration::from_millis(300);

/// Directories to flush.
#[derive(Default)]
pub(super) struct Dirty {
    sides: BTreeMap<(Side, String), Changes>,
}

/// The entries that enter the baseline only if the directory is flushed.
#[derive(Default)]
struct Changes {
    keys: Vec<Name>,
    /// Entries that were moved from or to it.
    moves: Vec<Name>,
    /// Whether an entry was moved to it. It must be permanent there before its old name is removed.
    is_first: bool,
}

impl Dirty {
    /// Records that an entry of a side was created, renamed or removed in a directory.
    pub(super) fn touch(&mut self, side: Side, directory: &str, key: &Name) {
        self.changes(side, directory).keys.push(Name::clone(key));
    }

    /// Records that an entry of a side was moved from one directory to another one.
    pub(super) fn touch_move(&mut self, side: Side, [from, to]: [&str; 2], key: &Name) {
        self.changes(side, from).moves.push(Name::clone(key));
        let changes = self.changes(side, to);
        changes.moves.push(Name::clone(key));
        changes.is_first = true;
    }

    fn changes(&mut self, side: Side, directory: &str) -> &mut Changes {
        self.sides.entry((side, directory.to_owned())).or_default()
    }

    /// Updates the paths after an entry was moved.
    pub(super) fn moved(&mut self, side: Side, old: &str, new: &str) {
        let is_in =
            |(dirty, path): &(Side, String)| *dirty == side && moved_path(path, old, new).is_some();
        let from = (side, old.to_owned());
        let inside = self.sides.range(from..).map(|(at, _)| at);
        let inside: Vec<_> = inside
            .take_while(|(dirty, path)| *dirty == side && path.starts_with(old))
            .filter(|at| is_in(at))
            .cloned()
            .collect();
        for at in inside {
            let path = moved_path(&at.1, old, new).unwrap_or_default();
            if let Some(changes) = self.sides.remove(&at) {
                let Changes { keys, moves, is_first } = changes;
                let known = self.changes(side, &path);
                known.keys.extend(keys);
                known.moves.extend(moves);
                known.is_first |= is_first;
            }
        }
    }
}

/// A directory to flush.
struct Pending {
    is_trash: bool,
    side: Side,
    path: String,
    changes: Changes,
}

impl Applier<'_> {
    /// Flushes the directories. The entries of one that fails do not enter the baseline.
    pub(super) fn flush(&mut self) {
        let durable = self.options.durable;
        let flushes = Side::BOTH.map(|side| self.end_of(side).flushes(durable));
        let mut pending = Vec::new();
        // The trash comes first: its entries must be durable before their old names are removed.
        for side in Side::BOTH.into_iter().filter(|side| flushes[side.index()]) {
            let changed = self.end_of(side).take_changed_trash().into_iter();
            let changes = Changes::default;
            pending.extend(changed.map(|path| Pending {
                is_trash: true,
                side,
                path,
                changes: changes(),
            }));
        }
        let dirty = std::mem::take(&mut self.dirty).sides.into_iter();
        pending.extend(dirty.map(|((side, path), changes)| Pending {
            is_trash: false,
            side,
            path,
            changes,
        }));
        pending.retain(|pending| flushes[pending.side.index()]);
        pending.sort_by_key(|pending| !(pending.is_trash || pending.changes.is_first));
        let (total, mut done) = (pending.len(), 0);
        let (mut size, mut deadline) = (FIRST, None);
        let mut rest = pending.into_iter().peekable();
        while rest.peek().is_some() {
            let advanced =
                self.context.advance(0, || format!("flushing directory {done} of {total}"));
            if self.ended.is_ok() {
                self.ended = advanced;
            }
            if self.ended.is_err() {
                let deadline = deadline.get_or_insert_with(|| Instant::now() + AFTER_CANCELLATION);
                if Instant::now() >= *deadline {
                    break;
                }
            }
            let batch = next_batch(&mut rest, size);
            done += batch.len();
            let begun = Instant::now();
            self.flush_batch(batch);
            size = match begun.elapsed() > PATIENCE {
                true => (size / 2).max(1),
                false => (size * 2).min(MOST),
            };
        }
        rest.for_each(|pending| self.forget(pending.changes));
    }

    /// Flushes directories of one side together.
    fn flush_batch(&mut self, batch: Vec<Pending>) {
        let Some(first) = batch.first() else { return };
        let (side, is_trash) = (first.side, first.is_trash);
        let paths: Vec<_> = batch.iter().map(|pending| &*pending.path).collect();
        let answers = self.end_of(side).flush_directories(&paths, is_trash);
        for (pending, answer) in batch.into_iter().zip(answers) {
            if let Err(error) = answer {
                self.is_not_flushed(pending, &error);
            }
        }
    }

    fn is_not_flushed(&mut self, pending: Pending, error: &Error) {
        let what = if pending.is_trash { "flush the trash of" } else { "flush" };
        self.cannot(what, &pending.path, pending.side, error);
        self.forget(pending.changes);
    }

    /// Records that changes may not be permanent.
    fn forget(&mut self, changes: Changes) {
        self.left.undone.extend(changes.keys);
        self.left.unmoved.extend(changes.moves);
    }
}

/// Takes the next directories of one side, at most `size`.
fn next_batch(rest: &mut Peekable<impl Iterator<Item = Pending>>, size: usize) -> Vec<Pending> {
    let mut batch: Vec<Pending> = Vec::with_capacity(size);
    while batch.len() < size
        && let Some(next) = rest.next_if(|next| {
            let is_same = |one: &Pending| (one.side, one.is_trash) == (next.side, next.is_trash);
            batch.first().is_none_or(is_same)
        })
    {
        batch.push(next);
    }
    batch
}

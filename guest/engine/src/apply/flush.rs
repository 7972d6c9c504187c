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
    sides: BTreeMap<(Side, String), Keys>,
}

/// The entries that enter the baseline only if the directory is flushed.
type Keys = Vec<Name>;

impl Dirty {
    /// Records that an entry of a side was created, renamed or removed in a directory.
    pub(super) fn touch(&mut self, side: Side, directory: &str, key: &Name) {
        match self.sides.get_mut(&(side, directory.to_owned())) {
            Some(keys) => keys.push(Name::clone(key)),
            None => {
                self.sides.insert((side, directory.to_owned()), vec![Name::clone(key)]);
            }
        }
    }

    /// Updates the paths after a directory was renamed.
    pub(super) fn moved(&mut self, side: Side, old: &str, new: &str) {
        let sides = std::mem::take(&mut self.sides).into_iter();
        self.sides = sides
            .map(|((dirty, path), keys)| match dirty == side {
                true => ((dirty, moved_path(&path, old, new).unwrap_or(path)), keys),
                false => ((dirty, path), keys),
            })
            .collect();
    }
}

/// A directory to flush.
struct Pending {
    is_trash: bool,
    side: Side,
    path: String,
    keys: Keys,
}

impl Applier<'_> {
    /// Flushes the directories. The entries of one that fails do not enter the baseline.
    pub(super) fn flush(&mut self) {
        if !self.options.durable {
            return;
        }
        let mut pending = Vec::new();
        // The trash comes first: its entries must be durable before their old names are removed.
        for side in Side::BOTH {
            let changed = self.end_of(side).take_changed_trash().into_iter();
            let keys = Keys::new;
            pending.extend(changed.map(|path| Pending {
                is_trash: true,
                side,
                path,
                keys: keys(),
            }));
        }
        let dirty = std::mem::take(&mut self.dirty).sides.into_iter();
        pending.extend(dirty.map(|((side, path), keys)| Pending {
            is_trash: false,
            side,
            path,
            keys,
        }));
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
        self.undone.extend(rest.flat_map(|pending| pending.keys));
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
        self.undone.extend(pending.keys);
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

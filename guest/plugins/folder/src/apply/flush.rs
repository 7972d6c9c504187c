//! Flushes directories in which entries were created, renamed or removed, many at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use syncmgr_plugin::directories::{self, Directory};
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::{Applier, words};
use crate::tree::{Name, Side};

/// The initial and the maximum number of directories that are flushed together. They are open.
const FIRST: usize = 8;
const MOST: usize = 64;
/// The duration up to which the next batch is larger.
const PATIENCE: Duration = Duration::from_millis(100);
/// The time limit of flushing after a cancellation.
const AFTER_CANCELLATION: Duration = Duration::from_millis(300);

/// Directories to flush. The trash comes first: its entries must be durable before their old names
/// are removed.
#[derive(Default)]
pub(super) struct Dirty {
    trash: BTreeMap<(Side, String), Keys>,
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

    /// Records that an entry was moved to a directory of the trash, which may be new, like its
    /// parents.
    pub(super) fn touch_trash(&mut self, side: Side, directory: &str) {
        let mut path = directory;
        while self.trash.insert((side, path.to_owned()), Keys::new()).is_none() && !path.is_empty()
        {
            path = crate::walker::split(path).0;
        }
    }
}

/// Returns the new path of an entry after a directory, which may contain it, was renamed.
pub(super) fn moved_path(path: &str, old: &str, new: &str) -> Option<String> {
    let rest = path.strip_prefix(old)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{new}{rest}"))
}

/// A directory to flush.
struct Pending {
    is_trash: bool,
    side: Side,
    path: String,
    keys: Keys,
}

impl Pending {
    fn new(is_trash: bool, ((side, path), keys): ((Side, String), Keys)) -> Self {
        Self { is_trash, side, path, keys }
    }
}

impl Applier<'_> {
    /// Flushes the directories. The entries of one that fails do not enter the baseline.
    pub(super) fn flush(&mut self) {
        if !self.options.durable {
            return;
        }
        let dirty = std::mem::take(&mut self.dirty);
        let trash = dirty.trash.into_iter().map(|found| Pending::new(true, found));
        let sides = dirty.sides.into_iter().map(|found| Pending::new(false, found));
        let pending: Vec<_> = trash.chain(sides).collect();
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
            let batch: Vec<_> = rest.by_ref().take(size).collect();
            done += batch.len();
            let begun = Instant::now();
            let took_all = self.flush_batch(batch);
            size = match begun.elapsed() > PATIENCE || !took_all {
                true => (size / 2).max(1),
                false => (size * 2).min(MOST),
            };
        }
        self.undone.extend(rest.flat_map(|pending| pending.keys));
    }

    /// Flushes some directories together. Returns whether all of them could be open at once.
    fn flush_batch(&mut self, batch: Vec<Pending>) -> bool {
        let mut open: Vec<(Pending, Directory)> = Vec::with_capacity(batch.len());
        let mut took_all = true;
        for pending in batch {
            let mut opened = self.open_pending(&pending);
            if opened.as_ref().is_err_and(|error| error.code == ErrorCode::Failed)
                && !open.is_empty()
            {
                // There may be too many open files.
                self.flush_open(std::mem::take(&mut open));
                took_all = false;
                opened = self.open_pending(&pending);
            }
            match opened {
                Ok(Some(directory)) => open.push((pending, directory)),
                // It was removed since, and there may be a file in its place.
                Ok(None) => {}
                Err(error) if matches!(error.code, ErrorCode::NotFound | ErrorCode::Changed) => {}
                Err(error) => self.is_not_flushed(pending, &error),
            }
        }
        self.flush_open(open);
        took_all
    }

    fn open_pending(&mut self, pending: &Pending) -> Result<Option<Directory>> {
        let directory = match pending.is_trash {
            true => match self.trash[pending.side.index()].directory(&pending.path) {
                Some(directory) => directory?,
                None => return Ok(None),
            },
            false => self.roots[pending.side.index()].directory(&pending.path, false)?,
        };
        directory.reopen().map(Some)
    }

    fn flush_open(&mut self, open: Vec<(Pending, Directory)>) {
        let handles: Vec<_> = open.iter().map(|(_, directory)| directory).collect();
        let answers = directories::flush_directories(&handles);
        for ((pending, _), answer) in open.into_iter().zip(answers) {
            if let Err(error) = answer {
                self.is_not_flushed(pending, &error);
            }
        }
    }

    fn is_not_flushed(&mut self, pending: Pending, error: &Error) {
        let path: &str = if pending.path.is_empty() { "the top" } else { &pending.path };
        let what = if pending.is_trash { "flush the trash of" } else { "flush" };
        self.done.failed.push(words::cannot(what, path, pending.side, self.pair, error).message);
        self.undone.extend(pending.keys);
    }
}

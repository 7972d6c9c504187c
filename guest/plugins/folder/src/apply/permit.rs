//! Directories that their owner has made read-only: they are made writable while operations work in
//! them. A note in the plugin's storage records their permissions first, so that the run after a
//! killed one restores them.

use syncmgr_plugin::directories::{Directory, EntryKind, File};
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::flush::moved_path;
use super::{Applier, words};
use crate::pair::Pair;
use crate::scan;
use crate::tree::Side;
use crate::walker::{Walker, split};

/// A note longer than this is damaged.
const MAX_NOTE_BYTES: usize = 16 << 20;
/// The permissions that the owner needs to change a directory.
const OPEN: u16 = 0o700;

/// The directories that were made writable, and the note about them.
#[derive(Default)]
pub(super) struct Opened {
    directories: Vec<(Side, String, u16)>,
    note: Option<File>,
}

impl Opened {
    /// Updates the paths after a directory was renamed.
    pub(super) fn moved(&mut self, side: Side, old: &str, new: &str) {
        for (_, path, _) in self.directories.iter_mut().filter(|(open, _, _)| *open == side) {
            if let Some(moved) = moved_path(path, old, new) {
                *path = moved;
            }
        }
    }
}

fn note_name(pair: &Pair) -> String {
    format!("{}.modes", pair.state_name())
}

/// One directory in the note. The side is identified by the id of its root, because the sides may
/// be swapped in the next run.
fn line(pair: &Pair, on: Side, path: &str, mode: u16) -> String {
    format!("{} {mode:o} {path}\0", pair.grants[on.index()].id.simple())
}

/// Parses a note. The last line may be truncated; its directory was not changed yet.
fn lines(pair: &Pair, note: &str) -> Vec<(Side, String, u16)> {
    let whole = note.rfind('\0').map_or("", |end| &note[..end]);
    let read = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let root = words.next()?;
        let mode = u16::from_str_radix(words.next()?, 8).ok()?;
        let path = words.next()?.to_owned();
        let is_root = |on: &Side| pair.grants[on.index()].id.simple().to_string() == root;
        Side::BOTH.into_iter().find(is_root).map(|on| (on, path, mode))
    };
    whole.split('\0').filter_map(read).collect()
}

/// Restores the permissions of directories that a killed run left writable.
pub(crate) fn repair(storage: &Directory, pair: &Pair, roots: &[Directory; 2]) -> Result<()> {
    let name = note_name(pair);
    let note = match storage.open_file(&name) {
        Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
        file => file?.read_to_end(MAX_NOTE_BYTES)?,
    };
    let [left, right] = roots;
    let mut walkers = [Walker::new(Some(left.reopen()?)), Walker::new(Some(right.reopen()?))];
    for (on, path, mode) in lines(pair, &String::from_utf8_lossy(&note)).into_iter().rev() {
        // If that is no longer possible, its permissions stay as they are.
        let _ = shut(&mut walkers[on.index()], &path, mode);
    }
    storage.remove_file(&name)
}

/// Restores the permissions of a directory that was made writable.
fn shut(root: &mut Walker, path: &str, mode: u16) -> Result<()> {
    let (parent, name) = split(path);
    let directory = root.directory(parent, false)?;
    match directory.stat(name)? {
        Some(found) if found.kind == EntryKind::Directory => {
            // The plan or another program has set other permissions.
            match scan::mode(&found) == Some(mode | OPEN) {
                true => directory.set_mode(name, mode.into()),
                false => Ok(()),
            }
        }
        Some(_) | None => Ok(()),
    }
}

impl Applier<'_> {
    /// Makes a directory writable after a denied operation. Returns whether that changed anything.
    pub(super) fn open_up(&mut self, on: Side, path: &str) -> Result<bool> {
        let is_it = |(side, open, _): &(Side, String, u16)| *side == on && open == path;
        if self.opened.directories.iter().any(is_it) {
            return Ok(false);
        }
        if path.is_empty() {
            let mode = scan::mode(&self.tops[on.index()].metadata()?);
            let Some(mode) = mode.filter(|mode| mode & 0o222 == 0) else { return Ok(false) };
            let message = format!("the directory itself is not writable (mode {mode:o})");
            return Err(Error::new(ErrorCode::AccessDenied, message));
        }
        let (parent, name) = split(path);
        let found = self.roots[on.index()].directory(parent, false)?.stat(name)?;
        let mode = found.as_ref().and_then(scan::mode).filter(|mode| mode & 0o300 != 0o300);
        let Some(mode) = mode else { return Ok(false) };
        self.note_mode(on, path, mode)?;
        let directory = self.roots[on.index()].directory(parent, false)?;
        directory
            .set_mode(name, (mode | OPEN).into())
            .map_err(|error| words::not_writable(path, mode, &error))?;
        self.opened.directories.push((on, path.to_owned(), mode));
        Ok(true)
    }

    fn note_mode(&mut self, on: Side, path: &str, mode: u16) -> Result<()> {
        let note = match self.opened.note.take() {
            Some(note) => note,
            None => self.storage.create_file(&note_name(self.pair))?,
        };
        let note = self.opened.note.insert(note);
        note.write(line(self.pair, on, path, mode).as_bytes())?;
        if self.options.durable {
            note.flush()?;
            self.storage.flush()?;
        }
        Ok(())
    }

    /// Records that the permissions of a directory are final.
    pub(super) fn is_settled(&mut self, on: Side, path: &str) {
        self.opened.directories.retain(|(side, open, _)| *side != on || open != path);
    }

    /// Restores the permissions of all directories that were made writable.
    pub(super) fn shut_all(&mut self) {
        for (on, path, mode) in std::mem::take(&mut self.opened.directories).into_iter().rev() {
            match shut(&mut self.roots[on.index()], &path, mode) {
                Ok(()) => {}
                Err(error) if error.code == ErrorCode::NotFound => {}
                Err(error) => {
                    let what = "restore the permissions of";
                    self.done
                        .failed
                        .push(words::cannot(what, &path, on, self.pair, &error).message);
                }
            }
        }
    }

    /// Removes the note when all its entries are restored.
    pub(super) fn forget_note(&mut self) {
        if self.opened.note.take().is_some() {
            // The next run can still restore them.
            let _ = self.storage.remove_file(&note_name(self.pair));
        }
    }
}

#[cfg(test)]
mod tests {
    use syncmgr_plugin::directories::{Access, Grant};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_note_round_trips_even_truncated_or_from_the_other_side() {
        let grant = |name: &str, id| Grant {
            name: name.to_owned(),
            access: Access::ReadWrite,
            id: Uuid::from_u128(id),
        };
        let pair = Pair { key: None, grants: [grant("left", 1), grant("right", 2)] };
        let swapped = Pair { key: None, grants: [grant("left", 2), grant("right", 1)] };
        let rows =
            [(Side::Left, "a b".to_owned(), 0o555), (Side::Right, "d/new\nline".to_owned(), 0o500)];
        let note: String =
            rows.iter().map(|(on, path, mode)| line(&pair, *on, path, *mode)).collect();
        assert_eq!(lines(&pair, &note), rows);
        let other: Vec<_> =
            rows.iter().map(|(on, path, mode)| (on.other(), path.clone(), *mode)).collect();
        assert_eq!(lines(&swapped, &note), other);
        let first = line(&pair, rows[0].0, &rows[0].1, rows[0].2).len();
        for end in 0..note.len() {
            assert_eq!(lines(&pair, &note[..end]), rows[..usize::from(end >= first)]);
        }
    }
}

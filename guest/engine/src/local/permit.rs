//! Directories that their owner has made read-only: they are made writable while operations work in
//! them. A note in the plugin's storage records their permissions first, so that the run after a
//! killed one restores them.

use syncmgr_plugin::directories::{EntryKind, File};
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::walker::Walker;
use super::{Local, mode_of};
use crate::names;
use crate::tree::{moved_path, split};

/// A note longer than this is damaged.
const MAX_NOTE_BYTES: usize = 16 << 20;
/// The permissions that the owner needs to change a directory.
const OPEN: u16 = 0o700;

/// The directories that were made writable, and the note about them.
#[derive(Default)]
pub(super) struct Opened {
    directories: Vec<(String, u16)>,
    note: Option<File>,
}

impl Opened {
    /// Updates the paths after a directory was renamed.
    pub(super) fn moved(&mut self, old: &str, new: &str) {
        for (path, _) in &mut self.directories {
            if let Some(moved) = moved_path(path, old, new) {
                *path = moved;
            }
        }
    }

    /// Records that the permissions of a directory are final.
    pub(super) fn is_settled(&mut self, path: &str) {
        self.directories.retain(|(open, _)| open != path);
    }
}

/// One directory in the note.
fn line(path: &str, mode: u16) -> String {
    format!("{mode:o} {path}\0")
}

/// Parses a note. The last line may be truncated; its directory was not changed yet.
fn lines(note: &str) -> Vec<(String, u16)> {
    let whole = note.rfind('\0').map_or("", |end| &note[..end]);
    let read = |line: &str| {
        let (mode, path) = line.split_once(' ')?;
        Some((path.to_owned(), u16::from_str_radix(mode, 8).ok()?))
    };
    whole.split('\0').filter_map(read).collect()
}

/// Restores the permissions of a directory that was made writable.
fn shut(root: &mut Walker, path: &str, mode: u16) -> Result<()> {
    let (parent, name) = split(path);
    let directory = root.directory(parent, false)?;
    match directory.stat(name)? {
        Some(found) if found.kind == EntryKind::Directory => {
            // The plan or another program has set other permissions.
            match mode_of(&found) == Some(mode | OPEN) {
                true => directory.set_mode(name, mode.into()),
                false => Ok(()),
            }
        }
        Some(_) | None => Ok(()),
    }
}

impl Local {
    fn note_name(&self) -> String {
        format!("{}.modes", self.id.simple())
    }

    /// Restores the permissions of directories that a killed run left writable.
    pub(super) fn repair_modes(&mut self) -> Result<()> {
        let name = self.note_name();
        let note = match self.storage.open_file(&name) {
            Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
            file => file?.read_to_end(MAX_NOTE_BYTES)?,
        };
        for (path, mode) in lines(&String::from_utf8_lossy(&note)).into_iter().rev() {
            // If that is no longer possible, its permissions stay as they are.
            let _ = shut(&mut self.walker, &path, mode);
        }
        self.storage.remove_file(&name)
    }

    /// Makes a directory writable after a denied operation. Returns whether that changed anything.
    pub(super) fn open_up(&mut self, path: &str) -> Result<bool> {
        if self.opened.directories.iter().any(|(open, _)| open == path) {
            return Ok(false);
        }
        if path.is_empty() {
            let mode = mode_of(&self.top.metadata()?);
            let Some(mode) = mode.filter(|mode| mode & 0o222 == 0) else { return Ok(false) };
            let message = format!("the directory itself is not writable (mode {mode:o})");
            return Err(Error::new(ErrorCode::AccessDenied, message));
        }
        let (_, name) = split(path);
        let found = self.parent(path)?.stat(name)?;
        let found = found.filter(|found| found.kind == EntryKind::Directory);
        let mode = found.as_ref().and_then(mode_of).filter(|mode| mode & 0o300 != 0o300);
        let Some(mode) = mode else { return Ok(false) };
        self.note_mode(path, mode)?;
        self.parent(path)?
            .set_mode(name, (mode | OPEN).into())
            .map_err(|error| names::not_writable(path, mode, &error))?;
        self.opened.directories.push((path.to_owned(), mode));
        Ok(true)
    }

    /// Records the permissions of directories under the paths that they are going to have.
    pub(super) fn note_moved(&mut self, old: &str, new: &str) -> Result<()> {
        let moved = |(path, mode): &(String, u16)| Some((moved_path(path, old, new)?, *mode));
        let moved: Vec<_> = self.opened.directories.iter().filter_map(moved).collect();
        moved.into_iter().try_for_each(|(path, mode)| self.note_mode(&path, mode))
    }

    fn note_mode(&mut self, path: &str, mode: u16) -> Result<()> {
        let note = match self.opened.note.take() {
            Some(note) => note,
            None => self.storage.create_file(&self.note_name())?,
        };
        let note = self.opened.note.insert(note);
        note.write(line(path, mode).as_bytes())?;
        if self.run.as_ref().is_none_or(|run| run.durable) {
            note.flush()?;
            self.storage.flush()?;
        }
        Ok(())
    }

    /// Restores the permissions of all directories that were made writable. Returns the failures.
    pub(super) fn shut_all(&mut self) -> Vec<(&'static str, String, Error)> {
        let opened = std::mem::take(&mut self.opened.directories).into_iter().rev();
        let restore = |(path, mode): (String, u16)| match shut(&mut self.walker, &path, mode) {
            Ok(()) => None,
            Err(error) if error.code == ErrorCode::NotFound => None,
            Err(error) => Some(("restore the permissions of", path, error)),
        };
        opened.filter_map(restore).collect()
    }

    /// Removes the note when all its entries are restored.
    pub(super) fn forget_note(&mut self) {
        if self.opened.note.take().is_some() {
            // The next run can still restore them.
            let _ = self.storage.remove_file(&self.note_name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_round_trips_even_truncated() {
        let rows = [("a b".to_owned(), 0o555), ("d/new\nline".to_owned(), 0o500)];
        let note: String = rows.iter().map(|(path, mode)| line(path, *mode)).collect();
        assert_eq!(lines(&note), rows);
        let first = line(&rows[0].0, rows[0].1).len();
        for end in 0..note.len() {
            assert_eq!(lines(&note[..end]), rows[..usize::from(end >= first)]);
        }
    }
}

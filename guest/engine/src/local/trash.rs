//! The trash: keeps replaced and deleted files in a directory per run that only its owner can read.

use std::collections::BTreeSet;

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Local;
use super::walker::Walker;
use crate::names;
use crate::tree::{Side, split};

/// The location of a side's trash: in the plugin's storage or, if that is on another file system,
/// so that nothing can be moved there, in the root of the side. It is created for its first entry.
#[derive(Default)]
pub(super) struct Trash {
    is_in_root: bool,
    open: Option<Walker>,
    /// Directories with new entries.
    changed: BTreeSet<String>,
}

impl Trash {
    /// The directory of this run.
    fn of_run(
        &mut self,
        [root, storage]: [&Directory; 2],
        side: Side,
        stamp: &str,
    ) -> Result<&mut Walker> {
        let walker = match self.open.take() {
            Some(walker) => walker,
            None => {
                let run = match self.is_in_root {
                    true => make(root, names::TRASH).and_then(|trash| make(&trash, stamp)),
                    false => make(storage, names::STORED_TRASH)
                        .and_then(|trash| make(&trash, stamp))
                        .and_then(|run| make(&run, side.name())),
                };
                Walker::new(Some(run?))
            }
        };
        Ok(self.open.insert(walker))
    }

    /// Returns the directory in the trash for an entry that was moved there; `None`: nothing was
    /// moved.
    pub(super) fn directory(&mut self, path: &str) -> Option<Result<&Directory>> {
        self.open.as_mut().map(|walker| walker.directory(path, false))
    }

    /// Records that an entry was moved to a directory, which may be new, like its parents.
    fn is_changed(&mut self, directory: &str) {
        let mut path = directory;
        while self.changed.insert(path.to_owned()) && !path.is_empty() {
            path = split(path).0;
        }
    }

    /// Returns the directories with new entries, and forgets them.
    pub(super) fn take_changed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    /// Switches to the root of the side. Removes the empty directories in the storage.
    fn leave_storage(&mut self, storage: &Directory, side: Side, stamp: &str, parent: &str) {
        self.is_in_root = true;
        self.open = None;
        let run = format!("{}/{stamp}/{}/{parent}", names::STORED_TRASH, side.name());
        let mut walker = Walker::new(storage.reopen().ok());
        let mut path = run.trim_end_matches('/');
        while let Some((above, name)) = path.rsplit_once('/') {
            let removed = walker.directory(above, false).map(|above| above.remove_directory(name));
            match removed {
                Ok(Ok(())) => path = above,
                // It contains entries of the other side.
                Ok(Err(_)) | Err(_) => break,
            }
        }
    }
}

fn make(parent: &Directory, name: &str) -> Result<Directory> {
    match parent.create_directory(name, Some(0o700)) {
        Err(error) if error.code != ErrorCode::AlreadyExists => Err(error),
        _ => parent.open_directory(name),
    }
}

impl Local {
    /// Moves an entry that is deleted to the trash, or copies one that is replaced (`stays`).
    pub(super) fn keep(&mut self, path: &str, stays: bool) -> Result<()> {
        let (parent, _) = split(path);
        let mut kept = self.try_to_keep(path, stays);
        // Only an attempt shows it.
        if let Err(error) = &kept
            && error.code == ErrorCode::NotImplemented
            && !self.trash.is_in_root
        {
            let stamp = self.stamp();
            self.trash.leave_storage(&self.storage, self.side, &stamp, parent);
            kept = self.try_to_keep(path, stays);
        }
        kept.map_err(|error| match error.code == ErrorCode::NoSpace {
            true => self.no_room_in_trash(&error),
            false => error,
        })
    }

    fn stamp(&self) -> String {
        self.run.as_ref().map(|run| run.stamp.clone()).unwrap_or_default()
    }

    fn try_to_keep(&mut self, path: &str, stays: bool) -> Result<()> {
        let (parent, name) = split(path);
        let (side, stamp) = (self.side, self.stamp());
        let location = self.trash.location(&self.description);
        let trash = self
            .trash
            .of_run([&self.top, &self.storage], side, &stamp)
            .and_then(|walker| walker.directory(parent, true))
            .map_err(|error| match error.code == ErrorCode::NoSpace {
                true => error,
                false => error.context(format!("the trash, {location}, cannot be used")),
            })?;
        let directory = self.walker.directory(parent, false)?;
        // Two entries with one name may be deleted in one run: first a file, later its replacement.
        for number in 0..100_u32 {
            let kept = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
            let result = match stays {
                true => match directory.link(name, trash, &kept) {
                    Err(error) if error.code == ErrorCode::NotImplemented => {
                        directory.rename_new(name, trash, &kept)
                    }
                    result => result,
                },
                false => directory.rename_new(name, trash, &kept),
            };
            match result {
                Err(error) if error.code == ErrorCode::AlreadyExists => {}
                Ok(()) => {
                    self.trash.is_changed(parent);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::failed("the trash of this run has 100 entries of that name"))
    }

    /// Explains why an entry cannot be moved to the trash, with the remedies.
    fn no_room_in_trash(&self, error: &Error) -> Error {
        let (location, reason) = (self.trash.location(&self.description), error.to_string());
        let runs = match self.trash.is_in_root {
            true => self.top.open_directory(names::TRASH),
            false => self.storage.open_directory(names::STORED_TRASH),
        };
        let runs = match runs.and_then(|runs| runs.list()).map_or(0, Iterator::count) {
            1 => "1 run".to_owned(),
            runs => format!("{runs} runs"),
        };
        let message = format!(
            "the trash, {location}, has no room for it ({reason}); it holds the files of {runs}: \
             delete what you do not need, or set `trash=false`"
        );
        Error::new(ErrorCode::NoSpace, message)
    }
}

impl Trash {
    /// Returns the location for messages.
    fn location(&self, description: &str) -> String {
        match self.is_in_root {
            true => format!("`{}` in {description}", names::TRASH),
            false => format!("the directory `{}` in the plugin's storage", names::STORED_TRASH),
        }
    }
}

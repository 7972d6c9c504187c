//! The trash: keeps replaced and deleted files in a directory per run that only its owner can read.

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Applier;
use crate::names;
use crate::tree::Side;
use crate::walker::{Walker, split};

/// The location of a side's trash: in the plugin's storage or, if that is on another file system,
/// so that nothing can be moved there, in the root of the side. It is created for its first entry.
#[derive(Default)]
pub(super) struct Trash {
    is_in_root: bool,
    open: Option<Walker>,
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

impl Applier<'_> {
    /// Moves an entry that is deleted to the trash, or copies one that is replaced (`stays`).
    pub(super) fn keep_in_trash(&mut self, on: Side, path: &str, stays: bool) -> Result<()> {
        let (parent, _) = split(path);
        let mut kept = self.try_to_keep(on, path, stays);
        let trash = &mut self.trash[on.index()];
        // Only an attempt shows it.
        if let Err(error) = &kept
            && error.code == ErrorCode::NotImplemented
            && !trash.is_in_root
        {
            trash.leave_storage(self.storage, on, &self.stamp, parent);
            kept = self.try_to_keep(on, path, stays);
        }
        kept.map_err(|error| match error.code == ErrorCode::NoSpace {
            true => {
                self.room.is_trash_full = true;
                self.no_room_in_trash(on, &error)
            }
            false => error,
        })
    }

    fn try_to_keep(&mut self, on: Side, path: &str, stays: bool) -> Result<()> {
        let (parent, name) = split(path);
        let trash = &mut self.trash[on.index()];
        let location = trash.location(on);
        let trash = trash
            .of_run([&self.tops[on.index()], self.storage], on, &self.stamp)
            .and_then(|walker| walker.directory(parent, true))
            .map_err(|error| match error.code == ErrorCode::NoSpace {
                true => error,
                false => error.context(format!("the trash, {location}, cannot be used")),
            })?;
        let directory = self.roots[on.index()].directory(parent, false)?;
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
                    self.dirty.touch_trash(on, parent);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::failed("the trash of this run has 100 entries of that name"))
    }

    /// Explains why an entry cannot be moved to the trash, with the remedies.
    fn no_room_in_trash(&self, on: Side, error: &Error) -> Error {
        let trash = &self.trash[on.index()];
        let (location, reason) = (trash.location(on), error.to_string());
        let runs = match trash.is_in_root {
            true => self.tops[on.index()].open_directory(names::TRASH),
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
    fn location(&self, on: Side) -> String {
        match self.is_in_root {
            true => format!("`{}` in the {} directory", names::TRASH, on.name()),
            false => format!("the directory `{}` in the plugin's storage", names::STORED_TRASH),
        }
    }
}

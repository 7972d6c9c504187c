//! The trash: keeps replaced and deleted files in a directory per run that only its owner can read.

mod old_runs;
mod pair_file;

use std::collections::BTreeSet;

use syncmgr_plugin::directories::{Directory, Entry};
use syncmgr_plugin::{Error, ErrorCode, Result};

pub(crate) use self::old_runs::{Place, remove_old};
use super::Local;
use super::walker::Walker;
use crate::endpoint::Run;
use crate::names;
use crate::tree::{Side, split};

/// The location of a side's trash: in the plugin's storage or, if that is on another file system,
/// so that nothing can be moved there, in the root of the side. It is created for its first entry.
#[derive(Default)]
pub(super) struct Trash {
    is_in_root: bool,
    open: Option<Walker>,
    /// Whether old runs were removed because there was no space.
    is_tidied: bool,
    /// Directories with new entries.
    changed: BTreeSet<String>,
}

impl Trash {
    /// The directory of this run.
    fn of_run(
        &mut self,
        [root, storage]: [&Directory; 2],
        side: Side,
        run: &Run,
    ) -> Result<&mut Walker> {
        let walker = match self.open.take() {
            Some(walker) => walker,
            None => Walker::new(Some(self.make_run(root, storage, side, run)?)),
        };
        Ok(self.open.insert(walker))
    }

    /// Creates the directory of this run. A run without the file that names its pair can only be
    /// restored to another place, and is never removed, so a failure to write it is none of the
    /// run.
    fn make_run(
        &self,
        root: &Directory,
        storage: &Directory,
        side: Side,
        run: &Run,
    ) -> Result<Directory> {
        if self.is_in_root {
            let trash = make(root, names::TRASH)?;
            let _ = pair_file::write(&trash, &old_runs::pair_name(&run.stamp), run);
            return make(&trash, &run.stamp);
        }
        let directory = make(&make(storage, names::STORED_TRASH)?, &run.stamp)?;
        let _ = pair_file::write(&directory, names::TRASH_PAIR, run);
        make(&directory, side.name())
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
            let removed = walker.directory(above, false).map(|above| {
                if name == stamp {
                    remove_pair_file(above, stamp);
                }
                above.remove_directory(name)
            });
            match removed {
                Ok(Ok(())) => path = above,
                // It contains entries of the other side.
                Ok(Err(_)) | Err(_) => break,
            }
        }
    }
}

/// Removes the file that names the pair if it is the only entry of a run.
fn remove_pair_file(trash: &Directory, stamp: &str) {
    let Ok(run) = trash.open_directory(stamp) else { return };
    let has_side = |side: Side| !matches!(run.stat(side.name()), Ok(None));
    if !Side::BOTH.into_iter().any(has_side) {
        // If this fails, the directory remains.
        let _ = run.remove_file(names::TRASH_PAIR);
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
            let stamp = self.run()?.stamp;
            self.trash.leave_storage(&self.storage, self.side, &stamp, parent);
            kept = self.try_to_keep(path, stays);
        }
        if kept.as_ref().is_err_and(|error| error.code == ErrorCode::NoSpace) && self.make_room() {
            kept = self.try_to_keep(path, stays);
        }
        kept.map_err(|error| match error.code == ErrorCode::NoSpace {
            true => self.no_room_in_trash(&error),
            false => error,
        })
    }

    /// Removes old runs, once. Returns whether there were any.
    fn make_room(&mut self) -> bool {
        let Some(run) = &self.run else { return false };
        if run.keep.is_all() || std::mem::replace(&mut self.trash.is_tidied, true) {
            return false;
        }
        let places = [Place::open(&self.storage, false), self.trash_in_root()];
        let places: Vec<_> = places.into_iter().flatten().flatten().collect();
        // The end of the run reports a failure.
        remove_old(&places, run, &mut || Ok(())).is_ok_and(|removed| removed > 0)
    }

    /// Opens the trash in the root of the side; `None`: there is none.
    pub(crate) fn trash_in_root(&self) -> Result<Option<Place>> {
        Place::open(&self.top, true)
    }

    fn run(&self) -> Result<Run> {
        self.run.clone().ok_or_else(|| Error::failed("the changes of the run have not begun"))
    }

    fn try_to_keep(&mut self, path: &str, stays: bool) -> Result<()> {
        let (parent, name) = split(path);
        let (side, run) = (self.side, self.run()?);
        let location = self.trash.location(&self.description);
        let trash = self
            .trash
            .of_run([&self.top, &self.storage], side, &run)
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
        let is_run = |entry: &Result<Entry>| {
            let name = entry.as_ref().ok().and_then(|entry| entry.name.text());
            name.is_some_and(|name| !name.ends_with(names::TRASH_PAIR_END))
        };
        let runs = runs.and_then(|runs| runs.list()).map_or(0, |runs| runs.filter(is_run).count());
        let runs = match runs {
            1 => "1 run".to_owned(),
            runs => format!("{runs} runs"),
        };
        let message = format!(
            "the trash, {location}, has no room for it ({reason}); it holds the files of {runs}: \
             delete what you do not need (`syncmgr trash empty`), limit it with `trash-keep`, or set \
             `trash=false`"
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

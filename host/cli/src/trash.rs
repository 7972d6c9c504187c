//! The trash of plugins that use the engine: where it is, and the runs in it.
//!
//! - `directories`: the directories that the files in the trash are from.
//! - `tree`: the files of a run. `usage`: their sizes. `restore`: moves them back. `remove`: removes
//!   runs.
//!
//! The trash is that of `guest/engine/src/local/trash.rs`: `trash/STAMP/SIDE/PATH` in the storage of
//! a plugin, with the ids of both sides in `trash/STAMP/pair`; and on other file systems
//! `.syncmgr-trash/STAMP/PATH` in the directory, with the ids in `.syncmgr-trash/STAMP.pair`. A
//! plugin can write anything there.

mod directories;
mod remove;
mod restore;
mod tree;
mod usage;

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Context as _;
use jiff::Timestamp;
use syncmgr_host::files::{EntryKind, UserDirectory, UserDirectoryLock};
use syncmgr_host::{Access, Grant};
use syncmgr_install::{PrivateFolder, Registrations};
use uuid::Uuid;

use crate::args::TrashOf;
use crate::exit::Held;
use crate::output::note;
use crate::plugin_source::registrations;
use directories::Directories;
pub(crate) use remove::remove;
pub(crate) use restore::{Destination, Restore, Restored};
pub(crate) use tree::{is_at, plain_path, walk};
use tree::{open_below, split};
pub(crate) use usage::Run;

/// The directory in a plugin's storage.
const IN_STORAGE: &str = "trash";
/// The directory in the root of a side, which no plugin syncs.
pub(crate) const IN_ROOT: &str = ".syncmgr-trash";
/// The file with the pair of a run, or the end of its name.
const PAIR: &str = "pair";
/// The maximum size of that file in bytes.
const MAX_PAIR_BYTES: u64 = 1024;
/// The directories of a run in the storage.
const SIDES: [&str; 2] = ["left", "right"];

/// The trash of a plugin or job.
#[derive(Debug)]
pub(crate) struct Trash {
    /// The name of the plugin's folder in the state directory.
    pub(crate) plugin: String,
    /// Newest runs first.
    pub(crate) parts: Vec<Part>,
}

/// The files of one run that are from one side.
#[derive(Debug)]
pub(crate) struct Part {
    /// The name of the run.
    pub(crate) run: String,
    /// The side, if that is known.
    pub(crate) side: Option<&'static str>,
    /// The ids of the left and the right side, if they are known.
    pair: Option<[Uuid; 2]>,
    /// The directory that the files are from, if it is granted.
    pub(crate) origin: Option<Grant>,
    /// The granted directories of the pair.
    granted: Vec<PathBuf>,
    place: Rc<Place>,
}

/// A directory with runs.
#[derive(Debug)]
struct Place {
    directory: UserDirectory,
    is_in_root: bool,
}

impl Trash {
    /// Finds the trash that arguments name.
    pub(crate) fn find(of: &TrashOf) -> anyhow::Result<Self> {
        let registrations = registrations(of.state_dir.path.as_deref())?;
        let (plugin, directories) = directories::find(of, &registrations)?;
        Self::of(plugin, &directories, &registrations)
    }

    /// Finds the trash of every plugin that has run.
    pub(crate) fn all(state_dir: Option<&Path>) -> anyhow::Result<Vec<Self>> {
        let registrations = registrations(state_dir)?;
        let mut all: Vec<Self> = Vec::new();
        for plugin in registrations.homes()? {
            let directories = directories::of_plugin(&plugin, &registrations)?;
            let mut trash = Self::of(plugin, &directories, &registrations)?;
            // Several plugins may sync a directory.
            trash.parts.retain(|part| {
                let is_same = |other: &Part| {
                    let is_same_place = other.origin_path() == part.origin_path();
                    other.place.is_in_root && is_same_place && other.run == part.run
                };
                let mut known = all.iter().flat_map(|other| &other.parts);
                !part.place.is_in_root || !known.any(is_same)
            });
            all.push(trash);
        }
        Ok(all)
    }

    fn of(
        plugin: String,
        directories: &Directories,
        registrations: &Registrations,
    ) -> anyhow::Result<Self> {
        let mut parts = Vec::new();
        if let Some(storage) = registrations.open_storage(&plugin)? {
            parts = in_storage(&storage, directories).with_context(|| {
                format!("cannot read the trash in {}", storage.path().display())
            })?;
        }
        for grant in &directories.grants {
            match in_root(grant, directories) {
                Ok(found) => parts.extend(found),
                Err(error) => {
                    note(&format!("cannot read the trash in {}: {error}", grant.path().display()))
                }
            }
        }
        parts.sort_by(|one, other| other.run.cmp(&one.run).then(one.side.cmp(&other.side)));
        Ok(Self { plugin, parts })
    }
}

/// Opens a directory, if it exists.
fn optional(opened: io::Result<UserDirectory>) -> io::Result<Option<UserDirectory>> {
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Returns the names of the directories in one.
fn directories_in(directory: &UserDirectory) -> io::Result<Vec<String>> {
    let entries = directory.entries()?;
    let entries = entries.iter().filter(|entry| entry.kind() == EntryKind::Directory);
    Ok(entries.filter_map(|entry| entry.name().map(str::to_owned)).collect())
}

fn in_storage(storage: &PrivateFolder, directories: &Directories) -> io::Result<Vec<Part>> {
    let storage = UserDirectory::open(storage.path())?;
    let Some(trash) = optional(storage.directory(IN_STORAGE))? else { return Ok(Vec::new()) };
    let place = Rc::new(Place { directory: trash, is_in_root: false });
    let mut parts = Vec::new();
    for run in directories_in(&place.directory)? {
        let directory = place.directory.directory(&run)?;
        let pair = read_pair(&directory, PAIR)?;
        if !directories.includes(pair) {
            continue;
        }
        let known = directories_in(&directory)?;
        for (index, side) in SIDES.into_iter().enumerate() {
            if known.iter().any(|name| name == side) {
                let origin = pair.and_then(|pair| directories.by_id(pair[index]));
                let (run, place) = (run.clone(), Rc::clone(&place));
                let granted = directories.of_pair(pair);
                parts.push(Part { run, side: Some(side), pair, origin, granted, place });
            }
        }
    }
    Ok(parts)
}

fn in_root(grant: &Grant, directories: &Directories) -> io::Result<Vec<Part>> {
    let Some(root) = optional(UserDirectory::open(grant.path()))? else { return Ok(Vec::new()) };
    let Some(trash) = optional(root.directory(IN_ROOT))? else { return Ok(Vec::new()) };
    let place = Rc::new(Place { directory: trash, is_in_root: true });
    let mut parts = Vec::new();
    for run in directories_in(&place.directory)? {
        let pair = read_pair(&place.directory, &pair_name(&run))?;
        // Other plugins may sync the directory, too.
        if pair.is_some_and(|pair| !directories.has(pair)) {
            continue;
        }
        let index = pair.and_then(|pair| pair.iter().position(|id| *id == grant.id()));
        let side = index.and_then(|index| SIDES.get(index).copied());
        let mut granted = directories.of_pair(pair);
        granted.push(grant.path().to_owned());
        let (origin, place) = (Some(grant.clone()), Rc::clone(&place));
        parts.push(Part { run, side, pair, origin, granted, place });
    }
    Ok(parts)
}

/// Returns the name of the file with the pair of a run in the root of a side.
pub(crate) fn pair_name(run: &str) -> String {
    format!("{run}.{PAIR}")
}

/// Reads the ids of the sides. A file that is not complete counts as none.
fn read_pair(directory: &UserDirectory, name: &str) -> io::Result<Option<[Uuid; 2]>> {
    match directory.entry(name)?.map(|entry| entry.kind()) {
        Some(EntryKind::File) => {}
        Some(EntryKind::Directory | EntryKind::SymbolicLink | EntryKind::Other) | None => {
            return Ok(None);
        }
    }
    let mut text = Vec::new();
    directory.open_file(name)?.take(MAX_PAIR_BYTES).read_to_end(&mut text)?;
    Ok(parse_pair(&String::from_utf8_lossy(&text)))
}

fn parse_pair(text: &str) -> Option<[Uuid; 2]> {
    let mut lines = text.lines();
    let mut id = |side: &str| lines.next()?.strip_prefix(side)?.strip_prefix(' ')?.parse().ok();
    Some([id(SIDES[0])?, id(SIDES[1])?])
}

/// Returns the content of the file with the pair.
fn pair_text([left, right]: [Uuid; 2]) -> String {
    format!("{} {left}\n{} {right}\n", SIDES[0], SIDES[1])
}

/// Writes the file with the pair, unless it exists.
pub(crate) fn write_pair(directory: &UserDirectory, name: &str, pair: [Uuid; 2]) -> io::Result<()> {
    if directory.entry(name)?.is_some() {
        return Ok(());
    }
    let mut file = directory.create_file(name)?;
    file.write_all(pair_text(pair).as_bytes())?;
    file.sync_all()
}

impl Part {
    /// Opens the directory with its files.
    pub(crate) fn open(&self) -> io::Result<UserDirectory> {
        let run = self.place.directory.directory(&self.run)?;
        match (self.place.is_in_root, self.side) {
            (false, Some(side)) => run.directory(side),
            (true, _) | (false, None) => Ok(run),
        }
    }

    /// Returns whether there is an entry at a path.
    pub(crate) fn has(&self, path: &str) -> io::Result<bool> {
        let (parent, name) = split(path);
        let found = self.open().and_then(|files| open_below(&files, parent)?.entry(name));
        match found {
            Err(error)
                if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory]
                    .contains(&error.kind()) =>
            {
                Ok(false)
            }
            found => found.map(|found| found.is_some()),
        }
    }

    /// Returns the time of the run in ms since 1970, if its name is a time.
    pub(crate) fn time(&self) -> Option<i64> {
        time_of(&self.run)
    }

    /// Returns what the run and the side are called in messages.
    pub(crate) fn origin_words(&self) -> String {
        let side = self.side.unwrap_or("a side");
        match &self.origin {
            Some(grant) => format!("{side}, {}", grant.path().display()),
            None => format!("{side}, a directory that is not granted"),
        }
    }

    /// Returns the context of an error while its files are read.
    pub(crate) fn unreadable(&self) -> String {
        format!("cannot read the run {} in the trash", self.run)
    }

    /// Returns whether a plugin may change the directory that the files are from.
    fn is_writable(&self) -> bool {
        self.origin.as_ref().is_some_and(|grant| grant.access() == Access::ReadWrite)
    }

    /// Returns whether it is in the directory that the files are from, not in the storage.
    #[cfg(feature = "serve")]
    pub(crate) fn is_in_root(&self) -> bool {
        self.place.is_in_root
    }

    /// Returns whether it is a part of the same run.
    pub(crate) fn is_of_same_run(&self, other: &Self) -> bool {
        self.run == other.run && Rc::ptr_eq(&self.place, &other.place)
    }

    /// Returns whether both are known to be of one pair, or from one directory.
    pub(crate) fn is_related(&self, other: &Self) -> bool {
        let sorted = |part: &Self| {
            part.pair.map(|mut pair| {
                pair.sort_unstable();
                pair
            })
        };
        let is_same_pair = self.pair.is_some() && sorted(self) == sorted(other);
        is_same_pair || self.origin.is_some() && self.origin_path() == other.origin_path()
    }

    fn origin_path(&self) -> Option<&Path> {
        self.origin.as_ref().map(Grant::path)
    }
}

/// Locks the granted directories of pairs as a run does.
pub(crate) fn lock<'a>(
    parts: impl Iterator<Item = &'a Part>,
) -> Result<Vec<UserDirectoryLock>, Held> {
    let mut paths: Vec<_> = parts.flat_map(|part| part.granted.iter().cloned()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut locks = Vec::new();
    for path in paths {
        match UserDirectory::open(&path).and_then(|directory| directory.lock()) {
            Ok(lock) => locks.push(lock),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Held { directory: path.display().to_string() });
            }
            // No run can use a missing directory, and a run goes on without a lock where there are
            // none.
            Err(_) => {}
        }
    }
    Ok(locks)
}

/// Returns the time that is the name of a run, in ms since 1970.
fn time_of(run: &str) -> Option<i64> {
    let (date, time) = run.split_once('T')?;
    let (hours, rest) = time.split_at_checked(2)?;
    let (minutes, seconds) = rest.split_at_checked(2)?;
    let time: Timestamp = format!("{date}T{hours}:{minutes}:{seconds}").parse().ok()?;
    Some(time.as_millisecond())
}

/// Returns the name for a run at this time.
fn name_of(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H%M%S.%9fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_run_is_its_time() {
        let name = "2026-09-21T141320.000000007Z";
        assert_eq!(time_of(name), Some(1_790_000_000_000));
        let time = Timestamp::from_nanosecond(1_790_000_000_000_000_007).expect("it is valid");
        assert_eq!(name_of(time), name);
        for other in ["", "T", "2026", "2026-09-21", "2026-09-21Té1320Z", "a\u{1b}"] {
            assert_eq!(time_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn only_a_complete_pair_is_read() {
        let pair = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let text = pair_text(pair);
        assert_eq!(parse_pair(&text), Some(pair));
        for other in ["", "left", &text[..50], &text.replace("left", "up"), "left x\nright y\n"] {
            assert_eq!(parse_pair(other), None, "{other:?}");
        }
    }
}

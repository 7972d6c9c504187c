//! Removes old runs from the trash, as the setting `trash-keep` says.

use std::collections::BTreeMap;

use syncmgr_plugin::directories::{Directory, EntryKind};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::pair_file;
use crate::endpoint::Run;
use crate::local::walker::Walker;
use crate::names;
use crate::tree::{join, split};

/// The maximum number of entries in the trash that one run looks at.
const MAX_ENTRIES: u64 = 1_000_000;

/// A directory with the runs of several pairs.
pub(crate) struct Place {
    directory: Directory,
    is_in_root: bool,
}

impl Place {
    /// Opens the trash in the storage, or in the root of a side; `None`: there is none.
    pub(crate) fn open(parent: &Directory, is_in_root: bool) -> Result<Option<Self>> {
        let name = if is_in_root { names::TRASH } else { names::STORED_TRASH };
        match parent.open_directory(name) {
            Ok(directory) => Ok(Some(Self { directory, is_in_root })),
            Err(error) if error.code == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns whether a run is one of the pair. A run without the file may be one of any pair.
    fn is_of_pair(&self, stamp: &str, run: &Run) -> bool {
        match self.is_in_root {
            true => pair_file::names_pair(&self.directory, &pair_name(stamp), run.pair),
            false => self.directory.open_directory(stamp).is_ok_and(|directory| {
                pair_file::names_pair(&directory, names::TRASH_PAIR, run.pair)
            }),
        }
    }
}

/// Returns the name of the file with the pair of a run in the root of a side.
pub(super) fn pair_name(stamp: &str) -> String {
    format!("{stamp}{}", names::TRASH_PAIR_END)
}

/// Removes runs of the pair, oldest first: those that are too old, and those that do not fit. The
/// current run stays. Returns the number of removed runs.
///
/// # Errors
/// Fails for the first entry that cannot be listed or removed, and with the interrupts of
/// `progress`. A run that is removed in part remains one of the pair.
pub(crate) fn remove_old(
    places: &[Place],
    run: &Run,
    progress: &mut dyn FnMut() -> Result<(), Interrupt>,
) -> Result<u64, Interrupt> {
    let mut work = Work { entries: MAX_ENTRIES, progress };
    let mut runs: BTreeMap<String, Vec<&Place>> = BTreeMap::new();
    for place in places {
        for (stamp, _) in work.list(&place.directory)?.0 {
            if names::is_stamp(&stamp) && (run.keep.bytes.is_some() || run.keep.is_too_old(&stamp))
            {
                runs.entry(stamp).or_default().push(place);
            }
        }
    }
    for (stamp, places) in &mut runs {
        (work.progress)()?;
        places.retain(|place| place.is_of_pair(stamp, run));
    }
    let mut old = Vec::new();
    let (mut bytes, mut is_full) = (0_u64, false);
    for (stamp, places) in runs.iter().rev() {
        let is_current = *stamp == run.stamp;
        let is_removed = run.keep.is_too_old(stamp) || is_full;
        if let Some(limit) = run.keep.bytes
            && (is_current || !is_removed)
        {
            for place in places {
                bytes = bytes.saturating_add(work.measure(&place.directory, stamp)?);
            }
            is_full = bytes > limit;
        }
        if !is_current && (is_removed || is_full) {
            old.push((stamp, places));
        }
    }
    let mut removed = 0;
    for (stamp, places) in old.iter().rev() {
        for place in *places {
            work.remove(place, stamp)?;
        }
        removed += u64::from(!places.is_empty());
    }
    Ok(removed)
}

struct Work<'a> {
    /// The number of entries that may still be looked at.
    entries: u64,
    progress: &'a mut dyn FnMut() -> Result<(), Interrupt>,
}

/// The directories of a directory, and its other entries, each with its size.
type Listed = (Vec<(String, u64)>, Vec<(String, u64)>);

impl Work<'_> {
    fn list(&mut self, directory: &Directory) -> Result<Listed, Interrupt> {
        (self.progress)()?;
        let (mut directories, mut others) = (Vec::new(), Vec::new());
        for entry in directory.list()? {
            let entry = entry?;
            self.entries = self.entries.checked_sub(1).ok_or_else(too_many)?;
            let metadata = entry.metadata.map_err(Error::from)?;
            let name = entry.name.text().ok_or_else(|| not_unicode(entry.name.display()))?;
            match metadata.kind {
                EntryKind::Directory => directories.push((name.to_owned(), 0)),
                EntryKind::File | EntryKind::SymbolicLink | EntryKind::Other => {
                    others.push((name.to_owned(), metadata.size));
                }
            }
        }
        Ok((directories, others))
    }

    /// Returns the size of everything in a directory.
    fn measure(&mut self, directory: &Directory, name: &str) -> Result<u64, Interrupt> {
        let mut walker = Walker::new(Some(directory.reopen()?));
        let (mut pending, mut bytes) = (vec![name.to_owned()], 0_u64);
        while let Some(path) = pending.pop() {
            let (directories, files) = self.list(walker.directory(&path, false)?)?;
            bytes = files.iter().fold(bytes, |bytes, (_, size)| bytes.saturating_add(*size));
            pending.extend(directories.iter().map(|(name, _)| join(&path, name)));
        }
        Ok(bytes)
    }

    /// Removes a run. The file with its pair remains as long as anything else does.
    fn remove(&mut self, place: &Place, stamp: &str) -> Result<(), Interrupt> {
        let directory = place.directory.open_directory(stamp)?;
        if place.is_in_root {
            self.clear(&directory, None)?;
            place.directory.remove_directory(stamp)?;
            return Ok(place.directory.remove_file(&pair_name(stamp))?);
        }
        self.clear(&directory, Some(names::TRASH_PAIR))?;
        directory.remove_file(names::TRASH_PAIR)?;
        Ok(place.directory.remove_directory(stamp)?)
    }

    /// Removes everything in a directory, except an entry of this name.
    fn clear(&mut self, directory: &Directory, kept: Option<&str>) -> Result<(), Interrupt> {
        let mut walker = Walker::new(Some(directory.reopen()?));
        let (mut pending, mut empty) = (vec![String::new()], Vec::new());
        while let Some(path) = pending.pop() {
            let parent = walker.directory(&path, false)?;
            let (directories, others) = self.list(parent)?;
            let is_kept = |name: &str| path.is_empty() && kept == Some(name);
            for (name, _) in others.iter().filter(|(name, _)| !is_kept(name)) {
                parent.remove_file(name)?;
            }
            pending.extend(directories.iter().map(|(name, _)| join(&path, name)));
            empty.push(path);
        }
        // Those below a directory follow it.
        for path in empty.iter().rev().filter(|path| !path.is_empty()) {
            let (parent, name) = split(path);
            walker.directory(parent, false)?.remove_directory(name)?;
        }
        Ok(())
    }
}

fn too_many() -> Error {
    Error::failed(format!(
        "it has more than {MAX_ENTRIES} entries; the next run continues, or use `syncmgr trash \
         empty`"
    ))
}

fn not_unicode(name: &str) -> Error {
    Error::failed(format!("the name of {name} is not Unicode"))
}

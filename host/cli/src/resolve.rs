//! Settling conflicts in one directory of their item. The next run of the item changes the other
//! side.
//!
//! - `versions`: the two files. `copy_name`: the name of the second one. `diff`: their differences.
//! - `settle`: renames the files. `refusal`: why it does not.

mod copy_name;
mod diff;
mod refusal;
mod settle;
mod versions;

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::path::PathBuf;

use jiff::Timestamp;
use syncmgr_install::{History, HistoryConflict, RunFilter};
use uuid::Uuid;

pub(crate) use self::diff::Comparison;
pub(crate) use self::refusal::Refusal;
pub(crate) use self::settle::Settled;
use self::settle::Trash;
pub(crate) use self::versions::key;
use self::versions::{pair, root};
use crate::args::Keep;
use crate::exit::Exit;
use crate::output::note;

/// The form of the names in the trash of a directory, as of those that plugins create.
const STAMP: &str = "%Y-%m-%dT%H%M%S.%9fZ";

fn stamp() -> String {
    Timestamp::now().strftime(STAMP).to_string()
}

/// An entry of an item: the job, the id and the path.
type Entry = (String, String, String);

fn entry(conflict: &HistoryConflict) -> Entry {
    (conflict.job.clone(), conflict.id.clone(), conflict.path.clone())
}

/// Returns the entries with several conflicts.
fn several_copies(conflicts: &[HistoryConflict]) -> BTreeSet<Entry> {
    let mut seen = BTreeSet::new();
    conflicts.iter().map(entry).filter(|entry| !seen.insert(entry.clone())).collect()
}

/// Settles conflicts, one after the other.
pub(crate) struct Resolver {
    history: History,
    /// The names of the directories in the trash: one for each pair, by a directory of it.
    stamps: BTreeMap<(PathBuf, Option<[Uuid; 2]>), String>,
    several: BTreeSet<Entry>,
    /// The directories of the last run of each item, by job and id.
    directories: BTreeMap<(String, String), Vec<(String, String)>>,
}

impl Resolver {
    /// `conflicts`: those that the user has chosen from.
    pub(crate) fn new(history: History, conflicts: &[HistoryConflict]) -> Self {
        Self {
            history,
            stamps: BTreeMap::new(),
            several: several_copies(conflicts),
            directories: BTreeMap::new(),
        }
    }

    /// Compares the versions of a conflict, and returns the directory. `texts`: also what they
    /// contain.
    pub(crate) fn compare(
        &mut self,
        conflict: &HistoryConflict,
        texts: bool,
    ) -> Result<(PathBuf, Comparison), Refusal> {
        let root = root(self.directories(conflict)?, conflict)?;
        let comparison = Comparison::of(&root, conflict, texts)?;
        Ok((root, comparison))
    }

    /// Settles a conflict, and returns the directory that it changed.
    pub(crate) fn settle(
        &mut self,
        conflict: &HistoryConflict,
        keep: Keep,
        dry_run: bool,
    ) -> Result<(PathBuf, Settled), Refusal> {
        let directories = self.directories(conflict)?;
        let root = root(directories, conflict)?;
        let pair = pair(directories, conflict, &root);
        match keep {
            Keep::Left | Keep::Right | Keep::Local | Keep::Remote
                if self.several.contains(&entry(conflict)) =>
            {
                return Err(Refusal::remaining(
                    "it has several conflicts; settle each by the path of its copy, or all of \
                     them with `--keep newer` or `--keep both`"
                        .to_owned(),
                ));
            }
            Keep::Left | Keep::Right | Keep::Local | Keep::Remote | Keep::Newer | Keep::Both => {}
        }
        let stamp = self.stamps.entry((root.clone(), pair)).or_insert_with(stamp);
        let settled = settle::settle(&root, conflict, keep, Trash { stamp, pair }, dry_run)?;
        if !dry_run && let Err(error) = self.history.settle(conflict) {
            let error = syncmgr_host::full_message(&error);
            // The next run records it.
            note(&format!("the history still lists the conflict: {error}"));
        }
        Ok((root, settled))
    }

    /// Returns the directories of the last run of a conflict's item.
    fn directories(&mut self, of: &HistoryConflict) -> Result<&[(String, String)], Refusal> {
        let place = match self.directories.entry((of.job.clone(), of.id.clone())) {
            btree_map::Entry::Occupied(known) => return Ok(known.into_mut()),
            btree_map::Entry::Vacant(place) => place,
        };
        let filter = RunFilter {
            job: Some(of.job.clone()),
            item: Some(of.id.clone()),
            limit: Some(1),
            ..RunFilter::default()
        };
        let runs = self.history.runs(&filter).map_err(|error| Refusal {
            exit: Exit::Crashed,
            message: syncmgr_host::full_message(&error),
        })?;
        let directories = runs.into_iter().next().map(|run| run.directories);
        Ok(place.insert(directories.unwrap_or_default()))
    }
}

//! The `folder` plugin under faults: full disks, missing permissions, files and roots that change,
//! a damaged state and wrong clocks. Nothing is simulated.
//!
//! Every test also checks that the run ends, that no content is lost, that no file has content that
//! was never written to it, and that the next run without a fault syncs the sides without any flag.

mod concurrent_edits;
mod damaged_state;
#[cfg(unix)]
mod no_permission;
#[cfg(target_os = "linux")]
mod no_room;
#[cfg(unix)]
mod vanishing;
mod wrong_clocks;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use anyhow::Context;
use conformance::folder::{Pair, only_item, shape, work};
use conformance::trees::{self, Entry, Tree};
use syncmgr_host::{RunReport, Status};

/// A pair of directories with every kind of change to sync.
struct Scene {
    baseline: Tree,
    left: Tree,
    right: Tree,
}

/// Paths whose two versions are both kept. The times decide which one keeps the name.
const CONTESTED: &[&str] = &["both"];

impl Scene {
    /// Edits, new files, deletions, a conflict and a file that becomes a directory. Files have a
    /// minimum length, and no content is a prefix of another.
    fn everything(bytes: usize) -> Self {
        let tree = |text: &str| tree(text, bytes);
        Self {
            baseline: tree(
                "same=0|edited left=0|edited right=0|deleted left=0|deleted right=0|both=0|\
                 becomes directory=0|d/deep/in=0|d/in=0|d/same=0",
            ),
            left: tree(
                "same=0|edited left=left|edited right=0|deleted right=0|both=left|\
                 becomes directory/now=left|d/deep/in=left|d/in=0|d/same=0|new/left=left",
            ),
            right: tree(
                "same=0|edited left=0|edited right=right|deleted left=0|both=right|\
                 becomes directory=0|d/deep/in=0|d/in=right|d/same=0",
            ),
        }
    }

    /// Edits and new files on both sides, without deletions.
    #[cfg(unix)]
    fn without_deletions() -> Self {
        let tree = |text: &str| tree(text, 0);
        Self {
            baseline: tree("a=0|b=0|d/c=0"),
            left: tree("a=left|b=0|d/c=0|d/new=left"),
            right: tree("a=0|b=right|d/c=0|new=right"),
        }
    }

    /// Syncs the baseline, and makes the edits.
    fn prepare(&self, pair: &Pair) -> anyhow::Result<()> {
        trees::write(&pair.left(), &self.baseline)?;
        trees::write(&pair.right(), &self.baseline)?;
        pair.sync()?;
        trees::write(&pair.left(), &self.left)?;
        trees::write(&pair.right(), &self.right)
    }

    /// Returns the host calls of a run and its result without a fault.
    fn reference(&self) -> anyhow::Result<(Calls, Shape)> {
        let pair = Pair::new()?;
        self.prepare(&pair)?;
        let first_write = Arc::new(AtomicUsize::new(0));
        let (report, all) = pair.sync_disturbed({
            let first_write = first_write.clone();
            move |number, call| {
                if matches!(call, "directory.create-copy" | "copy-files-with") {
                    // Stores the first call only.
                    let _ = first_write.compare_exchange(0, number, SeqCst, SeqCst);
                }
                Ok(())
            }
        })?;
        let calls = Calls { reading: first_write.load(SeqCst), all };
        anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
        let [left, right] = pair.trees()?;
        anyhow::ensure!(left == right, "got {left:?} and {right:?}");
        Ok((calls, shape(&left, CONTESTED)))
    }
}

/// The number of host calls of a run.
struct Calls {
    /// The number of calls before the first write, when all decisions have been made.
    reading: usize,
    all: usize,
}

type Shape = (Tree, BTreeSet<Vec<u8>>, usize);

/// Creates files whose contents state their paths and versions.
fn tree(text: &str, bytes: usize) -> Tree {
    let mut tree = trees::tree(text);
    for (path, entry) in &mut tree {
        if let Entry::File(content) = entry {
            let mut long = [path.as_bytes(), b" ", content, b" "].concat();
            let line = long.clone();
            while long.len() < bytes {
                long.extend_from_slice(&line);
            }
            *content = long;
        }
    }
    tree
}

/// Checks the guarantees for every run, whatever the fault.
fn check_intact(
    pair: &Pair,
    report: &RunReport,
    existed: &BTreeSet<Vec<u8>>,
) -> anyhow::Result<()> {
    anyhow::ensure!(report.error().is_none(), "it ended by itself: {:?}", report.outcome);
    let lost = pair.lost(existed)?;
    anyhow::ensure!(lost.is_empty(), "lost {lost:?}: {:?}", report.log);
    let says_nothing = report.log.iter().find(|entry| entry.text.contains(".syncmgr-tmp-"));
    anyhow::ensure!(says_nothing.is_none(), "a temporary name is shown: {says_nothing:?}");
    for side in pair.trees()? {
        for (path, entry) in side {
            if let Entry::File(content) = entry
                && !path.contains(".syncmgr-tmp-")
            {
                anyhow::ensure!(existed.contains(&content), "{path} is torn: {:?}", report.log);
            }
        }
    }
    Ok(())
}

/// Checks that no entry was deleted that both sides must have in the end.
fn check_kept(before: &[Tree; 2], pair: &Pair, expected: &Shape) -> anyhow::Result<()> {
    for (before, after) in before.iter().zip(pair.trees()?) {
        let gone = before.keys().find(|path| {
            // The directory replaces a file.
            let stays = expected.0.contains_key(*path) && *path != "becomes directory";
            stays && !after.contains_key(*path)
        });
        anyhow::ensure!(gone.is_none(), "{gone:?} was deleted");
    }
    Ok(())
}

/// Runs again without a fault and without a flag. `None`: only the equality of the sides is
/// checked.
fn check_next_run(
    pair: &Pair,
    existed: &BTreeSet<Vec<u8>>,
    expected: Option<&Shape>,
) -> anyhow::Result<()> {
    let report = pair.sync()?;
    check_intact(pair, &report, existed).context("the next run")?;
    anyhow::ensure!(only_item(&report)?.status == Status::Succeeded, "{report:?}");
    let [left, right] = pair.trees()?;
    anyhow::ensure!(left == right, "{left:?} and {right:?}: {:?}", report.log);
    let came_out = shape(&left, CONTESTED);
    let is_expected = expected.is_none_or(|expected| came_out == *expected);
    anyhow::ensure!(is_expected, "got {came_out:?}: {:?}", report.log);
    let unfinished = left.keys().find(|path| path.contains(".syncmgr-tmp-"));
    anyhow::ensure!(unfinished.is_none(), "{unfinished:?} is left");
    let again = pair.sync()?;
    anyhow::ensure!(work(&again)? == 0, "the run after that has nothing to do: {again:?}");
    Ok(())
}

/// Returns the host calls at which to inject the fault of a row: a sample. Rows start at different
/// calls, so that together they cover all of them. `SYNCMGR_FAULT_STRIDE=1` injects each fault at
/// each call, which takes minutes.
fn sample(row: usize, calls: usize, stride: usize) -> impl Iterator<Item = usize> {
    let set = std::env::var("SYNCMGR_FAULT_STRIDE").ok().and_then(|text| text.parse().ok());
    let stride = set.unwrap_or(stride).max(1);
    (1 + row % stride..=calls).step_by(stride)
}

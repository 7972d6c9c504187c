//! Runs the plugin against a sync manager that cancels and fails on demand. After `syncmgr build`,
//! `SYNCMGR_COMPONENT=$PWD/build/{{name}}.wasm cargo test` runs most tests with the component.

use std::fs;
use std::path::Path;

use syncmgr_plugin::testing::{Run, SyncManager};
use syncmgr_plugin::{ErrorCode, Status};
use tempfile::TempDir;

use super::{COPY, Copy};

struct Folders {
    home: TempDir,
}

impl Folders {
    /// A source with three files, and an empty target.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("source/inner")).unwrap();
        fs::create_dir(home.path().join("target")).unwrap();
        for name in ["a.txt", "b.txt", "inner/c.txt"] {
            fs::write(home.path().join("source").join(name), name.repeat(100)).unwrap();
        }
        Self { home }
    }

    fn source(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join("source").join(name)
    }

    fn target(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join("target").join(name)
    }

    fn manager(&self) -> SyncManager {
        SyncManager::new()
            .grant_read_only("source", self.source(""))
            .grant("target", self.target(""))
    }

    fn sync(&self) -> Run {
        self.manager().run::<Copy>()
    }

    fn is_copied(&self, name: &str) -> bool {
        fs::read(self.target(name)).is_ok_and(|copy| copy == fs::read(self.source(name)).unwrap())
    }
}

/// The names in a folder and below it that are not complete files.
fn unfinished(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => unfinished(&path),
            false => usize::from(path.ends_with(super::UNFINISHED)),
        })
        .sum()
}

#[test]
fn everything_is_copied_once() {
    let folders = Folders::new();
    let run = folders.sync();
    run.assert_ended(COPY, Status::Succeeded);
    run.assert_in_order();
    assert!(folders.is_copied("a.txt") && folders.is_copied("inner/c.txt"));

    let before = fs::metadata(folders.target("a.txt")).unwrap();
    folders.sync().assert_ended(COPY, Status::Succeeded);
    let after = fs::metadata(folders.target("a.txt")).unwrap();
    assert_eq!(before.created().ok(), after.created().ok(), "it was not written again");
}

#[test]
fn changed_files_are_copied_and_deletions_are_not_propagated() {
    let folders = Folders::new();
    folders.sync();
    fs::write(folders.source("a.txt"), "longer than it was before, or so").unwrap();
    fs::remove_file(folders.source("b.txt")).unwrap();
    folders.sync().assert_ended(COPY, Status::Succeeded);
    assert!(folders.is_copied("a.txt"));
    assert!(folders.target("b.txt").exists());
}

#[test]
fn the_run_can_be_cancelled_at_every_report() {
    for nth in 1.. {
        let folders = Folders::new();
        let run = folders.manager().cancel_item_at(COPY, nth).run::<Copy>();
        run.assert_in_order();
        assert_eq!(unfinished(&folders.target("")), 0);
        if run.ended(COPY) == Some(Status::Succeeded) {
            break;
        }
        run.assert_ended(COPY, Status::Skipped);
        folders.sync().assert_ended(COPY, Status::Succeeded);
        assert!(folders.is_copied("a.txt") && folders.is_copied("inner/c.txt"));
    }
}

/// Natively only: a test cannot inject file errors into a component.
#[test]
fn a_failed_file_is_logged_and_the_others_are_copied() {
    if std::env::var_os("SYNCMGR_COMPONENT").is_some() {
        return;
    }
    let folders = Folders::new();
    let run = folders.manager().fail("file.copy-from", 1, ErrorCode::NoSpace).run::<Copy>();
    run.assert_ended(COPY, Status::Failed);
    let names = ["a.txt", "b.txt", "inner/c.txt"];
    assert_eq!(names.iter().filter(|name| folders.is_copied(name)).count(), 2);
    assert_eq!(unfinished(&folders.target("")), 0);
}

//! The trash of pairs that share a storage: it knows its pair, and the setting `trash-keep` removes
//! old runs of one pair only.

#![allow(clippy::unwrap_used, reason = "it is a test")]

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use syncmgr_engine::options::{DeleteLimit, TrashKeep};
use syncmgr_engine::tree::Side;
use syncmgr_engine::{Local, Options, Pair, SideGrant, sync};
use syncmgr_plugin::directories::{self, Grant};
use syncmgr_plugin::prelude::*;
use syncmgr_plugin::testing::{Run, SyncManager};

thread_local! {
    static KEEP: Cell<TrashKeep> = const { Cell::new(TrashKeep { seconds: None, bytes: None }) };
    static DRY_RUN: Cell<bool> = const { Cell::new(false) };
}

/// Syncs the grants `left` and `right`.
#[derive(Default)]
struct OnePair;

impl Plugin for OnePair {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("One pair"))
    }

    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(ItemId::from_name("item"), "Item")].into())
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let storage = directories::open_storage()?;
        let grants = directories::grants();
        let grant = |side: Side| -> &Grant {
            grants.iter().find(|grant| grant.name == side.name()).unwrap()
        };
        let side = |side: Side| SideGrant {
            label: side.name(),
            description: format!("the directory `{}`", side.name()),
            is_writable: true,
            id: grant(side).id,
        };
        let pair = Pair { sides: Side::BOTH.map(side) };
        let options = Options {
            max_delete: DeleteLimit::Any,
            trash_keep: KEEP.get(),
            durable: false,
            dry_run: DRY_RUN.get(),
            ..Options::default()
        };
        sync(&pair, &options, &storage, context, |context| {
            let open = |side: Side| Local::open_grant(grant(side), &storage, side, context);
            Ok([Box::new(open(Side::Left)?), Box::new(open(Side::Right)?)])
        })
    }
}

/// Two pairs and their storage.
struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        for name in ["one/left", "one/right", "two/left", "two/right", "storage"] {
            fs::create_dir_all(scene.path(name)).unwrap();
        }
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn manager(&self, left: &str, right: &str) -> SyncManager {
        SyncManager::new()
            .grant("left", self.path(left))
            .grant("right", self.path(right))
            .storage(self.path("storage"))
    }

    fn sync(&self, left: &str, right: &str, keep: &str) -> Run {
        KEEP.set(keep.parse().unwrap());
        let run = self.manager(left, right).run::<OnePair>();
        run.assert_ended(ItemId::from_name("item"), Status::Succeeded);
        run
    }

    /// Deletes a file of one byte on the left, and syncs that.
    fn delete(&self, pair: &str, keep: &str) -> Run {
        let [left, right] = ["left", "right"].map(|side| format!("{pair}/{side}"));
        fs::write(self.path(&left).join("deleted"), "x").unwrap();
        self.sync(&left, &right, "all");
        fs::remove_file(self.path(&left).join("deleted")).unwrap();
        self.sync(&left, &right, keep)
    }

    /// Returns what a run of a pair writes to the file `pair`, and leaves an empty trash.
    fn pair_file(&self, pair: &str) -> String {
        self.delete(pair, "all");
        let runs = names(&self.path("storage/trash"));
        let [run] = &runs[..] else { panic!("{runs:?}") };
        let run = self.path("storage/trash").join(run);
        assert_eq!(names(&run), ["pair", "right"]);
        assert_eq!(fs::read_to_string(run.join("right/deleted")).unwrap(), "x");
        let text = fs::read_to_string(run.join("pair")).unwrap();
        fs::remove_dir_all(&run).unwrap();
        text
    }
}

/// Returns the names in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Returns the name of a run this many days ago.
fn days_ago(days: i64) -> String {
    let time = Timestamp::now() - SignedDuration::from_hours(24 * days);
    time.strftime("%Y-%m-%dT%H%M%S.%9fZ").to_string()
}

/// Whose run it is.
#[derive(Clone, Copy, Debug)]
enum Of {
    Pair,
    Swapped,
    OtherPair,
    Unknown,
    /// In the root of the right side.
    PairInRoot,
    OtherPairInRoot,
}

/// Puts a run with files of 1 KiB into the trash, below a few directories. Returns its directory.
fn put(scene: &Scene, [own, other]: [&str; 2], (of, days, files): (Of, i64, u32)) -> PathBuf {
    let swapped = || {
        let ids: Vec<_> = own.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        format!("left {}\nright {}\n", ids[1], ids[0])
    };
    let stamp = days_ago(days);
    let (run, files_in, pair) = match of {
        Of::PairInRoot | Of::OtherPairInRoot => {
            let trash = scene.path("one/right/.syncmgr-trash");
            (trash.join(&stamp), trash.join(&stamp), trash.join(format!("{stamp}.pair")))
        }
        Of::Pair | Of::Swapped | Of::OtherPair | Of::Unknown => {
            let run = scene.path("storage/trash").join(&stamp);
            (run.clone(), run.join("left"), run.join("pair"))
        }
    };
    for file in 0..files {
        let directory = files_in.join("pair").join(format!("d{file}"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("file"), [0; 1024]).unwrap();
    }
    match of {
        Of::Pair | Of::PairInRoot => fs::write(pair, own).unwrap(),
        Of::Swapped => fs::write(pair, swapped()).unwrap(),
        Of::OtherPair | Of::OtherPairInRoot => fs::write(pair, other).unwrap(),
        Of::Unknown => {}
    }
    run
}

/// Runs in the trash, the setting, and whether each run remains after a run of the pair.
type Row = (&'static [(Of, i64, u32)], &'static str, &'static [bool]);

const ROWS: &[Row] = &[
    (&[(Of::Pair, 400, 1)], "all", &[true]),
    (&[(Of::Pair, 31, 1), (Of::Pair, 29, 1)], "30d", &[false, true]),
    (&[(Of::Swapped, 31, 1), (Of::Swapped, 29, 1)], "30d", &[false, true]),
    (&[(Of::OtherPair, 31, 1), (Of::Unknown, 32, 1)], "30d", &[true, true]),
    (&[(Of::PairInRoot, 31, 1), (Of::OtherPairInRoot, 32, 1)], "30d", &[false, true]),
    (&[(Of::Pair, 2, 1), (Of::Pair, 1, 1)], "0d", &[false, false]),
    // The current run has one byte.
    (&[(Of::Pair, 3, 1), (Of::Pair, 2, 1), (Of::Pair, 1, 1)], "3KiB", &[false, true, true]),
    (&[(Of::Pair, 3, 1), (Of::Pair, 2, 2), (Of::Pair, 1, 1)], "3KiB", &[false, false, true]),
    (&[(Of::Pair, 3, 1), (Of::Pair, 2, 9), (Of::Pair, 1, 9)], "0KiB", &[false, false, false]),
    // Those of other pairs do not count.
    (&[(Of::Pair, 3, 1), (Of::OtherPair, 2, 9), (Of::Unknown, 1, 9)], "3KiB", &[true; 3]),
    // All places count.
    (&[(Of::Pair, 3, 1), (Of::PairInRoot, 2, 1), (Of::Pair, 1, 1)], "3KiB", &[false, true, true]),
    (&[(Of::PairInRoot, 3, 1), (Of::Pair, 2, 2)], "1KiB", &[false, false]),
    (&[(Of::Pair, 31, 1), (Of::Pair, 3, 3), (Of::Pair, 2, 1)], "30d, 2KiB", &[false, false, true]),
];

#[test]
fn old_runs_of_the_pair_are_removed_and_no_others() {
    for (runs, keep, expected) in ROWS {
        let scene = Scene::new();
        let pairs = [scene.pair_file("one"), scene.pair_file("two")];
        assert_ne!(pairs[0], pairs[1]);
        let pairs = [pairs[0].as_str(), pairs[1].as_str()];
        let paths: Vec<_> = runs.iter().map(|run| put(&scene, pairs, *run)).collect();
        let run = scene.delete("one", keep);
        let remain: Vec<_> = paths.iter().map(|path| path.exists()).collect();
        assert_eq!(remain, *expected, "{runs:?} {keep}");
        assert!(run.log.is_empty(), "{runs:?} {keep}: {:?}", run.log);
        // The current run remains, and nothing is left of those that were removed.
        let own = names(&scene.path("storage/trash"));
        let stored = paths.iter().filter(|path| path.starts_with(scene.path("storage")));
        assert_eq!(own.len(), 1 + stored.filter(|path| path.exists()).count(), "{own:?}");
        let in_root = scene.path("one/right/.syncmgr-trash");
        for name in in_root.exists().then(|| names(&in_root)).into_iter().flatten() {
            assert!(in_root.join(name.trim_end_matches(".pair")).exists(), "{name}");
        }
    }
}

#[test]
fn a_preview_removes_nothing() {
    let scene = Scene::new();
    let pairs = [scene.pair_file("one"), String::new()];
    let old = put(&scene, [&pairs[0], &pairs[1]], (Of::Pair, 400, 1));
    DRY_RUN.set(true);
    scene.sync("one/left", "one/right", "0d");
    DRY_RUN.set(false);
    assert!(old.exists());
    // A run without changes removes old runs, too.
    scene.sync("one/left", "one/right", "0d");
    assert!(!old.exists());
}

#[cfg(unix)]
#[test]
fn no_link_is_followed() {
    use std::os::unix::fs::symlink;
    let scene = Scene::new();
    let own = scene.pair_file("one");
    fs::create_dir(scene.path("precious")).unwrap();
    fs::write(scene.path("precious/file"), "x").unwrap();
    fs::write(scene.path("precious/pair"), &own).unwrap();
    let old = put(&scene, [&own, &own], (Of::Pair, 400, 1));
    symlink(scene.path("precious"), old.join("left/directory")).unwrap();
    symlink(scene.path("precious/file"), old.join("left/file")).unwrap();
    symlink(scene.path("precious"), scene.path("storage/trash").join(days_ago(500))).unwrap();
    scene.sync("one/left", "one/right", "0d, 0KiB");
    assert!(!old.exists());
    assert_eq!(names(&scene.path("precious")), ["file", "pair"]);
    assert_eq!(fs::read_to_string(scene.path("precious/file")).unwrap(), "x");
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_cannot_be_removed_is_a_warning_and_remains_one_of_the_pair() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let scene = Scene::new();
    let own = scene.pair_file("one");
    let old = put(&scene, [&own, &own], (Of::Pair, 400, 1));
    let strange = old.join("left").join(OsStr::from_bytes(b"\xff"));
    fs::write(&strange, "x").unwrap();
    let run = scene.delete("one", "30d");
    let log: Vec<_> = run.log.iter().map(|entry| entry.text.as_str()).collect();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].starts_with("cannot remove old runs from the trash: "), "{log:?}");
    assert_eq!(fs::read_to_string(old.join("pair")).unwrap(), own);
    fs::remove_file(&strange).unwrap();
    let run = scene.delete("one", "30d");
    assert!(run.log.is_empty() && !old.exists(), "{:?}", run.log);
}

#[test]
fn an_incomplete_pair_file_counts_as_none() {
    let scene = Scene::new();
    let own = scene.pair_file("one");
    for text in ["", &own[..20], &own.replace("left", "up"), &format!("{own}{own}")] {
        let old = put(&scene, [text, text], (Of::Pair, 400, 1));
        scene.sync("one/left", "one/right", "0d");
        assert!(old.exists(), "{text:?}");
    }
}

#[test]
fn a_full_trash_makes_room_if_old_runs_may_be_removed() {
    for (keep, status) in [("all", Status::Failed), ("30d", Status::Succeeded)] {
        let scene = Scene::new();
        let own = scene.pair_file("one");
        let old = put(&scene, [&own, &own], (Of::Pair, 400, 1));
        fs::write(scene.path("one/left/file"), "x").unwrap();
        scene.sync("one/left", "one/right", "all");
        fs::remove_file(scene.path("one/left/file")).unwrap();
        KEEP.set(keep.parse().unwrap());
        // A deletion that fails for lack of space is tried once more at the end of the run.
        let full =
            |nth, manager: SyncManager| manager.fail("directory.rename", nth, ErrorCode::NoSpace);
        // The first rename is that of the file `pair`.
        let manager = full(3, full(2, scene.manager("one/left", "one/right")));
        let run = manager.run::<OnePair>();
        run.assert_ended(ItemId::from_name("item"), status);
        assert_eq!(old.exists(), keep == "all");
        assert_eq!(scene.path("one/right/file").exists(), keep == "all");
    }
}

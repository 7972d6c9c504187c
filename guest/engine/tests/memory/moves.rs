//! Entries that are moved on one side.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use syncmgr_engine::testing::Memory;
use syncmgr_engine::{Capabilities, Endpoint};
use syncmgr_plugin::prelude::*;

use crate::scene::{CALLS, MOVES, RECEIVED, Scene, Trouble, memory};

/// A side that recognizes moves, and another one whose moves are found by content.
fn sides() -> [Memory; 2] {
    let can =
        Capabilities { renames: true, has_versions: true, at_once: 1, ..Capabilities::default() };
    [
        Memory::with(Capabilities { has_ids: true, at_once: 8, ..can }),
        Memory::with(Capabilities { hashes_cheaply: true, ..can }),
    ]
}

/// A scene with a directory that was synced.
fn synced(side: Memory) -> Scene {
    let scene = Scene::new(side);
    let age = Duration::from_secs(3_600);
    let files = [
        ("d/a", "1"),
        ("d/s/b", "22"),
        ("d/s/c", "333"),
        ("d/k", "55555"),
        ("d/m", "666666"),
        ("d/o", "7777777"),
        ("x", "4444"),
    ];
    for (path, content) in files {
        let file = scene.local().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        let file = fs::File::options().write(true).open(&file).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    assert_eq!(scene.run(), Ok(()));
    RECEIVED.set(0);
    scene
}

/// Moves the directory in the scene, and a file out of it.
fn move_directory(scene: &Scene, in_memory: bool) {
    if in_memory {
        let mut memory = memory();
        memory.create_directory("n", None).unwrap();
        memory.rename("d", "n/e").unwrap();
        memory.rename("n/e/s/b", "b").unwrap();
    } else {
        let at = |path| scene.local().join(path);
        fs::create_dir(at("n")).unwrap();
        fs::rename(at("d"), at("n/e")).unwrap();
        fs::rename(at("n/e/s/b"), at("b")).unwrap();
    }
}

/// Checks the files of both sides, with those of the directory that nothing changes.
fn check_files(scene: &Scene, expected: &[(&str, &str)]) {
    let others = [("n/e/k", "55555"), ("n/e/m", "666666"), ("n/e/o", "7777777")];
    let row = |(path, content): &(&str, &str)| ((*path).to_owned(), content.as_bytes().to_vec());
    let expected: BTreeMap<_, _> = expected.iter().chain(&others).map(row).collect();
    assert_eq!(scene.files(), expected);
    assert_eq!(memory().files(), expected);
}

/// Checks that the move was made on both sides.
fn check_moved(scene: &Scene) {
    let expected = [("b", "22"), ("n/e/a", "1"), ("n/e/s/c", "333"), ("x", "4444")];
    check_files(scene, &expected);
    assert_eq!(memory().stat("d").unwrap(), None);
    assert!(!scene.local().join("d").exists());
}

#[cfg(unix)]
fn inode(scene: &Scene, path: &str) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(scene.local().join(path)).unwrap().ino()
}

#[cfg(unix)]
#[test]
fn moved_entries_are_renamed_on_the_other_side() {
    for side in sides() {
        for in_memory in [false, true] {
            let scene = synced(side.fresh());
            let inodes = ["d/a", "d/s/b", "d/s/c", "x"].map(|path| inode(&scene, path));
            move_directory(&scene, in_memory);
            assert_eq!(scene.run(), Ok(()));
            check_moved(&scene);
            let now = ["n/e/a", "b", "n/e/s/c", "x"].map(|path| inode(&scene, path));
            assert_eq!(now, inodes, "{side:?}");
            assert_eq!((RECEIVED.get(), memory().trash().len()), (0, 0), "{side:?}");
            assert_eq!(MOVES.take(), if in_memory { 0 } else { 2 }, "{side:?}");
            let writes = memory().writes();
            assert_eq!(scene.run(), Ok(()));
            assert_eq!(memory().writes(), writes, "a rerun changes something");
        }
    }
}

/// Runs until a call of the side in memory. Returns whether there were fewer calls.
fn run_until(scene: &Scene, call: u32, is_killed: bool) -> bool {
    let trouble = if is_killed { Trouble::Killed(call) } else { Trouble::CutFrom(call) };
    let run = std::panic::AssertUnwindSafe(|| scene.run_with(Some(trouble)));
    let _ = std::panic::catch_unwind(run);
    CALLS.get() < call
}

#[test]
fn an_interrupted_move_is_completed_without_a_copy() {
    for (side, is_killed) in
        sides().into_iter().flat_map(|side| [(side.clone(), false), (side, true)])
    {
        for in_memory in [false, true] {
            for cut in 1.. {
                let scene = synced(side.fresh());
                move_directory(&scene, in_memory);
                let is_complete = run_until(&scene, cut, is_killed);
                assert_eq!(scene.run(), Ok(()));
                check_moved(&scene);
                let (received, trash) = (RECEIVED.get(), memory().trash().len());
                assert_eq!((received, trash), (0, 0), "{side:?}, cut {cut}");
                assert_eq!(scene.run(), Ok(()));
                if is_complete {
                    assert!(cut > 3, "the case is large enough");
                    break;
                }
            }
        }
    }
}

#[test]
fn edits_in_a_moved_directory_survive_an_interruption_without_a_conflict() {
    for (side, is_killed) in
        sides().into_iter().flat_map(|side| [(side.clone(), false), (side, true)])
    {
        for cut in 1.. {
            let scene = synced(side.fresh());
            move_directory(&scene, false);
            fs::write(scene.local().join("n/e/a"), "edited").unwrap();
            fs::remove_file(scene.local().join("n/e/s/c")).unwrap();
            fs::write(scene.local().join("n/e/new"), "new").unwrap();
            let is_complete = run_until(&scene, cut, is_killed);
            assert_eq!(scene.run(), Ok(()));
            let files = [("b", "22"), ("n/e/a", "edited"), ("n/e/new", "new"), ("x", "4444")];
            check_files(&scene, &files);
            if is_complete {
                break;
            }
        }
    }
}

#[test]
fn a_failed_move_is_tried_again_and_an_impossible_one_is_copied() {
    for side in sides() {
        for code in [
            ErrorCode::AccessDenied,
            ErrorCode::NotImplemented,
            ErrorCode::NoSpace,
            ErrorCode::Busy,
        ] {
            let scene = synced(side.fresh());
            move_directory(&scene, false);
            let before = memory().files();
            let trouble = Some(Trouble::NotMoved(code));
            let _ = scene.run_with(trouble.clone());
            assert_eq!(memory().files(), before, "{side:?}, {code:?}");
            if code == ErrorCode::NotImplemented {
                assert_eq!(scene.run_with(trouble), Ok(()), "{side:?}");
            } else {
                let _ = scene.run_with(trouble);
                assert_eq!(memory().files(), before, "{side:?}, {code:?}");
                assert_eq!(scene.run(), Ok(()), "{side:?}, {code:?}");
            }
            check_moved(&scene);
            let copied = if code == ErrorCode::NotImplemented { 6 } else { 0 };
            let (received, trash) = (RECEIVED.get(), memory().trash().len());
            assert_eq!((received, trash), (copied, copied as usize), "{side:?}, {code:?}");
        }
    }
}

#[test]
fn a_postponed_move_is_made_after_the_baseline_was_saved_and_the_plugin_killed() {
    let scene = synced(sides()[0].fresh());
    move_directory(&scene, false);
    let new: BTreeMap<_, _> = (0..400_u32)
        .map(|number| (format!("new{number}"), number.to_le_bytes().to_vec()))
        .collect();
    for (name, content) in &new {
        fs::write(scene.local().join(name), content).unwrap();
    }
    let run = || scene.run_with(Some(Trouble::InUseAndKilled(1_050)));
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let received = RECEIVED.get();
    assert!((257..400).contains(&received), "{received} files were copied");
    assert_eq!(scene.run(), Ok(()));
    let files = scene.files();
    assert_eq!(files, memory().files());
    for (path, content) in [("n/e/a", "1"), ("b", "22"), ("n/e/s/c", "333"), ("n/e/k", "55555")] {
        assert_eq!(files.get(path).map(Vec::as_slice), Some(content.as_bytes()), "{path}");
    }
    assert_eq!(files.len(), 7 + new.len(), "nothing came back: {:?}", files.keys());
}

//! Random edits on both sides, calls that fail or whose answer is lost, edits in the middle of a
//! run, and runs that were interrupted, with every combination of what a side can do.

use std::fs;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use syncmgr_engine::testing::Memory;
use syncmgr_engine::tree::{moved_path, split};
use syncmgr_engine::{Capabilities, Endpoint};

use crate::scene::{Scene, Trouble, WRITTEN, memory};

/// An edit of one side.
#[derive(Clone, Debug)]
enum Edit {
    Write(String, u8),
    Delete(String),
    /// Moves a file or a directory, if it exists and its new path does not.
    Rename(String, String),
}

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "d/a", "d/b", "d/e/a", "x"]).prop_map(str::to_owned)
}

fn any_path() -> impl Strategy<Value = String> {
    let paths = vec!["a", "b", "d", "d/a", "d/e", "d/e/a", "f", "f/e", "f/x", "x"];
    prop::sample::select(paths).prop_map(str::to_owned)
}

fn edits() -> impl Strategy<Value = Vec<(bool, Edit)>> {
    let write = (path(), any::<u8>()).prop_map(|(path, text)| Edit::Write(path, text));
    let delete = path().prop_map(Edit::Delete);
    let rename = (any_path(), any_path()).prop_map(|(path, to)| Edit::Rename(path, to));
    let edit = prop_oneof![3 => write, 1 => delete, 3 => rename];
    prop::collection::vec((any::<bool>(), edit), 0..8)
}

/// A side with any capabilities.
fn side() -> impl Strategy<Value = Memory> {
    any::<[bool; 5]>().prop_map(
        |[hashes_cheaply, has_only_times, works_at_once, renames, has_ids]| {
            let memory = Memory::with(Capabilities {
                at_once: if works_at_once { 8 } else { 1 },
                hashes_cheaply,
                // The times of the side never repeat.
                has_versions: true,
                renames,
                has_ids: has_ids && !has_only_times,
                ..Capabilities::default()
            });
            if has_only_times { memory.with_only_times() } else { memory }
        },
    )
}

fn trouble() -> impl Strategy<Value = Option<Trouble>> {
    let edited = (0..60_u32, path(), any::<u8>());
    prop::option::of(prop_oneof![
        (1..60_u32).prop_map(Trouble::CutFrom),
        (1..60_u32).prop_map(Trouble::Lost),
        edited.prop_map(|(call, path, text)| Trouble::Edited(call, path, text)),
        (1..60_u32).prop_map(Trouble::Killed),
        (1..60_u32).prop_map(Trouble::InUseAndKilled),
    ])
}

/// A mode in which both sides become equal, and every version is kept.
fn mode() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["two-way-safe", "prefer-left", "prefer-right", "newer"])
}

/// Applies edits. Every content is unique.
fn apply(scene: &Scene, edits: &[(bool, Edit)], round: u8) {
    for (number, (in_memory, edit)) in edits.iter().enumerate() {
        let number = u8::try_from(number).unwrap();
        match (edit, in_memory) {
            (Edit::Write(path, text), true) => {
                memory().put(path, &[*text, round, number, 1]);
            }
            (Edit::Write(path, text), false) => {
                let file = scene.local().join(path);
                // There may be a file above it, or a directory in its place.
                if fs::create_dir_all(file.parent().unwrap()).is_err()
                    || fs::write(&file, [*text, round, number, 2]).is_err()
                {
                    continue;
                }
                let age = Duration::from_secs(3_600 - 60 * u64::from(round));
                let file = fs::File::options().write(true).open(&file).unwrap();
                file.set_modified(SystemTime::now() - age).unwrap();
            }
            (Edit::Delete(path), true) => drop(memory().remove(path, None)),
            (Edit::Delete(path), false) => drop(fs::remove_file(scene.local().join(path))),
            (Edit::Rename(path, to), _) if moved_path(to, path, "").is_some() => {}
            (Edit::Rename(path, to), true) => {
                let mut memory = memory();
                if memory.stat(path).unwrap().is_some() {
                    if !split(to).0.is_empty() {
                        let _ = memory.create_directory(split(to).0, None);
                    }
                    let _ = memory.rename(path, to);
                }
            }
            (Edit::Rename(path, to), false) => {
                let [path, to] = [path, to].map(|path| scene.local().join(path));
                if path.exists() && !to.exists() {
                    let _ = fs::create_dir_all(to.parent().unwrap());
                    let _ = fs::rename(path, to);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_both_sides_become_equal(
        side in side(), first in edits(), second in edits(), trouble in trouble(), mode in mode(),
        is_swapped in any::<bool>(),
    ) {
        let mut scene = Scene::new(side).swapped(is_swapped);
        scene.settings.push(("mode", mode));
        for (round, edits) in [(1, &first), (2, &second)] {
            apply(&scene, edits, round);
            let mut before = scene.existing();
            if round == 2 && trouble.is_some() {
                // It may fail.
                let run = || scene.run_with(trouble.clone());
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                let [written, replaced] = WRITTEN.take();
                before.extend(written);
                before.retain(|content| Some(content) != replaced.as_ref());
            }
            // A conflict takes one run, and what it postpones another one.
            prop_assert_eq!(scene.run(), Ok(()));
            prop_assert_eq!(scene.run(), Ok(()));
            prop_assert_eq!(&scene.files(), &memory().files());
            let kept = scene.contents();
            for content in &before {
                prop_assert!(kept.contains(content), "{:?} is lost", content);
            }
        }
        let writes = memory().writes();
        prop_assert_eq!(scene.run(), Ok(()));
        prop_assert_eq!(memory().writes(), writes, "a rerun changes something");
    }
}

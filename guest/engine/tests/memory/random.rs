//! Random edits on both sides, calls that fail or whose answer is lost, edits in the middle of a
//! run, and runs that were interrupted, with every combination of what a side can do.

use proptest::prelude::*;
use syncmgr_engine::Capabilities;
use syncmgr_engine::testing::Memory;

use crate::edit::Edit;
use crate::scene::{CHANGED, Scene, Trouble, memory};

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "d/a", "d/b", "d/e/a", "x"]).prop_map(str::to_owned)
}

fn any_path() -> impl Strategy<Value = String> {
    let paths = vec!["a", "b", "d", "d/a", "d/e", "d/e/a", "f", "f/e", "f/x", "x"];
    prop::sample::select(paths).prop_map(str::to_owned)
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => (path(), any::<u8>()).prop_map(|(path, text)| Edit::Write(path, text)),
        1 => (path(), path()).prop_map(|(path, to)| Edit::Copy(path, to)),
        2 => path().prop_map(Edit::Delete),
        1 => any_path().prop_map(Edit::DeleteAll),
        6 => (any_path(), any_path()).prop_map(|(path, to)| Edit::Rename(path, to)),
    ]
}

fn edits() -> impl Strategy<Value = Vec<(bool, Edit)>> {
    prop::collection::vec((any::<bool>(), edit()), 0..8)
}

/// A side with any capabilities.
fn side() -> impl Strategy<Value = Memory> {
    any::<[bool; 6]>().prop_map(
        |[hashes_cheaply, has_only_times, works_at_once, renames, has_ids, copies]| {
            let memory = Memory::with(Capabilities {
                at_once: if works_at_once { 8 } else { 1 },
                hashes_cheaply,
                // The times of the side never repeat.
                has_versions: true,
                renames,
                has_ids: has_ids && !has_only_times && !copies,
                ..Capabilities::default()
            });
            let memory = if copies { memory.with_copies() } else { memory };
            if has_only_times { memory.with_only_times() } else { memory }
        },
    )
}

fn trouble() -> impl Strategy<Value = Option<Trouble>> {
    let edited = (0..60_u32, any::<bool>(), edit());
    prop::option::of(prop_oneof![
        1 => (1..60_u32).prop_map(Trouble::CutFrom),
        1 => (1..60_u32).prop_map(Trouble::Lost),
        4 => edited.prop_map(|(call, in_memory, edit)| Trouble::Edited(call, in_memory, edit)),
        1 => (1..60_u32).prop_map(Trouble::Killed),
        1 => (1..60_u32).prop_map(Trouble::InUseAndKilled),
    ])
}

/// A mode in which both sides become equal, and every version is kept.
fn mode() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["two-way-safe", "prefer-left", "prefer-right", "newer"])
}

/// Applies edits.
fn apply(scene: &Scene, edits: &[(bool, Edit)], round: u8) {
    for (number, (in_memory, edit)) in edits.iter().enumerate() {
        let numbers = [round, u8::try_from(number).unwrap(), u8::from(*in_memory)];
        let local = scene.local();
        edit.make((!in_memory).then_some(&local), numbers, 3_600 - 60 * u64::from(round));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_both_sides_become_equal(
        side in side(), first in edits(), second in edits(), trouble in trouble(), mode in mode(),
        is_swapped in any::<bool>(), has_trash in any::<bool>(),
    ) {
        let mut scene = Scene::new(side).swapped(is_swapped);
        match has_trash {
            true => scene.settings.push(("mode", mode)),
            false => scene.settings.push(("trash", "false")),
        }
        for (round, edits) in [(1, &first), (2, &second)] {
            let old = scene.existing();
            apply(&scene, edits, round);
            let mut before = scene.existing();
            if !has_trash {
                // Synced versions may be gone, and new ones may not.
                before.retain(|content| !old.contains(content));
            }
            if round == 2 && trouble.is_some() {
                // It may fail.
                let run = || scene.run_with(trouble.clone());
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                let changed = CHANGED.take();
                before.extend(changed.written);
                before.retain(|content| !changed.replaced.contains(content));
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

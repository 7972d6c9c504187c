//! Random edits with random servers. Names change between files and directories.

use std::fs;

use proptest::prelude::*;

use crate::quirks::{Quirks, Tags};
use crate::scene::Scene;
use crate::world::Event;

/// An edit of one side.
#[derive(Clone, Debug)]
enum Edit {
    /// Writes a file, in the place of whatever has its name or that of a directory above it.
    Write(&'static str),
    Delete(&'static str),
    MakeDirectory(&'static str),
}

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "a/b", "a/b/c", "b", "b/c", "c", "c/a", "d e/100%"])
}

fn edits() -> impl Strategy<Value = Vec<(bool, Edit)>> {
    let edit = prop_oneof![
        4 => path().prop_map(Edit::Write),
        2 => path().prop_map(Edit::Delete),
        1 => path().prop_map(Edit::MakeDirectory),
    ];
    prop::collection::vec((any::<bool>(), edit), 0..8)
}

fn quirks() -> impl Strategy<Value = Quirks> {
    let tags = prop::sample::select(vec![Tags::Content, Tags::Version, Tags::None]);
    (tags, any::<[bool; 9]>()).prop_map(|(tags, flags)| {
        let [matches, completes, versions, copies, deletes, versioned, raw, backwards, pages] =
            flags;
        Quirks {
            tags,
            ignores_if_match: matches,
            completes_always: completes,
            completes_any_version: versions,
            copies_always: copies,
            deletes_always: deletes,
            is_versioned: versioned,
            lists_raw: raw,
            lists_backwards: backwards,
            page: if pages { 3 } else { 0 },
            ..Quirks::default()
        }
    })
}

/// Applies edits. Every content is unique.
fn apply(scene: &Scene, edits: &[(bool, Edit)], round: u64) {
    for (number, (is_remote, edit)) in edits.iter().enumerate() {
        let content = format!("{round} {number} {is_remote}");
        match (edit, is_remote) {
            (Edit::Write(path), true) => {
                scene.server.with(|world| world.clear(path));
                scene.edit(path, Some(content.as_bytes()));
            }
            (Edit::Write(path), false) => {
                clear(scene, path);
                scene.write(path, content.as_bytes(), 3_600 - 60 * round);
            }
            (Edit::Delete(path), true) => scene.server.with(|world| world.clear(path)),
            (Edit::Delete(path), false) => clear(scene, path),
            (Edit::MakeDirectory(path), true) => {
                scene.server.with(|world| world.clear(path));
                scene.edit(&format!("{path}/"), Some(b""));
            }
            (Edit::MakeDirectory(path), false) => {
                clear(scene, path);
                fs::create_dir_all(scene.local_path().join(path)).unwrap();
            }
        }
    }
}

/// Removes what has a path, and files that have the name of a directory above it.
fn clear(scene: &Scene, path: &str) {
    let root = scene.local_path();
    for (end, _) in path.match_indices('/') {
        let _ = fs::remove_file(root.join(&path[..end]));
    }
    let _ = fs::remove_file(root.join(path));
    let _ = fs::remove_dir_all(root.join(path));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_both_sides_become_equal(
        quirks in quirks(), in_parts: bool, first in edits(), second in edits(),
        cut in prop::option::of((0_usize..60, any::<bool>())),
    ) {
        let mut scene = Scene::new(quirks);
        scene.settings = vec![("max-delete", "any")];
        scene.in_parts = in_parts;
        for (round, edits) in [(1, &first), (2, &second)] {
            apply(&scene, edits, round);
            let versions = scene.versions();
            if round == 2 {
                scene.server.with(|world| {
                    let begun = world.requests.len();
                    match cut {
                        Some((after, true)) => world.down_from = Some(begun + after),
                        Some((after, false)) => {
                            world.events.insert(begun + after, Event::CutAfter);
                        }
                        None => {}
                    }
                });
                // It may fail.
                scene.run();
                scene.server.with(|world| {
                    world.events.clear();
                    world.down_from = None;
                });
            }
            let settled = scene.settle().and_then(|()| scene.check(&versions));
            prop_assert_eq!(settled, Ok(()));
        }
        prop_assert_eq!(scene.check_rerun(), Ok(()));
    }
}

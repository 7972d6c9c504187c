//! Random edits with random servers.

use std::fs;

use proptest::prelude::*;

use crate::quirks::{Hrefs, PutTag, Quirks, Tags, Times};
use crate::scene::Scene;
use crate::world::Event;

/// An edit of one side.
#[derive(Clone, Debug)]
enum Edit {
    Write(&'static str),
    Delete(&'static str),
    /// Moves a file or a directory.
    Rename(&'static str, &'static str),
}

fn path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "d/a", "d/b", "d/e/a", "x", "x y/\u{e9}", "d/100%"])
}

fn edits() -> impl Strategy<Value = Vec<(bool, Edit)>> {
    let old = prop::sample::select(vec!["a", "b", "d", "d/a", "d/e", "m", "x", "x y"]);
    let new = prop::sample::select(vec!["m", "n", "d/m", "d/e/m"]);
    let edit = prop_oneof![
        3 => path().prop_map(Edit::Write),
        1 => path().prop_map(Edit::Delete),
        1 => (old, new).prop_map(|(path, to)| Edit::Rename(path, to)),
    ];
    prop::collection::vec((any::<bool>(), edit), 0..8)
}

fn quirks() -> impl Strategy<Value = Quirks> {
    let tags = [Tags::Exact, Tags::Weak, Tags::New, Tags::Seconds, Tags::Joined, Tags::None];
    let put = [PutTag::Right, PutTag::None, PutTag::Foreign];
    let times = [Times::Now, Times::Accepted, Times::Before1970, Times::Garbage];
    let hrefs = [
        Hrefs::Paths,
        Hrefs::Absolute,
        Hrefs::OtherHost,
        Hrefs::Unencoded,
        Hrefs::LowerCase,
        Hrefs::All,
    ];
    let one_of = (
        prop::sample::select(tags.to_vec()),
        prop::sample::select(put.to_vec()),
        prop::sample::select(times.to_vec()),
        prop::sample::select(hrefs.to_vec()),
    );
    (one_of, any::<[bool; 12]>()).prop_map(|((tags, tag_of_put, times, hrefs), flags)| {
        let [
            get,
            conditions,
            cut,
            split,
            composes,
            moves,
            slash,
            makes,
            retags,
            retimes,
            ids,
            reids,
        ] = flags;
        // Without tags, only the time shows that another file has the same size.
        let has_versions = matches!(tags, Tags::Exact | Tags::Weak);
        Quirks {
            tags,
            tag_of_put,
            times: if has_versions { times } else { Times::Now },
            hrefs,
            other_tag_of_get: get,
            ignores_conditions: conditions,
            keeps_cut_puts: cut,
            splits_propstats: split,
            composes_names: composes,
            moves_collections_by_207: moves,
            needs_slash: slash,
            makes_existing: makes,
            moves_change_tags: retags,
            moves_change_times: retimes,
            is_nextcloud: ids,
            moves_change_ids: reids,
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
                scene.edit(path, Some(content.as_bytes()));
            }
            (Edit::Write(path), false) => scene.write(path, content.as_bytes(), 3_600 - 60 * round),
            (Edit::Rename(path, to), true) => {
                scene.server.with(|world| world.rename(path, to));
            }
            (Edit::Rename(path, to), false) => {
                let [path, to] = [path, to].map(|path| scene.local_path().join(path));
                if !to.exists() {
                    let _ = fs::rename(path, to);
                }
            }
            (Edit::Delete(path), true) => scene.edit(path, None),
            (Edit::Delete(path), false) => scene.remove(path),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_both_sides_become_equal(
        quirks in quirks(), first in edits(), second in edits(),
        cut in prop::option::of((0_usize..60, any::<bool>())),
        edited in prop::option::of((0_usize..60, path())),
    ) {
        let mut scene = Scene::new(quirks);
        scene.settings = vec![("max-delete", "any")];
        for (round, edits) in [(1, &first), (2, &second)] {
            apply(&scene, edits, round);
            let mut versions = scene.versions();
            if round == 2 {
                let new = b"edited during the run".to_vec();
                scene.server.with(|world| {
                    let first = world.requests.len();
                    if let Some((after, path)) = edited {
                        let edit = Event::Edit(path.to_owned(), Some(new.clone()));
                        world.events.insert(first + after, edit);
                    }
                    match cut {
                        Some((after, true)) => world.down_from = Some(first + after),
                        Some((after, false)) => {
                            world.events.insert(first + after, Event::CutAfter);
                        }
                        None => {}
                    }
                });
                // It may fail.
                scene.run();
                scene.server.with(|world| {
                    world.events.clear();
                    world.down_from = None;
                    if world.contents().contains(&new) {
                        versions.insert(new);
                    }
                });
            }
            let settled = scene.settle().and_then(|()| scene.check(&versions));
            prop_assert_eq!(settled, Ok(()));
        }
        prop_assert_eq!(scene.check_rerun(), Ok(()));
    }
}

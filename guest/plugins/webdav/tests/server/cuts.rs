//! Connections that are cut, and other clients that edit, at every request of a run.

use std::collections::BTreeMap;

use crate::quirks::{Quirks, Tags};
use crate::scene::Scene;
use crate::world::Event;

/// Returns a synced and then changed scene.
fn scene(quirks: &Quirks) -> Scene {
    let scene = Scene::new(quirks.clone());
    scene.fill();
    scene.settle().unwrap();
    scene.change();
    scene
}

/// Calls `disturb` with the number of each request of a run. Afterwards, two runs without
/// disturbance make both sides equal, and no version is lost.
fn at_every_request(quirks: &Quirks, name: &str, disturb: impl Fn(&Scene, usize)) {
    let (first, last) = {
        let scene = scene(quirks);
        let first = scene.server.with(|world| world.requests.len());
        scene.succeed().unwrap();
        (first, scene.server.with(|world| world.requests.len()))
    };
    assert!(last - first > 20, "{name} has only {} requests", last - first);
    for number in first..last {
        let scene = scene(quirks);
        let versions = scene.versions();
        disturb(&scene, number);
        scene.run();
        let new = scene.server.with(|world| {
            let edits = world.events.values().filter_map(|event| match event {
                Event::Edit(_, content) => content.clone(),
                Event::CutBefore | Event::CutAfter => None,
            });
            let new: Vec<_> = edits.collect();
            world.events.clear();
            world.down_from = None;
            new
        });
        let versions = versions.into_iter().chain(new).collect();
        let settled = scene
            .check_kept(&versions)
            .and_then(|()| scene.settle())
            .and_then(|()| scene.check(&versions))
            .and_then(|()| scene.check_rerun());
        let requests = scene.server.with(|world| world.requests.clone());
        let around: Vec<_> = requests.iter().skip(number.saturating_sub(6)).take(9).collect();
        settled.unwrap_or_else(|why| {
            panic!("{name} at request {} of {}: {why}\n{around:#?}", number - first, last - first)
        });
    }
}

#[test]
fn a_cut_connection_loses_nothing() {
    for (name, event) in [("cut before", Event::CutBefore), ("cut after", Event::CutAfter)] {
        for keeps_cut_puts in [false, true] {
            let quirks = Quirks { keeps_cut_puts, ..Quirks::default() };
            at_every_request(&quirks, name, |scene, number| {
                scene.server.with(|world| world.events = BTreeMap::from([(number, event.clone())]));
            });
        }
    }
}

#[test]
fn a_server_that_goes_down_loses_nothing() {
    for (name, first) in [("down before", Event::CutBefore), ("down after", Event::CutAfter)] {
        let quirks = Quirks { keeps_cut_puts: true, ..Quirks::default() };
        at_every_request(&quirks, name, |scene, number| {
            scene.server.with(|world| {
                world.events = BTreeMap::from([(number, first.clone())]);
                world.down_from = Some(number + 1);
            });
        });
    }
}

#[test]
fn an_edit_of_another_client_meanwhile_is_not_lost() {
    let paths = ["l/replaced", "l/deleted", "l/new", "l/fresh/a", "l/gone/a", "both", "r/replaced"];
    for (tags, ignores_conditions) in [(Tags::Exact, true), (Tags::Weak, false)] {
        let quirks = Quirks { tags, ignores_conditions, ..Quirks::default() };
        for path in paths {
            at_every_request(&quirks, path, |scene, number| {
                let edit = Event::Edit(path.to_owned(), Some(b"edited meanwhile".to_vec()));
                scene.server.with(|world| world.events = BTreeMap::from([(number, edit)]));
            });
        }
    }
}

//! Downloads whose connection is cut, and which are continued.

use std::collections::BTreeMap;

use syncmgr_plugin::testing::Run;

use crate::quirks::{Quirks, Ranges, Tags, Times};
use crate::scene::{Scene, copied, is_success, log};
use crate::world::Event;

/// Not a multiple of the size of a part, and larger than a file that is copied with others.
const SIZE: usize = (2 << 20) + 12_345;

fn content(seed: u8) -> Vec<u8> {
    let mut bytes = blake3::Hasher::new().update(&[seed]).finalize_xof();
    let mut content = vec![0; SIZE];
    bytes.fill(&mut content);
    content
}

/// A scene with a large file on the server, and the number of its request.
fn scene(quirks: Quirks) -> (Scene, usize) {
    let fill = |quirks| {
        let scene = Scene::new(quirks);
        scene.edit("kept", Some(b"kept"));
        scene.settle().unwrap();
        scene.edit("large", Some(&content(1)));
        // So that its second is over.
        scene.edit("later", Some(b"later"));
        scene
    };
    let reference = fill(Quirks { cuts_gets: None, ranges: Ranges::Right, ..quirks.clone() });
    reference.succeed().unwrap();
    let is_get = |request: &String| request.starts_with("GET") && request.ends_with("/large");
    let get = reference.server.with(|world| world.requests.iter().position(is_get)).unwrap();
    (fill(quirks), get)
}

/// Runs the plugin, and returns the number of GETs of the large file, too.
fn run(scene: &Scene) -> (Run, usize) {
    let run = scene.run();
    let is_get = |request: &&String| request.starts_with("GET") && request.ends_with("/large");
    let gets = scene.server.with(|world| world.requests.iter().filter(is_get).count());
    (run, gets)
}

fn settles(scene: &Scene, expected: &[u8]) {
    scene.server.with(|world| {
        world.events.clear();
        world.quirks.cuts_gets = None;
    });
    scene.settle().unwrap();
    assert!(scene.local()["large"] == expected);
    scene.check(&scene.versions()).unwrap();
    scene.check_rerun().unwrap();
}

#[test]
fn a_cut_download_is_continued_in_the_same_run() {
    let rows = [
        ("nothing", Quirks::default()),
        ("Range is ignored", Quirks { ranges: Ranges::Ignored, ..Quirks::default() }),
        ("If-Range is ignored", Quirks { ranges: Ranges::Unconditional, ..Quirks::default() }),
        ("GET has another tag", Quirks { other_tag_of_get: true, ..Quirks::default() }),
        ("coarse tags", Quirks { tags: Tags::Seconds, ..Quirks::default() }),
    ];
    for (name, quirks) in rows {
        for bytes in [0, 1, 300_000, 1 << 20, SIZE - 1] {
            let (scene, get) = scene(quirks.clone());
            scene.server.with(|world| world.events = [(get, Event::CutBody(bytes))].into());
            let (run, gets) = run(&scene);
            assert!(is_success(&run), "{name}, {bytes}: {run:#?}");
            assert_eq!((gets, copied(&run)), (2, 2), "{name}, {bytes}: {}", log(&run));
            assert!(scene.local()["large"] == content(1), "{name}, {bytes}");
            settles(&scene, &content(1));
        }
    }
}

#[test]
fn a_download_that_is_cut_again_and_again_is_continued_while_it_makes_progress() {
    for (ranges, bytes, is_complete, most) in [
        (Ranges::Right, 900_000, true, 3),
        (Ranges::Right, 400_000, true, 6),
        // Each answer begins at the start again.
        (Ranges::Ignored, 900_000, false, 6),
        // A server that sends one byte for each request.
        (Ranges::Right, 1, false, 6),
        // All files fail, so the engine tries it once more without the others.
        (Ranges::Right, 0, false, 10),
    ] {
        let (scene, _) = scene(Quirks { ranges, cuts_gets: Some(bytes), ..Quirks::default() });
        let (run, gets) = run(&scene);
        assert_eq!(scene.local().contains_key("large"), is_complete, "{ranges:?}, {bytes}: {gets}");
        assert!(gets <= most, "{ranges:?}, {bytes}: {gets} requests: {}", log(&run));
        settles(&scene, &content(1));
    }
}

#[test]
fn a_wrong_range_is_not_used() {
    for (quirks, gets) in [
        (Quirks { ranges: Ranges::Shifted, ..Quirks::default() }, 2),
        (Quirks { ranges: Ranges::Short, ..Quirks::default() }, 2),
        (Quirks { ranges: Ranges::Unnamed, ..Quirks::default() }, 2),
        (Quirks { ranges: Ranges::Status(500), ..Quirks::default() }, 2),
        // The rest of another version could follow.
        (Quirks { tags: Tags::Weak, ..Quirks::default() }, 1),
        (Quirks { tags: Tags::New, ..Quirks::default() }, 1),
        (Quirks { tags: Tags::None, ..Quirks::default() }, 1),
        (Quirks { tags: Tags::Seconds, times: Times::None, ..Quirks::default() }, 1),
    ] {
        let (scene, get) = scene(quirks.clone());
        scene.server.with(|world| world.events = [(get, Event::CutBody(300_000))].into());
        let (run, found) = run(&scene);
        assert_eq!(found, gets, "{quirks:?}: {}", log(&run));
        assert!(log(&run).contains("cannot copy large"), "{quirks:?}: {}", log(&run));
        assert!(!scene.local().contains_key("large"), "{quirks:?}");
        settles(&scene, &content(1));
    }
}

/// Another client replaces or deletes the file after the cut.
#[test]
fn the_rest_of_another_version_is_not_used() {
    for ranges in [Ranges::Right, Ranges::Ignored, Ranges::Unconditional] {
        for new in [Some(content(2)), Some(b"short".to_vec()), None] {
            let (scene, get) = scene(Quirks { ranges, ..Quirks::default() });
            let edit = Event::Edit("large".to_owned(), new.clone());
            let events_of_run = BTreeMap::from([(get, Event::CutBody(300_000)), (get + 1, edit)]);
            scene.server.with(|world| world.events = events_of_run);
            let (run, gets) = run(&scene);
            assert_eq!(gets, 2, "{ranges:?}");
            assert!(log(&run).contains("changed during the sync"), "{ranges:?}: {}", log(&run));
            assert!(!scene.local().contains_key("large"), "{ranges:?}");
            match new {
                Some(new) => settles(&scene, &new),
                None => {
                    scene.server.with(|world| world.events.clear());
                    scene.settle().unwrap();
                    scene.check_rerun().unwrap();
                }
            }
        }
    }
}

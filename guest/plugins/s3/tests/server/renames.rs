//! Entries that are renamed on the server.

use std::fs;

use crate::quirks::{Quirks, Tags};
use crate::scene::{Scene, is_success, log};
use crate::world::Event;

/// The files of the tests.
const NAMES: [&str; 6] = ["d/a", "d/b", "d/e\u{301}/c", "file", "x", "y"];

fn scene(quirks: &Quirks) -> Scene {
    let scene = Scene::new(quirks.clone());
    for name in NAMES {
        scene.write(name, format!("{name}, its content").as_bytes(), 500);
    }
    fs::create_dir(scene.local_path().join("d/empty")).unwrap();
    scene.settle().unwrap();
    scene
}

fn rename(scene: &Scene, from: &str, to: &str) {
    fs::rename(scene.local_path().join(from), scene.local_path().join(to)).unwrap();
}

/// A copy has another time, and with some servers another version tag.
#[test]
fn what_is_renamed_is_neither_sent_nor_received() {
    for quirks in [
        Quirks::default(),
        Quirks { page: 2, ..Quirks::default() },
        Quirks { tags: Tags::Version, ..Quirks::default() },
        Quirks { tags: Tags::None, ..Quirks::default() },
        Quirks { deletes_always: true, ..Quirks::default() },
        Quirks { is_versioned: true, ..Quirks::default() },
    ] {
        let scene = scene(&quirks);
        rename(&scene, "d", "moved");
        rename(&scene, "file", "moved/renamed");
        scene.server.with(|world| world.clock += 1_000);
        let requests = scene.requests_of(|scene| {
            scene.succeed().unwrap();
            scene.check_rerun().unwrap();
        });
        let is_content = |request: &&String| {
            let is_put = request.starts_with("PUT") && !request.contains("x-amz-copy-source");
            let is_get = request.starts_with("GET") && !request.contains("list-type");
            is_put || is_get
        };
        let contents: Vec<_> = requests.iter().filter(is_content).collect();
        assert!(contents.is_empty(), "{quirks:?}: {contents:#?}");
        let names: Vec<_> = scene.remote().into_keys().collect();
        let expected = [
            "moved/",
            "moved/a",
            "moved/b",
            "moved/empty/",
            "moved/e\u{301}/",
            "moved/e\u{301}/c",
            "moved/renamed",
            "x",
            "y",
        ];
        assert_eq!(names, expected, "{quirks:?}");
        scene.check(&scene.versions()).unwrap();
        // An edit after it is no conflict.
        scene.write("moved/a", b"edited", 400);
        let run = scene.succeed().unwrap();
        assert!(!log(&run).contains("both changed"), "{quirks:?}: {}", log(&run));
        assert_eq!(scene.remote()["moved/a"], b"edited", "{quirks:?}");
    }
}

#[test]
fn a_directory_with_keys_that_are_no_paths_is_copied() {
    let scene = scene(&Quirks::default());
    scene.edit("d//skipped", Some(b"skipped"));
    rename(&scene, "d", "moved");
    // The first run finds out that the server cannot rename it.
    for _ in 0..3 {
        assert!(is_success(&scene.run()));
    }
    assert_eq!(scene.object("d//skipped").content, b"skipped");
    assert_eq!(scene.remote()["moved/a"], b"d/a, its content");
    assert!(scene.local().contains_key("moved/a") && !scene.local().contains_key("d/a"));
}

/// Another client writes an object while its directory is renamed.
#[test]
fn an_object_that_changes_during_a_rename_is_kept() {
    let (first, last) = {
        let scene = scene(&Quirks::default());
        rename(&scene, "d", "moved");
        let first = scene.server.with(|world| world.requests.len());
        scene.succeed().unwrap();
        (first, scene.server.with(|world| world.requests.len()))
    };
    for number in first..last {
        for path in ["d/a", "d/new", "moved/b", "moved/new"] {
            let scene = scene(&Quirks::default());
            rename(&scene, "d", "moved");
            let edit = Event::Edit(path.to_owned(), Some(b"of another client".to_vec()));
            scene.server.with(|world| world.events.insert(number, edit));
            scene.run();
            scene.settle().unwrap();
            let kept = NAMES.iter().map(|name| format!("{name}, its content").into_bytes());
            let kept = kept.chain([b"of another client".to_vec()]).collect();
            scene.check(&kept).unwrap_or_else(|why| panic!("{path} at {number}: {why}"));
        }
    }
}

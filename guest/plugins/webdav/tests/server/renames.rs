//! Entries that are renamed on the server.

use std::collections::BTreeMap;
use std::fs;

use crate::quirks::Quirks;
use crate::scene::{Scene, log};
use crate::world::Event;

/// Where a move changes the fingerprints of files, they seem to be changed on the server.
#[test]
fn a_file_that_is_edited_after_a_move_of_its_directory_is_no_conflict() {
    for (moves_change_tags, moves_change_times) in
        [(false, false), (true, false), (false, true), (true, true)]
    {
        let quirks = Quirks { moves_change_tags, moves_change_times, ..Quirks::default() };
        let scene = Scene::new(quirks.clone());
        for name in ["d/a", "d/b", "x"] {
            scene.write(name, name.as_bytes(), 500);
        }
        scene.settle().unwrap();
        fs::rename(scene.local_path().join("d"), scene.local_path().join("moved")).unwrap();
        scene.succeed().unwrap();
        scene.write("moved/a", b"edited", 400);
        let run = scene.succeed().unwrap();
        assert!(!log(&run).contains("both changed"), "{quirks:?}: {}", log(&run));
        let names: Vec<_> = scene.remote().into_keys().collect();
        assert_eq!(names, ["moved/", "moved/a", "moved/b", "x"], "{quirks:?}");
        assert_eq!(scene.remote()["moved/a"], b"edited", "{quirks:?}");
    }
}

/// The server answers 404 to the move, and another file is at the new place.
#[test]
fn a_file_of_another_client_is_not_taken_for_the_moved_one() {
    let scene = || {
        let scene = Scene::new(Quirks::default());
        for name in ["a", "x", "y", "z"] {
            scene.write(name, name.as_bytes(), 500);
        }
        scene.write("a", b"a file that is moved", 500);
        scene.settle().unwrap();
        fs::rename(scene.local_path().join("a"), scene.local_path().join("b")).unwrap();
        let first = scene.server.with(|world| world.requests.len());
        (scene, first)
    };
    let moved = {
        let (scene, first) = scene();
        first_move(&scene, first)
    };
    let (scene, _) = scene();
    let another = Event::Edit("b".to_owned(), Some(b"another".to_vec()));
    let deleted = Event::Edit("a".to_owned(), None);
    scene
        .server
        .with(|world| world.events = BTreeMap::from([(moved - 1, another), (moved, deleted)]));
    let run = scene.run();
    scene.server.with(|world| world.events.clear());
    assert!(log(&run).contains("cannot move a to b"), "{}", log(&run));
    scene.settle().unwrap();
    assert_eq!(scene.remote()["b"], b"another");
    assert!(scene.contents().contains(&b"a file that is moved"[..]), "{}", log(&run));
    scene.check(&scene.versions()).unwrap();
}

/// A file that is in the trash only is not lost without a message.
#[test]
fn an_error_names_the_place_of_a_file_that_cannot_be_moved_back() {
    let scene = || {
        let scene = Scene::new(Quirks::default());
        for name in ["a", "x", "y", "z"] {
            scene.write(name, name.as_bytes(), 500);
        }
        scene.settle().unwrap();
        scene.remove("a");
        let first = scene.server.with(|world| world.requests.len());
        (scene, first)
    };
    let moved = {
        let (scene, first) = scene();
        first_move(&scene, first)
    };
    let (scene, _) = scene();
    scene.server.with(|world| world.down_from = Some(moved + 1));
    let run = scene.run();
    assert!(log(&run).contains("/a\" on the server now"), "{}", log(&run));
}

/// Runs the plugin, and returns the number of its first MOVE.
fn first_move(scene: &Scene, first: usize) -> usize {
    scene.succeed().unwrap();
    scene.server.with(|world| {
        let is_move = |request: &String| request.starts_with("MOVE");
        first + world.requests[first..].iter().position(is_move).unwrap()
    })
}

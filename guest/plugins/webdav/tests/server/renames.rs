//! Entries that are renamed on the server.

use std::collections::BTreeMap;
use std::fs;

use crate::quirks::{Quirks, Tags, Times};
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

/// Another client moves a file and a directory on a server that states the ids of files.
#[cfg(unix)]
#[test]
fn what_was_moved_on_the_server_is_renamed_locally() {
    use std::os::unix::fs::MetadataExt as _;
    let ids = Quirks { is_nextcloud: true, ..Quirks::default() };
    for (quirks, is_moved) in [
        (ids.clone(), true),
        (Quirks { times: Times::Accepted, ..ids.clone() }, true),
        // Without a proof, they are copied.
        (Quirks::default(), false),
        (Quirks { moves_change_ids: true, ..ids.clone() }, false),
        (Quirks { moves_change_tags: true, ..ids.clone() }, false),
        (Quirks { moves_change_times: true, ..ids.clone() }, false),
        (Quirks { tags: Tags::Seconds, ..ids.clone() }, false),
    ] {
        let scene = Scene::new(quirks.clone());
        for name in ["d/a", "d/e/b", "d/e/c", "x", "y", "z", "u", "v"] {
            scene.write(name, format!("content of {name}").as_bytes(), 500);
        }
        scene.settle().unwrap();
        let inode = |path: &str| fs::metadata(scene.local_path().join(path)).map(|it| it.ino());
        let before = ["x", "d/a", "d/e/b"].map(|path| inode(path).unwrap());
        scene.server.with(|world| {
            world.clock += 10;
            assert!(world.rename("x", "moved"));
            assert!(world.rename("d", "m"));
        });
        // An edit of another file at the same time.
        scene.edit("y", Some(b"edited"));
        let versions = scene.versions();
        let first = scene.server.with(|world| world.requests.len());
        let run = scene.succeed().unwrap();
        scene.check(&versions).unwrap_or_else(|why| panic!("{quirks:?}: {why}"));
        let is_get = |request: &&String| request.starts_with("GET");
        let found =
            scene.server.with(|world| world.requests[first..].iter().filter(is_get).count());
        assert!(
            if is_moved { found == 1 } else { found >= 5 },
            "{quirks:?}: {found}: {}",
            log(&run)
        );
        let after = ["moved", "m/a", "m/e/b"].map(|path| inode(path).unwrap());
        assert_eq!(after == before, is_moved, "{quirks:?}: {}", log(&run));
        scene.check_rerun().unwrap();
    }
}

/// A file is moved on the server, and edited there or locally.
#[test]
fn a_file_that_was_moved_on_the_server_and_edited_is_not_lost() {
    for (local, remote) in [(true, false), (false, true), (true, true)] {
        let scene = Scene::new(Quirks { is_nextcloud: true, ..Quirks::default() });
        for name in ["d/a", "d/b", "x", "y", "z"] {
            scene.write(name, name.as_bytes(), 500);
        }
        scene.settle().unwrap();
        assert!(scene.server.with(|world| world.rename("d", "m")));
        if local {
            scene.write("d/a", b"edited locally", 400);
        }
        if remote {
            scene.edit("m/a", Some(b"edited remotely"));
        }
        let versions = scene.versions();
        scene.settle().unwrap();
        scene.check(&versions).unwrap();
        scene.check_rerun().unwrap();
    }
}

/// Runs the plugin, and returns the number of its first MOVE.
fn first_move(scene: &Scene, first: usize) -> usize {
    scene.succeed().unwrap();
    scene.server.with(|world| {
        let is_move = |request: &String| request.starts_with("MOVE");
        first + world.requests[first..].iter().position(is_move).unwrap()
    })
}

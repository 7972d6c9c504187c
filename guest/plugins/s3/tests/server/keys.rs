//! Keys that are no paths, names of directories, and markers. Trap 34 of `NETWORK.md`.

use std::fs;

use crate::quirks::Quirks;
use crate::scene::{Scene, log};
use crate::world::PREFIX;

#[test]
fn a_key_that_is_no_path_is_skipped_with_a_warning() {
    let long = format!("long/{}", "x".repeat(1024));
    for (key, warns) in [
        ("a//b", true),
        ("/a", true),
        ("//", true),
        ("a/./b", true),
        ("a/../b", true),
        ("..", true),
        (".", true),
        ("a\0b", true),
        ("a/", false),
        ("", false),
        (&long, true),
        ("a b+c%20&<>", false),
        ("a\u{1}b", false),
    ] {
        for page in [0, 1] {
            let scene = Scene::new(Quirks { page, ..Quirks::default() });
            scene.write("local", b"local", 500);
            scene.settle().unwrap();
            scene.edit("other", Some(b"other"));
            let is_marker = key.is_empty() || key.ends_with('/');
            scene.edit(key, Some(if is_marker { &b""[..] } else { b"x" }));
            let run = scene.succeed().unwrap();
            let text = log(&run);
            assert_eq!(text.contains("skips the object"), warns, "{key:?}: {text}");
            assert_eq!(scene.local()["other"], b"other", "{key:?}");
            let kept =
                scene.server.with(|world| world.objects.contains_key(&format!("{PREFIX}{key}")));
            assert!(kept, "{key:?}");
            scene.check_rerun().unwrap();
            if !warns && !key.is_empty() {
                assert!(scene.local().contains_key(key), "{key:?}");
            }
        }
    }
}

/// They are recognized by the parts of lists that they are in.
#[test]
fn names_that_begin_alike_are_distinguished() {
    for quirks in [
        Quirks::default(),
        Quirks { ignores_conditions: true, page: 3, ..Quirks::default() },
        Quirks { lists_backwards: true, ..Quirks::default() },
    ] {
        let scene = Scene::new(quirks.clone());
        let names = ["a", "ab", "abc", "abcd", "a-", "b/a", "b/ab", "c", "\u{e9}", "e\u{301}b"];
        for round in 1..3 {
            for name in names {
                let content = format!("{name} in round {round}");
                scene.write(name, content.as_bytes(), 500 - 100 * round);
            }
            let text = log(&scene.succeed().unwrap());
            assert!(!text.contains("cannot copy"), "{quirks:?}: {text}");
            scene.check(&scene.versions()).unwrap();
            scene.check_rerun().unwrap();
        }
    }
}

#[test]
fn a_marker_with_a_content_is_skipped() {
    let scene = Scene::new(Quirks::default());
    scene.edit("d/", Some(b"content"));
    scene.edit("d/a", Some(b"a"));
    let text = log(&scene.succeed().unwrap());
    assert!(text.contains("it ends with `/`"), "{text}");
    assert_eq!(scene.local().keys().collect::<Vec<_>>(), ["d/", "d/a"]);
    // Its directory is removed here, and stays there.
    fs::remove_dir_all(scene.local_path().join("d")).unwrap();
    scene.write("other", b"other", 500);
    scene.run();
    assert!(scene.server.with(|world| world.objects.contains_key(&format!("{PREFIX}d/"))));
}

#[test]
fn an_object_with_the_name_of_a_directory_is_skipped() {
    for page in [0, 1] {
        let scene = Scene::new(Quirks { page, ..Quirks::default() });
        scene.edit("d", Some(b"object"));
        scene.edit("d/a", Some(b"a"));
        let text = log(&scene.succeed().unwrap());
        assert!(text.contains("skips the object \"d\": it has the name of a directory"), "{text}");
        assert_eq!(scene.local().keys().collect::<Vec<_>>(), ["d/", "d/a"]);
        scene.write("d/b", b"b", 500);
        scene.remove("d/a");
        scene.settle().unwrap();
        assert_eq!(scene.object("d").content, b"object");
        assert_eq!(scene.object("d/b").content, b"b");
    }
}

#[test]
fn empty_directories_are_markers() {
    for (durable, page) in [("true", 0), ("false", 0), ("true", 1)] {
        let mut scene = Scene::new(Quirks { page, ..Quirks::default() });
        scene.settings = vec![("durable", durable)];
        let markers = |scene: &Scene| -> Vec<String> {
            let keys = scene.server.with(|world| world.objects.keys().cloned().collect::<Vec<_>>());
            let path = |key: String| key.strip_prefix(PREFIX).map(str::to_owned);
            keys.into_iter().filter(|key| key.ends_with('/')).filter_map(path).collect()
        };
        fs::create_dir_all(scene.local_path().join("new/empty")).unwrap();
        scene.write("full/a", b"a", 500);
        scene.write("full/b", b"b", 500);
        scene.edit("there/", Some(b""));
        scene.edit("made/by/a", Some(b"remote"));
        scene.settle().unwrap();
        assert_eq!(markers(&scene), ["new/empty/", "there/"], "{durable}");
        scene.check(&scene.versions()).unwrap();
        scene.check_rerun().unwrap();
        // Without its files, a directory stays.
        for path in ["full/a", "full/b", "made/by/a"] {
            scene.remove(path);
        }
        scene.settle().unwrap();
        assert_eq!(markers(&scene), ["full/", "made/by/", "new/empty/", "there/"], "{durable}");
        scene.check(&scene.versions()).unwrap();
        scene.check_rerun().unwrap();
        // A directory that is removed leaves no marker, and the one above it stays.
        for path in ["full", "made/by", "new/empty", "there"] {
            fs::remove_dir(scene.local_path().join(path)).unwrap();
        }
        scene.settle().unwrap();
        assert_eq!(markers(&scene), ["made/", "new/"], "{durable}");
        scene.check(&scene.versions()).unwrap();
        scene.check_rerun().unwrap();
    }
}

/// An empty directory stays where it is, since it cannot be on the server.
#[test]
fn a_server_without_markers_removes_no_local_directory() {
    let scene = Scene::new(Quirks { has_no_markers: true, ..Quirks::default() });
    fs::create_dir_all(scene.local_path().join("a/empty")).unwrap();
    scene.write("b/c", b"c", 500);
    for _ in 0..3 {
        let text = log(&scene.run());
        assert!(text.contains("the server cannot keep the empty directory a/empty"), "{text}");
        assert_eq!(scene.local().keys().collect::<Vec<_>>(), ["a/", "a/empty/", "b/", "b/c"]);
        assert_eq!(scene.remote().keys().collect::<Vec<_>>(), ["b/", "b/c"]);
    }
}

#[test]
fn other_prefixes_and_the_trash_are_not_touched() {
    let scene = Scene::new(Quirks { page: 2, ..Quirks::default() });
    scene.server.with(|world| {
        for key in ["other/a", "my docs", "my docs2/a"] {
            world.put(key, b"foreign".to_vec(), Vec::new(), None);
        }
    });
    for number in 0..20 {
        scene.edit(&format!(".syncmgr-trash/2026/{number:02}"), Some(b"old"));
    }
    scene.edit("a", Some(b"a"));
    scene.edit(".first", Some(b"first"));
    let requests = scene.requests_of(|scene| scene.settle().unwrap());
    assert_eq!(scene.local().keys().collect::<Vec<_>>(), [".first", "a"]);
    // The scan does not list the whole trash.
    let lists = requests.iter().filter(|one| one.contains("list-type")).count();
    assert!(lists <= 8, "{requests:#?}");
    scene.write("b", b"b", 500);
    scene.settle().unwrap();
    scene.check_rerun().unwrap();
    let foreign = scene
        .server
        .with(|world| world.objects.values().filter(|stored| stored.content == b"foreign").count());
    assert_eq!(foreign, 3);
}

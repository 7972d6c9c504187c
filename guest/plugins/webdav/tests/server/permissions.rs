//! Changes that the server does not permit (`oc:permissions`): they are not tried, each has a
//! warning, and nothing is deleted on the other side because of them.

use std::collections::BTreeMap;
use std::fs;

use crate::quirks::Quirks;
use crate::scene::{Scene, log};

/// What the user does locally.
enum Edit {
    Write(&'static str),
    Remove(&'static str),
    RemoveAll(&'static str),
    Rename(&'static str, &'static str),
}

impl Edit {
    fn apply(&self, scene: &Scene) {
        let at = |path: &str| scene.local_path().join(path);
        match self {
            Self::Write(path) => scene.write(path, b"edited locally", 400),
            Self::Remove(path) => scene.remove(path),
            Self::RemoveAll(path) => fs::remove_dir_all(at(path)).unwrap(),
            Self::Rename(path, to) => fs::rename(at(path), at(to)).unwrap(),
        }
    }
}

/// A synced scene.
fn scene() -> Scene {
    let scene = Scene::new(Quirks::default());
    for name in ["d/a", "d/b", "d/e/c", "n/o", "x", "y", "z", "w"] {
        scene.write(name, name.as_bytes(), 500);
    }
    scene.settle().unwrap();
    scene
}

/// The permissions of entries, an edit, and the words of its warning.
type Row = (&'static [(&'static str, &'static str)], Edit, &'static str);

const ROWS: [Row; 13] = [
    (&[("d/a", "RGDNV")], Edit::Write("d/a"), "cannot replace d/a"),
    // It could not be kept in the trash.
    (&[("d/a", "RGNVW")], Edit::Write("d/a"), "cannot replace d/a"),
    (&[("d", "RGDNVK")], Edit::Write("d/a"), "cannot replace d/a"),
    (&[("d", "RGDNVK")], Edit::Write("d/new"), "cannot copy d/new"),
    (&[("d", "RGDNVC")], Edit::Write("d/new/f"), "cannot create the directory d/new"),
    (&[("", "RG")], Edit::Write("new"), "cannot copy new"),
    (&[("d/a", "RGNVW")], Edit::Remove("d/a"), "cannot delete d/a"),
    (
        &[("d", "RG"), ("d/a", "RG"), ("d/b", "RG"), ("d/e", "RG"), ("d/e/c", "RG")],
        Edit::RemoveAll("d"),
        "cannot delete d/a",
    ),
    (&[("d/a", "RGDVW")], Edit::Rename("d/a", "d/moved"), "cannot move d/a to d/moved"),
    (&[("d/a", "RGDNW")], Edit::Rename("d/a", "moved"), "cannot move d/a to moved"),
    (&[("d", "RGDNVK")], Edit::Rename("x", "d/moved"), "cannot move x to d/moved"),
    (&[("d", "RGCK")], Edit::Rename("d", "moved"), "cannot move d to moved"),
    (&[("d/e", "RGDNVC")], Edit::Rename("n", "d/e/n"), "cannot move n to d/e/n"),
];

#[test]
fn a_change_that_is_not_permitted_is_not_tried_and_deletes_nothing() {
    for (permissions, edit, words) in &ROWS {
        let scene = scene();
        let permissions: BTreeMap<_, _> = permissions.iter().copied().collect();
        scene.server.with(|world| world.quirks.permissions = permissions.clone());
        edit.apply(&scene);
        scene.edit("y", Some(b"edited remotely"));
        let (versions, local, remote) = (scene.versions(), scene.local(), scene.remote());
        for _ in 0..3 {
            let run = scene.run();
            scene.check_kept(&versions).unwrap();
            assert!(log(&run).contains(words), "{permissions:?}: {words}: {}", log(&run));
            assert!(log(&run).contains("the server does not permit"), "{words}: {}", log(&run));
            let with_edit = |mut files: BTreeMap<String, Vec<u8>>| {
                files.insert("y".to_owned(), b"edited remotely".to_vec());
                files
            };
            assert_eq!(scene.local(), with_edit(local.clone()), "{words}: {}", log(&run));
            let mut now = scene.remote();
            // A directory itself is permitted.
            now.retain(|path, _| remote.contains_key(path));
            assert_eq!(now, remote, "{words}: {}", log(&run));
        }
        scene.server.with(|world| world.quirks.permissions.clear());
        scene.settle().unwrap();
        scene.check(&versions).unwrap_or_else(|why| panic!("{words}: {why}"));
        scene.check_rerun().unwrap();
    }
}

/// Each refused entry has one warning.
#[test]
fn a_refusal_has_one_warning() {
    let scene = scene();
    let permissions = BTreeMap::from([("d/a", "RG"), ("x", "RG"), ("d", "RGDNV")]);
    scene.server.with(|world| world.quirks.permissions = permissions);
    for edit in [Edit::Write("d/a"), Edit::Remove("x"), Edit::Write("d/n1"), Edit::Write("d/n2")] {
        edit.apply(&scene);
    }
    scene.write("z", b"permitted", 400);
    let run = scene.run();
    let refused = log(&run).matches("the server does not permit").count();
    assert_eq!(refused, 4, "{}", log(&run));
    assert_eq!(scene.remote()["z"], b"permitted");
}

/// The root is shared read-only.
#[test]
fn nothing_is_changed_on_a_server_that_permits_nothing() {
    let scene = scene();
    let paths = ["", "d", "d/a", "d/b", "d/e", "d/e/c", "n", "n/o", "x", "y", "z", "w"];
    let permissions = paths.into_iter().map(|path| (path, "SRG")).collect();
    scene.server.with(|world| {
        world.quirks.permissions = permissions;
        world.requests.clear();
    });
    for edit in [
        Edit::Write("x"),
        Edit::Write("new"),
        Edit::Write("d/new/f"),
        Edit::Remove("y"),
        Edit::RemoveAll("d/e"),
        Edit::Rename("z", "moved"),
    ] {
        edit.apply(&scene);
    }
    scene.edit("w", Some(b"edited remotely"));
    let (versions, remote) = (scene.versions(), scene.remote());
    for _ in 0..2 {
        let run = scene.run();
        scene.check_kept(&versions).unwrap();
        assert_eq!(scene.remote(), remote, "{}", log(&run));
        assert_eq!(scene.local()["w"], b"edited remotely");
    }
    let requests = scene.server.with(|world| world.requests.clone());
    let is_read = |request: &String| {
        ["PROPFIND", "GET", "OPTIONS"].iter().any(|method| request.starts_with(method))
    };
    assert!(requests.iter().all(is_read), "{requests:#?}");
    scene.server.with(|world| world.quirks.permissions.clear());
    scene.settle().unwrap();
    scene.check(&versions).unwrap();
}

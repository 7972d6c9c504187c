//! Uploads in parts.

use crate::quirks::Quirks;
use crate::scene::{Scene, log};
use crate::world::{Event, PREFIX, Upload};

const CONTENT: &[u8] = b"a content of several parts";
/// Parts have 6 bytes.
const PARTS: usize = 5;

fn scene(quirks: Quirks) -> Scene {
    let mut scene = Scene::new(quirks);
    scene.in_parts = true;
    scene.probe();
    // The upload of another program.
    let foreign = Upload { key: format!("{PREFIX}a"), ..Upload::default() };
    scene.server.with(|world| world.uploads.insert("foreign".to_owned(), foreign));
    scene.write("a", CONTENT, 500);
    scene
}

/// Returns the number of parts that a run sends.
fn parts(scene: &Scene, run: impl FnOnce(&Scene)) -> usize {
    let requests = scene.requests_of(run);
    requests.iter().filter(|one| one.contains("partNumber=")).count()
}

fn uploads(scene: &Scene) -> Vec<String> {
    scene.server.with(|world| world.uploads.keys().cloned().collect())
}

/// Makes a run fail at its part `number`.
fn interrupt(scene: &Scene, number: usize) {
    let from = {
        let clone = scene.server.with(|world| world.requests.len());
        // The list, the creation, and the parts.
        clone + 2 + number
    };
    scene.server.with(|world| world.down_from = Some(from));
    scene.run();
    scene.server.with(|world| world.down_from = None);
    assert_eq!(uploads(scene).len(), 2);
}

#[test]
fn an_interrupted_upload_is_continued() {
    for number in 0..PARTS {
        let scene = scene(Quirks::default());
        interrupt(&scene, number);
        let sent = parts(&scene, |scene| drop(scene.succeed().unwrap()));
        // Those that the record knows: the answer to the last one may be lost.
        assert!(sent <= PARTS - number + 1 && sent >= PARTS - number, "{sent} after {number}");
        assert_eq!(scene.object("a").content, CONTENT);
        assert_eq!(uploads(&scene), ["foreign"]);
        scene.check_rerun().unwrap();
    }
}

#[test]
fn the_upload_of_a_file_that_changed_is_aborted() {
    for change in ["edit", "delete", "grow"] {
        let scene = scene(Quirks::default());
        interrupt(&scene, 3);
        let new: &[u8] = match change {
            "edit" => b"A CONTENT OF SEVERAL PARTS",
            _ => b"a content of several parts, and more",
        };
        match change {
            "delete" => scene.remove("a"),
            _ => scene.write("a", new, 300),
        }
        scene.write("b", b"another file", 500);
        scene.settle().unwrap();
        if change != "delete" {
            assert_eq!(scene.object("a").content, new);
        }
        assert_eq!(uploads(&scene), ["foreign"], "{change}");
        scene.check_rerun().unwrap();
    }
}

#[test]
fn an_upload_that_the_server_has_removed_begins_again() {
    let scene = scene(Quirks::default());
    interrupt(&scene, 3);
    scene.server.with(|world| world.uploads.retain(|id, _| id == "foreign"));
    assert_eq!(parts(&scene, |scene| drop(scene.succeed().unwrap())), PARTS);
    assert_eq!(scene.object("a").content, CONTENT);
}

/// The server has another part than the record says.
#[test]
fn a_part_of_another_size_is_sent_again() {
    let scene = scene(Quirks::default());
    interrupt(&scene, 4);
    scene.server.with(|world| {
        let upload = world.uploads.iter_mut().find(|(id, _)| *id != "foreign").unwrap().1;
        upload.parts.insert(2, b"x".to_vec());
    });
    scene.succeed().unwrap();
    assert_eq!(scene.object("a").content, CONTENT);
}

#[test]
fn a_failed_completion_loses_nothing() {
    let scene = scene(Quirks::default());
    // The status of the first answers is 200.
    scene.server.with(|world| world.quirks.errors_in_200 = 1);
    let text = log(&scene.run());
    assert!(text.contains("the server failed"), "{text}");
    assert!(!scene.server.with(|world| world.objects.contains_key(&format!("{PREFIX}a"))));
    scene.settle().unwrap();
    assert_eq!(scene.object("a").content, CONTENT);
    assert_eq!(uploads(&scene), ["foreign"]);
}

/// Another client creates the object before the upload is completed.
#[test]
fn a_completed_upload_replaces_nothing() {
    for quirks in [Quirks::default(), Quirks { completes_always: true, ..Quirks::default() }] {
        let scene = scene(quirks);
        let number = scene.server.with(|world| world.requests.len()) + 4;
        scene.server.with(|world| {
            let edit = Event::Edit("a".to_owned(), Some(b"of another client".to_vec()));
            world.events.insert(number, edit);
        });
        scene.run();
        assert_eq!(scene.object("a").content, b"of another client");
        scene.settle().unwrap();
        let kept = [CONTENT.to_vec(), b"of another client".to_vec()].into();
        scene.check(&kept).unwrap();
        assert_eq!(uploads(&scene), ["foreign"]);
    }
}

/// A server copies at most 5 GiB in a request, here 15 bytes.
#[test]
fn a_large_object_is_copied_in_parts() {
    let scene = scene(Quirks::default());
    scene.write("d/b", CONTENT, 500);
    scene.settle().unwrap();
    let before = scene.object("a");
    scene.remove("a");
    std::fs::rename(scene.local_path().join("d"), scene.local_path().join("e")).unwrap();
    let requests = scene.requests_of(|scene| drop(scene.succeed().unwrap()));
    let copies = requests.iter().filter(|one| one.contains("x-amz-copy-source")).count();
    assert_eq!(copies, 4, "{requests:#?}");
    scene.server.with(|world| {
        let trash = world.objects.iter().find(|(key, _)| key.contains(".syncmgr-trash/"));
        let trash = trash.unwrap().1;
        assert_eq!((&trash.content, &trash.metadata), (&before.content, &before.metadata));
    });
    assert_eq!(scene.object("e/b").content, CONTENT);
    assert_eq!(uploads(&scene), ["foreign"]);
    scene.check_rerun().unwrap();
}

#[test]
fn a_server_without_uploads_says_so() {
    let mut scene = Scene::new(Quirks { has_no_uploads: true, ..Quirks::default() });
    scene.in_parts = true;
    scene.write("a", CONTENT, 500);
    scene.write("b", b"b", 500);
    let text = log(&scene.run());
    assert!(text.contains("cannot copy a") && text.contains("does not support"), "{text}");
    assert_eq!(scene.object("b").content, b"b");
}

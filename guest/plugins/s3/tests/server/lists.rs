//! Lists that are hostile, or not complete: a run stops before its first change.

use crate::quirks::{List, Quirks};
use crate::scene::{Scene, is_success, log};

#[test]
fn a_hostile_list_stops_the_run_before_its_first_change() {
    for (list, words) in [
        (List::Endless, "it has no end"),
        (List::SameToken, "it returns the same page again"),
        (List::NoToken, "it has no next page"),
        (List::Outside, "which does not begin with"),
        (List::Huge, "one of its values is too long"),
        (List::Cut, "it ends early"),
        (List::NoEnd, "it does not say whether it is complete"),
        (List::NoSize, "an object has no size"),
        (List::Page, "whether it wants a login"),
        (List::Error, "the server failed"),
        (List::Empty, "the server `remote` is empty"),
    ] {
        let scene = Scene::new(Quirks::default());
        scene.fill();
        scene.settle().unwrap();
        scene.write("new", b"new", 400);
        let before = (scene.local(), scene.remote());
        scene.server.with(|world| world.quirks.list = list);
        let run = scene.run();
        assert!(!is_success(&run), "{list:?}");
        let text = log(&run);
        assert!(text.contains(words), "{list:?}: {text}");
        assert_eq!((scene.local(), scene.remote()), before, "{list:?}");
        scene.server.with(|world| world.quirks.list = List::Good);
        scene.settle().unwrap();
        scene.check(&scene.versions()).unwrap();
    }
}

/// A page that has only skipped keys is not the end.
#[test]
fn many_skipped_keys_are_reported_together() {
    let scene = Scene::new(Quirks { page: 10, ..Quirks::default() });
    for number in 0..50 {
        scene.edit(&format!("a//{number}"), Some(b"x"));
    }
    scene.edit("z", Some(b"z"));
    let text = log(&scene.succeed().unwrap());
    assert_eq!(text.matches("skips the object").count(), 20, "{text}");
    assert!(text.contains("skips 50 objects whose keys are no paths"), "{text}");
    assert_eq!(scene.local()["z"], b"z");
}

//! What each failure is called.

use crate::quirks::Quirks;
use crate::scene::{Scene, is_success, log};

#[test]
fn a_denied_request_says_what_to_do() {
    for (denies, words) in [
        ((403, "RequestTimeTooSkewed", ""), "set the clock"),
        ((404, "NoSuchBucket", ""), "the bucket does not exist; create it"),
        ((403, "AccessDenied", ""), "must be permitted to list the bucket"),
        ((403, "InvalidAccessKeyId", ""), "does not know the access key"),
        ((403, "SignatureDoesNotMatch", ""), "correct the secret key or the region"),
        ((400, "ExpiredToken", ""), "has expired"),
        ((301, "PermanentRedirect", "eu-west-1"), "use the region eu-west-1 in the credentials"),
        ((400, "AuthorizationHeaderMalformed", "us-east-2"), "use the region us-east-2"),
        ((301, "PermanentRedirect", ""), "in another region"),
        ((418, "Teapot", ""), "the server answered 418 Teapot: words"),
    ] {
        let scene = Scene::new(Quirks::default());
        scene.write("a", b"a", 500);
        scene.settle().unwrap();
        scene.write("b", b"b", 500);
        scene.server.with(|world| world.quirks.denies = Some(denies));
        let run = scene.run();
        assert!(!is_success(&run));
        let text = log(&run);
        assert!(text.contains(words), "{denies:?}: {text}");
        assert!(text.contains("cannot read the server `remote`"), "{text}");
    }
}

/// Trap 36 of `NETWORK.md`, and others that appear only at a change.
#[test]
fn a_change_that_is_denied_is_left_for_the_next_run() {
    for (status, words) in [
        (403, "must be permitted"),
        (413, "no object of this size"),
        (507, "quota"),
        (501, "does not support"),
    ] {
        let scene = Scene::new(Quirks::default());
        scene.probe();
        scene.write("a", b"a", 500);
        scene.edit("b", Some(b"b"));
        scene.server.with(|world| {
            world.quirks.busy = Some((status, 100));
            world.quirks.busy_methods = &["PUT"];
        });
        let text = log(&scene.run());
        assert!(text.contains("busy") || text.contains(words), "{status}: {text}");
        assert_eq!(scene.local()["b"], b"b", "{status}");
        scene.server.with(|world| world.quirks.busy = None);
        scene.settle().unwrap();
        scene.check(&scene.versions()).unwrap();
    }
}

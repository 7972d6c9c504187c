//! Statuses that ask for another attempt, and those that do not.

use std::collections::BTreeMap;

use crate::quirks::Quirks;
use crate::scene::{Scene, events, is_success, log};

#[test]
fn a_busy_server_is_asked_again() {
    for status in [429, 502, 503, 504] {
        for methods in [&["PROPFIND"][..], &["GET"], &["PUT"], &["MKCOL"], &["MOVE"], &["DELETE"]] {
            let scene = Scene::new(Quirks::default());
            scene.fill();
            scene.settle().unwrap();
            scene.change();
            let versions = scene.versions();
            scene.server.with(|world| {
                world.quirks.busy = Some((status, 3));
                world.quirks.busy_methods = methods.to_vec();
            });
            let run = scene.succeed().unwrap();
            let conflicts = events(&run).len();
            assert_eq!(conflicts, 1, "{status} to {methods:?}: {}", log(&run));
            assert_eq!(scene.server.with(|world| world.quirks.busy), Some((status, 0)));
            scene.settle().unwrap();
            scene.check(&versions).unwrap();
        }
    }
}

#[test]
fn a_server_that_stays_busy_stops_the_run() {
    for status in [429, 502, 503, 504] {
        let scene = Scene::new(Quirks::default());
        for number in 0..40 {
            scene.write(&format!("{number}/x"), &[number; 30], 500);
        }
        let (versions, before) = (scene.versions(), scene.local());
        scene.server.with(|world| {
            world.quirks.busy = Some((status, u32::MAX));
            world.quirks.busy_methods = vec!["MKCOL"];
        });
        let run = scene.run();
        assert!(!is_success(&run), "{run:#?}");
        assert!(log(&run).contains("the connection failed 8 times in a row"), "{}", log(&run));
        let requests = scene.server.with(|world| world.requests.len());
        assert!(requests < 100, "{requests} requests for 40 directories");
        assert_eq!(scene.local(), before);
        scene.server.with(|world| world.quirks.busy = None);
        scene.settle().unwrap();
        scene.check(&versions).unwrap();
    }
}

/// The server answers 423 to changes of one file.
#[test]
fn a_locked_file_waits_for_the_end_of_the_run_or_for_the_next_one() {
    for (path, refusals, is_done) in [
        ("l/replaced", 1, true),
        ("l/deleted", 1, true),
        ("l/new", 1, true),
        ("l/gone/a", 1, true),
        ("l/replaced", 2, false),
        ("l/deleted", 2, false),
        ("l/new", 2, false),
        ("l/gone/a", 4, false),
    ] {
        let scene = Scene::new(Quirks::default());
        scene.fill();
        scene.settle().unwrap();
        scene.change();
        let versions = scene.versions();
        let locked = BTreeMap::from([(path.to_owned(), refusals)]);
        scene.server.with(|world| world.quirks.locked = locked);
        let run = scene.succeed().unwrap();
        let is_locked = log(&run).contains("the next run tries again");
        assert_eq!(is_locked, !is_done, "{path} {refusals}: {}", log(&run));
        let conflicts =
            scene.local().into_keys().filter(|path| path.contains("conflicted")).count();
        assert_eq!(conflicts, 1, "{path} is a conflict: {}", log(&run));
        scene.server.with(|world| world.quirks.locked.clear());
        scene.settle().unwrap();
        scene.check(&versions).unwrap();
        scene.check_rerun().unwrap();
    }
}

/// The server limits the size of a file, or has a quota.
#[test]
fn a_file_that_does_not_fit_is_left_and_smaller_ones_are_sent() {
    for (quirks, why) in [
        (Quirks { max_size: Some(100), ..Quirks::default() }, "no file of this size"),
        (Quirks { quota: Some(400), ..Quirks::default() }, "answered 507"),
        (Quirks { quota: Some(400), quota_status: 500, ..Quirks::default() }, "quota"),
    ] {
        let scene = Scene::new(quirks);
        scene.probe();
        scene.server.with(|world| world.requests.clear());
        scene.write("large", &[1; 1_000], 500);
        for number in 0..10 {
            scene.write(&format!("small {number}"), &[number; 20], 500);
        }
        let versions = scene.versions();
        let run = scene.run();
        assert!(!is_success(&run));
        assert!(log(&run).contains(why), "{}", log(&run));
        assert!(log(&run).contains("no space for 1 of the changes"), "{}", log(&run));
        let remote = scene.remote();
        assert_eq!(remote.len(), 10, "{:?}", remote.keys());
        let puts = scene.server.with(|world| {
            world.requests.iter().filter(|request| request.starts_with("PUT")).count()
        });
        // Two attempts of the batch, of the file alone, and at the end.
        assert!(puts <= 16, "{puts} uploads");
        scene.server.with(|world| {
            world.quirks.max_size = None;
            world.quirks.quota = None;
        });
        scene.settle().unwrap();
        scene.check(&versions).unwrap();
    }
}

//! One row for each fault of WebDAV servers: a scene is synced and edited, nothing is lost, both
//! sides become equal, and a rerun changes nothing.

use std::collections::BTreeMap;

use crate::quirks::{Destinations, Hrefs, Listing, PutTag, Quirks, Tags, Times};
use crate::scene::{Scene, is_success, log};

/// Syncs a scene, edits it, and syncs it again.
fn sync_and_edit(quirks: Quirks) -> Result<Scene, String> {
    let scene = Scene::new(quirks);
    scene.fill();
    scene.settle()?;
    scene.check(&scene.versions())?;
    scene.check_rerun()?;
    scene.change();
    let versions = scene.versions();
    scene.settle()?;
    scene.check(&versions)?;
    scene.check_rerun()?;
    let local = scene.local();
    for (path, content) in [
        ("l/replaced", Some("local replaced 2")),
        ("r/replaced", Some("remote replaced 2")),
        ("l/new", Some("local new 2")),
        ("r/new", Some("remote new 2")),
        ("l/fresh/a", Some("local fresh 2")),
        ("r/fresh/a", Some("remote fresh 2")),
        ("l/deleted", None),
        ("r/deleted", None),
        ("l/gone/", None),
        ("r/gone/", None),
    ] {
        if local.get(path).map(Vec::as_slice) != content.map(str::as_bytes) {
            return Err(format!("{path} is not {content:?}"));
        }
    }
    let conflicts = local.keys().filter(|path| path.starts_with("both (conflicted copy")).count();
    match conflicts {
        1 => Ok(scene),
        count => Err(format!("{count} conflict copies")),
    }
}

#[test]
fn both_sides_become_equal_whatever_the_server_does_wrong() {
    let rows: Vec<(&str, Quirks)> = vec![
        ("nothing", Quirks::default()),
        ("weak tags", Quirks { tags: Tags::Weak, ..Quirks::default() }),
        ("GET has another tag", Quirks { other_tag_of_get: true, ..Quirks::default() }),
        ("conditions are ignored", Quirks { ignores_conditions: true, ..Quirks::default() }),
        ("tags are new each time", Quirks { tags: Tags::New, ..Quirks::default() }),
        ("PUT answers no tag", Quirks { tag_of_put: PutTag::None, ..Quirks::default() }),
        ("PUT answers another tag", Quirks { tag_of_put: PutTag::Foreign, ..Quirks::default() }),
        ("X-OC-Mtime is accepted", Quirks { times: Times::Accepted, ..Quirks::default() }),
        ("times before 1970", Quirks { times: Times::Before1970, ..Quirks::default() }),
        ("times are garbage", Quirks { times: Times::Garbage, ..Quirks::default() }),
        ("no times", Quirks { times: Times::None, ..Quirks::default() }),
        ("tags of whole seconds", Quirks { tags: Tags::Seconds, ..Quirks::default() }),
        ("tags as of Go", Quirks { tags: Tags::Joined, ..Quirks::default() }),
        ("no tags", Quirks { tags: Tags::None, ..Quirks::default() }),
        (
            "hrefs of the host behind a proxy",
            Quirks { hrefs: Hrefs::OtherHost, ..Quirks::default() },
        ),
        ("collections need a slash", Quirks { needs_slash: true, ..Quirks::default() }),
        ("hrefs are URLs", Quirks { hrefs: Hrefs::Absolute, ..Quirks::default() }),
        ("hrefs are not encoded", Quirks { hrefs: Hrefs::Unencoded, ..Quirks::default() }),
        ("hrefs have lower-case escapes", Quirks { hrefs: Hrefs::LowerCase, ..Quirks::default() }),
        ("hrefs escape everything", Quirks { hrefs: Hrefs::All, ..Quirks::default() }),
        ("names are composed", Quirks { composes_names: true, ..Quirks::default() }),
        ("case is ignored", Quirks { ignores_case: true, ..Quirks::default() }),
        ("several propstats", Quirks { splits_propstats: true, ..Quirks::default() }),
        (
            "MOVE of collections answers 207",
            Quirks { moves_collections_by_207: true, ..Quirks::default() },
        ),
        (
            "targets of moves have another scheme",
            Quirks { destinations: Destinations::OtherScheme, ..Quirks::default() },
        ),
        (
            "targets of moves are paths",
            Quirks { destinations: Destinations::Paths, ..Quirks::default() },
        ),
        ("moves change tags", Quirks { moves_change_tags: true, ..Quirks::default() }),
        ("moves change times", Quirks { moves_change_times: true, ..Quirks::default() }),
        (
            "moves change times, and there are no tags",
            Quirks { moves_change_times: true, tags: Tags::None, ..Quirks::default() },
        ),
        ("overwrites are not refused", Quirks { ignores_overwrite: true, ..Quirks::default() }),
        ("names with dots are hidden", Quirks { hides_dots: true, ..Quirks::default() }),
        ("MKCOL answers 201", Quirks { makes_existing: true, ..Quirks::default() }),
        (
            "Nextcloud, moves change ids",
            Quirks { is_nextcloud: true, moves_change_ids: true, ..Quirks::default() },
        ),
        ("Nextcloud", Quirks { is_nextcloud: true, times: Times::Accepted, ..Quirks::default() }),
    ];
    let failures: Vec<_> = rows
        .into_iter()
        .filter_map(|(name, quirks)| Some(format!("{name}: {}", sync_and_edit(quirks).err()?)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The server states neither tags nor times.
#[test]
fn a_change_of_the_same_size_is_found_without_tags_and_times() {
    let scene = Scene::new(Quirks { tags: Tags::None, times: Times::None, ..Quirks::default() });
    scene.edit("r", Some(b"remote 1"));
    scene.write("l", b"local 1", 500);
    scene.settle().unwrap();
    for (path, content) in [("r", "remote 2"), ("l", "local 2")] {
        scene.edit(path, Some(content.as_bytes()));
        scene.settle().unwrap();
        assert_eq!(scene.local()[path], content.as_bytes(), "{path}");
        scene.check_rerun().unwrap();
    }
}

/// Another client replaces a file within the same second, with one of the same size.
#[test]
fn a_change_within_a_second_is_found_if_tags_are_coarse() {
    for tags in [Tags::Seconds, Tags::Joined, Tags::None] {
        let scene = Scene::new(Quirks { tags, ..Quirks::default() });
        scene.edit("a", Some(b"one"));
        scene.settle().unwrap();
        scene.server.with(|world| {
            // An edit takes 10 seconds.
            world.clock -= 10;
            world.edit("a", Some(b"two".to_vec()));
        });
        scene.settle().unwrap();
        assert_eq!(scene.local()["a"], b"two", "{tags:?}");
        scene.check_rerun().unwrap();
    }
}

/// The server answers 201 to an upload, and stores 0 bytes.
#[test]
fn an_upload_of_which_nothing_is_stored_gets_no_name() {
    let scene = Scene::new(Quirks::default());
    scene.probe();
    scene.server.with(|world| world.quirks.empty_puts = 1);
    scene.write("a", b"content", 500);
    let run = scene.succeed().unwrap();
    assert!(log(&run).contains("the server stored 0 of 7 bytes"), "{}", log(&run));
    assert!(scene.remote().is_empty(), "{:?}", scene.remote());
    scene.settle().unwrap();
    scene.check(&[b"content".to_vec()].into()).unwrap();
    scene.check_rerun().unwrap();

    // If that happens each time, existing files remain.
    scene.server.with(|world| world.quirks.empty_puts = u32::MAX);
    scene.write("a", b"another", 400);
    scene.write("b", b"new", 400);
    let versions = scene.versions();
    scene.settle().unwrap();
    scene.check_kept(&versions).unwrap();
    assert_eq!(scene.remote(), BTreeMap::from([("a".to_owned(), b"content".to_vec())]));
}

/// The server answers 502 to each move.
#[test]
fn a_server_without_moves_stores_nothing_and_loses_nothing() {
    let scene = Scene::new(Quirks { refuses_moves: Some(502), ..Quirks::default() });
    scene.write("a", b"local", 500);
    scene.edit("b", Some(b"remote"));
    let versions = scene.versions();
    let run = scene.run();
    assert!(log(&run).contains("cannot copy a to the server `remote`"), "{}", log(&run));
    scene.check_kept(&versions).unwrap();
    assert_eq!(scene.remote(), BTreeMap::from([("b".to_owned(), b"remote".to_vec())]));
    assert_eq!(scene.local()["b"], b"remote");
}

/// The server lists paths that are not those of the request.
#[test]
fn hrefs_of_other_places_stop_the_run() {
    let scene = Scene::new(Quirks { hrefs: Hrefs::OtherPrefix, ..Quirks::default() });
    scene.fill();
    let versions = scene.versions();
    let run = scene.run();
    assert!(!is_success(&run));
    assert!(log(&run).contains("cannot read the server `remote`"), "{}", log(&run));
    scene.check_kept(&versions).unwrap();
}

/// The server stores names in NFC.
#[test]
fn a_name_that_the_server_composes_is_not_copied_again() {
    for composes_names in [false, true] {
        let scene = Scene::new(Quirks { composes_names, ..Quirks::default() });
        for name in ["e\u{301}.txt", "d/u\u{308}", "o\u{308}/x"] {
            scene.write(name, name.as_bytes(), 500);
        }
        scene.succeed().unwrap();
        scene.check(&scene.versions()).unwrap();
        scene.check_rerun().unwrap();
        scene.write("e\u{301}.txt", b"changed", 400);
        scene.edit("d/\u{fc}", Some(b"changed there"));
        scene.settle().unwrap();
        let versions = [b"changed".to_vec(), b"changed there".to_vec()].into();
        if composes_names {
            scene.check(&versions).unwrap();
        }
        scene.check_kept(&versions).unwrap();
        scene.check_rerun().unwrap();
    }
}

/// The server ignores case.
#[test]
fn names_that_differ_only_in_case_do_not_replace_each_other() {
    let scene = Scene::new(Quirks { ignores_case: true, ..Quirks::default() });
    scene.write("name", b"lower", 500);
    scene.write("Name", b"upper", 500);
    scene.edit("OTHER", Some(b"remote"));
    scene.write("other", b"local", 500);
    scene.write("d/x", b"lower directory", 500);
    scene.write("D/y", b"upper directory", 500);
    let versions = scene.versions();
    for _ in 0..3 {
        scene.run();
        scene.check_kept(&versions).unwrap();
    }
    let before = (scene.local(), scene.remote());
    scene.run();
    assert_eq!((scene.local(), scene.remote()), before);
}

/// The server lists a collection incompletely, or not at all.
#[test]
fn a_wrong_listing_deletes_nothing() {
    let wrong = [
        Listing::Empty,
        Listing::Cut,
        Listing::Lost,
        Listing::WithoutSelf,
        Listing::Half,
        Listing::Status(500),
        Listing::Status(503),
        Listing::Status(403),
        Listing::Status(404),
        Listing::Login,
    ];
    for listing in wrong {
        for directory in ["", "many"] {
            let scene = Scene::new(Quirks::default());
            for number in 0..20 {
                scene.write(&format!("many/{number}"), &[number; 30], 500);
                scene.write(&format!("l/{number}"), &[number; 40], 500);
            }
            scene.settle().unwrap();
            let before = (scene.local(), scene.remote());
            let listings = BTreeMap::from([(directory.to_owned(), listing)]);
            scene.server.with(|world| world.quirks.listings = listings);
            let run = scene.run();
            assert_eq!((scene.local(), scene.remote()), before, "{listing:?} of {directory:?}");
            let stops = directory.is_empty() || listing == Listing::Empty;
            assert_eq!(is_success(&run), !stops, "{listing:?} of {directory:?}: {}", log(&run));
            scene.server.with(|world| world.quirks.listings.clear());
            scene.check_rerun().unwrap();
        }
    }
}

/// A portal answers instead of the server.
#[test]
fn a_login_page_instead_of_the_server_stops_the_run() {
    let scene = Scene::new(Quirks::default());
    scene.fill();
    scene.settle().unwrap();
    scene.change();
    let before = (scene.local(), scene.remote());
    scene.server.with(|world| world.quirks.has_portal = true);
    let run = scene.run();
    assert!(log(&run).contains("whether it wants a login"), "{}", log(&run));
    assert_eq!((scene.local(), scene.remote()), before);
    scene.server.with(|world| world.quirks.has_portal = false);
    scene.settle().unwrap();
    scene.check(&scene.versions()).unwrap();
}

/// The server accepts Digest authentication only, or refuses the credentials.
#[test]
fn a_server_that_denies_access_stops_the_run() {
    for (status, challenge, words) in [
        (401, "Digest realm=\"x\", nonce=\"y\"", "Digest authentication only"),
        (401, "Basic realm=\"x\"", "answered 401"),
        (403, "", "answered 403"),
    ] {
        let scene = Scene::new(Quirks::default());
        scene.fill();
        scene.settle().unwrap();
        scene.change();
        let before = (scene.local(), scene.remote());
        let requests = scene.server.with(|world| {
            world.quirks.denies = Some((status, challenge));
            world.requests.len()
        });
        let run = scene.run();
        assert!(log(&run).contains(words), "{}", log(&run));
        assert_eq!((scene.local(), scene.remote()), before);
        assert_eq!(scene.server.with(|world| world.requests.len()) - requests, 1);
    }
}

//! One row for each fault of S3 servers: a scene is synced and edited, nothing is lost, both sides
//! become equal, and a rerun changes nothing.

use crate::quirks::{Quirks, Tags};
use crate::scene::{Scene, log};
use crate::world::{BUCKET, Event, ORIGIN, PREFIX};

/// Syncs a scene, edits it, and syncs it again.
fn sync_and_edit(scene: Scene) -> Result<Scene, String> {
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
        ("small pages", Quirks { page: 3, ..Quirks::default() }),
        ("tags of versions", Quirks { tags: Tags::Version, ..Quirks::default() }),
        ("no tags", Quirks { tags: Tags::None, ..Quirks::default() }),
        ("PUT answers no tag", Quirks { put_has_no_tag: true, ..Quirks::default() }),
        ("conditions are ignored", Quirks { ignores_conditions: true, ..Quirks::default() }),
        ("If-Match is ignored", Quirks { ignores_if_match: true, ..Quirks::default() }),
        ("completions are never refused", Quirks { completes_always: true, ..Quirks::default() }),
        ("copies are never refused", Quirks { copies_always: true, ..Quirks::default() }),
        ("deletions are never refused", Quirks { deletes_always: true, ..Quirks::default() }),
        (
            "conditions are answered by 501",
            Quirks { refuses_conditions: true, ..Quirks::default() },
        ),
        ("versions", Quirks { is_versioned: true, ..Quirks::default() }),
        ("no markers", Quirks { has_no_markers: true, ..Quirks::default() }),
        ("lists are not encoded", Quirks { lists_raw: true, ..Quirks::default() }),
        ("lists have parts of seconds", Quirks { lists_fractions: true, ..Quirks::default() }),
        ("lists are not sorted", Quirks { lists_backwards: true, page: 5, ..Quirks::default() }),
        ("SlowDown", Quirks { busy: Some((503, 3)), ..Quirks::default() }),
        ("too many requests", Quirks { busy: Some((429, 3)), ..Quirks::default() }),
        ("internal errors", Quirks { busy: Some((500, 3)), ..Quirks::default() }),
        (
            "conflicting requests",
            Quirks { busy: Some((409, 3)), busy_methods: &["PUT"], ..Quirks::default() },
        ),
    ];
    let mut failures = Vec::new();
    for (name, quirks) in rows {
        for in_parts in [false, true] {
            let mut scene = Scene::new(quirks.clone());
            scene.in_parts = in_parts;
            if let Err(why) = sync_and_edit(scene) {
                failures.push(format!("{name}, in parts {in_parts}: {why}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn the_whole_bucket_can_be_synced() {
    let mut scene = Scene::new(Quirks::default());
    scene.granted = "https://s3.example/bucket/";
    assert_eq!(scene.granted, format!("{ORIGIN}/{BUCKET}/"));
    scene.write("a/b", b"local", 500);
    scene.settle().unwrap();
    scene.server.with(|world| assert_eq!(world.objects["a/b"].content, b"local"));
    scene.check_rerun().unwrap();
}

/// Trap 31 of `NETWORK.md`: a version tag is no digest of the content.
#[test]
fn equal_files_are_recognized_by_their_own_digest() {
    let mut scene = Scene::new(Quirks { tags: Tags::Version, ..Quirks::default() });
    scene.write("a", b"the same content", 500);
    scene.settle().unwrap();
    scene.forget();
    let requests = scene.requests_of(|scene| scene.settle().unwrap());
    let is_download =
        |request: &&String| request.starts_with("GET") && !request.contains("list-type");
    assert_eq!(requests.iter().filter(is_download).count(), 0, "{requests:#?}");
    // An upload in parts has no digest: it is downloaded and compared.
    scene.in_parts = true;
    scene.write("b", b"another content", 500);
    scene.settle().unwrap();
    scene.forget();
    let requests = scene.requests_of(|scene| scene.settle().unwrap());
    assert_eq!(requests.iter().filter(is_download).count(), 1, "{requests:#?}");
    scene.check(&scene.versions()).unwrap();
}

/// Trap 32: what a server can refuse is found out once, and said once a run.
#[test]
fn conditions_are_probed_once() {
    for (quirks, described, warns) in [
        (Quirks::default(), "refuses overwrites: yes; refuses deletions: yes", false),
        (
            Quirks { ignores_conditions: true, ..Quirks::default() },
            "refuses overwrites: no; refuses deletions: no",
            true,
        ),
        (
            Quirks { ignores_if_match: true, ..Quirks::default() },
            "refuses overwrites: no; refuses deletions: yes",
            true,
        ),
        (
            Quirks { completes_always: true, ..Quirks::default() },
            "refuses overwrites: no; refuses deletions: yes",
            true,
        ),
        (
            Quirks { completes_any_version: true, ..Quirks::default() },
            "refuses overwrites: no; refuses deletions: yes",
            true,
        ),
        (
            Quirks { refuses_conditions: true, ..Quirks::default() },
            "refuses overwrites: no; refuses deletions: no",
            true,
        ),
        (
            Quirks { deletes_always: true, ..Quirks::default() },
            "refuses overwrites: yes; refuses deletions: no",
            false,
        ),
        (
            Quirks { has_no_uploads: true, ..Quirks::default() },
            "refuses overwrites: no; refuses deletions: yes",
            true,
        ),
        (Quirks { is_versioned: true, ..Quirks::default() }, "keeps versions: yes", false),
    ] {
        let scene = Scene::new(quirks.clone());
        for number in 0..2 {
            scene.write(&format!("{number}"), b"content", 500);
            let mut run = None;
            let requests = scene.requests_of(|scene| run = Some(scene.succeed().unwrap()));
            let text = log(&run.unwrap());
            assert_eq!(text.matches(described).count(), 1, "{quirks:?}: {text}");
            let warnings = text.matches("cannot refuse an overwrite").count();
            assert_eq!(warnings, usize::from(warns), "{quirks:?}: {text}");
            let probes = requests.iter().filter(|one| one.contains(".syncmgr-tmp-")).count();
            assert_eq!(probes > 0, number == 0, "{requests:#?}");
        }
        let left = scene.server.with(|world| world.objects.len() + world.uploads.len());
        assert_eq!(left, 2, "{quirks:?}");
    }
}

/// Trap 35: times are in the metadata, as rclone writes them, and no request asks for each object.
#[test]
fn a_time_is_in_the_metadata() {
    let scene = Scene::new(Quirks::default());
    scene.write("a", b"content", 500);
    scene.settle().unwrap();
    let metadata = scene.object("a").metadata;
    let time = &metadata.iter().find(|(name, _)| name == "x-amz-meta-mtime").unwrap().1;
    let modified = scene.local_path().join("a").metadata().unwrap().modified().unwrap();
    let modified = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(*time, format!("{}.{:09}", modified.as_secs(), modified.subsec_nanos()));
}

/// The requests of a run, which cost money.
#[test]
fn a_run_sends_few_requests() {
    let scene = Scene::new(Quirks::default());
    scene.probe();
    for number in 0..200 {
        scene.write(&format!("d/{number}"), format!("content {number}").as_bytes(), 500);
    }
    let first = scene.requests_of(|scene| drop(scene.succeed().unwrap()));
    let puts = first.iter().filter(|one| one.starts_with("PUT")).count();
    assert_eq!(puts, 200, "{first:#?}");
    // One for the scan, one for the directory, and one for each batch.
    assert!(
        first.len() - puts <= 8,
        "{:#?}",
        first.iter().filter(|one| !one.starts_with("PUT")).collect::<Vec<_>>()
    );
    let second = scene.requests_of(|scene| drop(scene.succeed().unwrap()));
    assert_eq!(second.len(), 1, "{second:#?}");
}

/// Trap 40: the size of what was stored is compared.
#[test]
fn a_truncated_upload_is_an_error() {
    let scene = Scene::new(Quirks::default());
    scene.probe();
    scene.write("a", b"the whole content", 500);
    scene.server.with(|world| world.quirks.truncates = true);
    let text = log(&scene.run());
    assert!(text.contains("the server stored 8 of 17 bytes"), "{text}");
    scene.server.with(|world| world.quirks.truncates = false);
    scene.settle().unwrap();
    assert_eq!(scene.object("a").content, b"the whole content");
    assert_eq!(scene.local()["a"], b"the whole content");
}

/// A large object needs not be received from its start again.
#[test]
fn a_download_that_is_cut_is_continued() {
    for (tags, continues) in [(Tags::Content, true), (Tags::None, false)] {
        let scene = Scene::new(Quirks { tags, ..Quirks::default() });
        scene.edit("a", Some(b"a content that is received in two parts"));
        // The list, and the object.
        scene.server.with(|world| world.events.insert(1, Event::CutBody(20)));
        let requests = scene.requests_of(|scene| drop(scene.succeed().unwrap()));
        let ranges = requests.iter().filter(|one| one.contains("range: bytes=20-")).count();
        assert_eq!(ranges, usize::from(continues), "{requests:#?}");
        scene.server.with(|world| world.events.clear());
        scene.settle().unwrap();
        assert_eq!(scene.local()["a"], b"a content that is received in two parts");
    }
}

/// A run was killed while it determined what the server can do.
#[test]
fn what_a_killed_run_has_left_is_removed() {
    let scene = Scene::new(Quirks::default());
    let from = scene.server.with(|world| world.requests.len());
    scene.write("a", b"a", 500);
    let requests = scene.requests_of(|scene| drop(scene.succeed().unwrap()));
    for (number, request) in requests.iter().enumerate() {
        let scene = Scene::new(Quirks::default());
        scene.write("a", b"a", 500);
        scene.server.with(|world| world.down_from = Some(from + number));
        scene.run();
        scene.server.with(|world| world.down_from = None);
        scene.settle().unwrap();
        let keys: Vec<_> = scene.server.with(|world| world.objects.keys().cloned().collect());
        assert_eq!(keys, [format!("{PREFIX}a")], "{request}");
    }
}

#[test]
fn deleted_and_replaced_objects_are_kept() {
    for is_versioned in [false, true] {
        let scene = Scene::new(Quirks { is_versioned, ..Quirks::default() });
        scene.write("d/deleted", b"deleted", 500);
        scene.write("d/replaced", b"replaced", 500);
        scene.write("d/kept", b"kept", 500);
        scene.settle().unwrap();
        scene.remove("d/deleted");
        scene.write("d/replaced", b"replaced 2", 400);
        scene.settle().unwrap();
        let (trash, versions) = scene.server.with(|world| {
            let trash = world.objects.iter().filter(|(key, _)| key.contains(".syncmgr-trash/"));
            let trash: Vec<_> = trash
                .map(|(key, stored)| {
                    (key.rsplit_once("/d/").unwrap().1.to_owned(), stored.content.clone())
                })
                .collect();
            (trash, world.versions.clone())
        });
        let kept = [b"deleted".to_vec(), b"replaced".to_vec()];
        match is_versioned {
            true => {
                assert_eq!(trash, []);
                assert!(kept.iter().all(|content| versions.contains(content)));
            }
            false => {
                let names = ["deleted".to_owned(), "replaced".to_owned()];
                assert_eq!(trash, names.into_iter().zip(kept).collect::<Vec<_>>());
            }
        }
    }
}

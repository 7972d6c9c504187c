//! Finding out what a server can do.

use std::collections::BTreeMap;
use std::fs;

use syncmgr_engine::names;
use syncmgr_plugin::testing::Run;

use crate::quirks::{Destinations, Quirks, Tags, Times};
use crate::scene::{Scene, is_success, log};
use crate::world::Event;

/// The line in the log for a server that conforms.
const RIGHT: &str = "remote: a server without a name; refuses overwrites: yes; renames: yes; \
                     keeps times: no; tags: exact";
/// The line for a server that ignores `Overwrite: F`.
const CARELESS: &str = "remote: a server without a name; refuses overwrites: no; renames: yes; \
                        keeps times: no; tags: exact";
const WARNING: &str = "cannot refuse an overwrite";
/// More requests than an interrupted run sends.
const MAX_REQUESTS: usize = 150;
/// The uploads of a probe.
const PROBES: usize = 5;

fn careless() -> Quirks {
    Quirks { ignores_overwrite: true, ..Quirks::default() }
}

/// Returns what the log says of the server.
fn described(run: &Run) -> Vec<String> {
    let lines = log(run).lines().map(str::to_owned).collect::<Vec<_>>();
    lines.into_iter().filter(|line| line.contains("; refuses overwrites: ")).collect()
}

/// Runs the plugin, and returns the methods of its requests, too.
fn run(scene: &Scene) -> (Run, Vec<String>) {
    let first = scene.server.with(|world| world.requests.len());
    let run = scene.run();
    let method = |request: &String| request.split(' ').next().map(str::to_owned);
    (run, scene.server.with(|world| world.requests[first..].iter().filter_map(method).collect()))
}

fn count(methods: &[String], method: &str) -> usize {
    methods.iter().filter(|one| *one == method).count()
}

/// Fails if collections of runs are left on the server.
fn check_clean(scene: &Scene) -> Result<(), String> {
    let left: Vec<_> = scene.server.with(|world| {
        let is_left = |path: &&String| path.split('/').any(names::is_temp);
        world.entries.keys().filter(is_left).cloned().collect()
    });
    if left.is_empty() { Ok(()) } else { Err(format!("{left:?} is left")) }
}

#[test]
fn a_server_is_probed_once() {
    let unnamed = |rest: &str| format!("remote: a server without a name; {rest}");
    let coarse = unnamed(
        "refuses overwrites: yes; renames: yes; keeps times: no; tags: none, or of whole seconds",
    );
    for (quirks, line) in [
        (Quirks::default(), RIGHT.to_owned()),
        (careless(), CARELESS.to_owned()),
        (
            Quirks { server: "Apache", ..Quirks::default() },
            RIGHT.replace("a server without a name", "Apache"),
        ),
        (
            Quirks { times: Times::Accepted, ..Quirks::default() },
            RIGHT.replace("times: no", "times: yes"),
        ),
        (Quirks { tags: Tags::New, ..Quirks::default() }, RIGHT.replace("exact", "not stable")),
        (Quirks { tags: Tags::Weak, ..Quirks::default() }, RIGHT.to_owned()),
        (Quirks { tags: Tags::Seconds, ..Quirks::default() }, coarse.clone()),
        (Quirks { tags: Tags::Joined, ..Quirks::default() }, coarse.clone()),
        (Quirks { tags: Tags::None, ..Quirks::default() }, coarse),
        (Quirks { composes_names: true, ..Quirks::default() }, RIGHT.to_owned()),
        (Quirks { ignores_case: true, ..Quirks::default() }, RIGHT.to_owned()),
        (Quirks { needs_slash: true, ..Quirks::default() }, RIGHT.to_owned()),
        (Quirks { destinations: Destinations::OtherScheme, ..Quirks::default() }, RIGHT.to_owned()),
        (Quirks { destinations: Destinations::Paths, ..Quirks::default() }, RIGHT.to_owned()),
        (
            Quirks { moves_change_tags: true, ..Quirks::default() },
            RIGHT.replace("renames: yes", "renames: no"),
        ),
        (
            Quirks { is_nextcloud: true, ..Quirks::default() },
            format!("{RIGHT}; recognizes files that were moved there"),
        ),
        (
            Quirks { is_nextcloud: true, moves_change_ids: true, ..Quirks::default() },
            RIGHT.replace("renames: yes", "renames: no"),
        ),
        (
            Quirks { is_nextcloud: true, moves_change_tags: true, ..Quirks::default() },
            RIGHT.replace("renames: yes", "renames: no"),
        ),
        (Quirks { is_nextcloud: true, tags: Tags::Weak, ..Quirks::default() }, {
            format!("{RIGHT}; recognizes files that were moved there")
        }),
        (
            Quirks { hides_dots: true, ..Quirks::default() },
            format!("{RIGHT}; skips names that begin with a dot, since it does not list them"),
        ),
    ] {
        let scene = Scene::new(quirks.clone());
        scene.write("a", b"a 1", 500);
        let (found, methods) = run(&scene);
        assert!(is_success(&found), "{quirks:?}: {found:#?}");
        assert_eq!(described(&found).join("\n"), line, "{quirks:?}");
        assert_eq!(count(&methods, "PUT"), PROBES + 1, "{quirks:?}");
        assert_eq!(count(&methods, "OPTIONS"), 1, "{quirks:?}");
        check_clean(&scene).unwrap();
        for content in [b"a 2", b"a 2"] {
            scene.write("a", content, 400);
            let uploads = usize::from(scene.remote()["a"] != content);
            let (known, methods) = run(&scene);
            assert!(is_success(&known), "{quirks:?}: {known:#?}");
            assert_eq!(known.log[0].text, line, "{quirks:?}");
            assert_eq!(described(&known).len(), 1, "{quirks:?}");
            assert_eq!(count(&methods, "PUT"), uploads, "{quirks:?}");
            assert_eq!(count(&methods, "OPTIONS"), 1, "{quirks:?}");
            scene.check(&[content.to_vec()].into()).unwrap();
        }
        check_clean(&scene).unwrap();
    }
}

#[test]
fn another_server_is_probed_again() {
    let named = |server, more_dav| Quirks { server, more_dav, ..careless() };
    for (quirks, is_other) in
        [(named("", ""), false), (named("Apache", ""), true), (named("", ", access-control"), true)]
    {
        let scene = Scene::new(Quirks::default());
        scene.write("a", b"a 1", 500);
        assert_eq!(described(&run(&scene).0), [RIGHT]);
        scene.server.with(|world| world.quirks = quirks.clone());
        scene.write("a", b"a 2", 400);
        let (again, methods) = run(&scene);
        assert!(is_success(&again), "{again:#?}");
        assert_eq!(count(&methods, "PUT"), if is_other { PROBES + 1 } else { 1 }, "{quirks:?}");
        assert_eq!(log(&again).contains(WARNING), is_other, "{}", log(&again));
    }
}

#[test]
fn a_server_that_cannot_refuse_an_overwrite_is_reported_once_in_a_run() {
    let scene = Scene::new(careless());
    for content in [b"1", b"2", b"2"] {
        for name in ["a", "b", "c/d"] {
            scene.write(name, content, 500);
        }
        let run = scene.succeed().unwrap();
        assert_eq!(log(&run).matches(WARNING).count(), 1, "{}", log(&run));
    }
}

/// The server refuses each move.
#[test]
fn a_server_without_moves_is_refused() {
    for status in [403, 405, 500, 501, 502] {
        let scene = Scene::new(Quirks { refuses_moves: Some(status), ..Quirks::default() });
        scene.edit("remote", Some(b"remote"));
        for number in 0..5 {
            scene.write(&format!("d{number}/a"), &[number], 500);
        }
        let versions = scene.versions();
        let (refused, methods) = run(&scene);
        let words = "the server cannot move files (MOVE), which is required";
        assert!(log(&refused).contains(words), "{status}: {}", log(&refused));
        assert_eq!(count(&methods, "PUT"), PROBES - 1, "{status}: it is probed once");
        check_clean(&scene).unwrap();
        assert_eq!(scene.remote(), BTreeMap::from([("remote".to_owned(), b"remote".to_vec())]));
        scene.server.with(|world| world.quirks.refuses_moves = None);
        scene.settle().unwrap();
        scene.check(&versions).unwrap();
        scene.check_rerun().unwrap();
    }
}

#[test]
fn a_cut_probe_is_repeated() {
    for (quirks, line) in [(Quirks::default(), RIGHT), (careless(), CARELESS)] {
        let quirks = Quirks { keeps_cut_puts: true, ..quirks };
        let scene = || {
            let scene = Scene::new(quirks.clone());
            scene.write("d/a", b"local", 500);
            scene.edit("b", Some(b"remote"));
            scene
        };
        let requests = run(&scene()).1.len();
        assert!(requests > 20, "{requests} requests");
        for number in 0..requests {
            // A request is repeated 4 times.
            for (first, cuts) in [
                (Event::CutBefore, 1),
                (Event::CutAfter, 1),
                (Event::CutBefore, 5),
                (Event::CutAfter, 5),
                (Event::CutBefore, MAX_REQUESTS),
                (Event::CutAfter, MAX_REQUESTS),
            ] {
                let scene = scene();
                let mut versions = scene.versions();
                versions.insert(b"next".to_vec());
                let others = (number + 1..number + cuts).map(|at| (at, Event::CutBefore));
                let events = others.chain([(number, first.clone())]).collect();
                scene.server.with(|world| world.events = events);
                let (cut, methods) = run(&scene);
                let context = format!("{first:?} at {number}, {cuts} cuts: {cut:#?}");
                assert!(methods.len() < MAX_REQUESTS, "{} requests: {context}", methods.len());
                assert!(described(&cut).iter().all(|found| found == line), "{context}");
                assert!(cuts > 1 || is_success(&cut), "{context}");
                assert!(!log(&cut).contains("cannot move files"), "{context}");
                scene.server.with(|world| world.events.clear());
                scene.write("c", b"next", 400);
                let next = scene.succeed().unwrap();
                assert_eq!(described(&next), [line], "{context}");
                assert_eq!(scene.succeed().unwrap().log[0].text, line, "{context}");
                check_clean(&scene).unwrap_or_else(|why| panic!("{context}: {why}"));
                scene.check(&versions).unwrap_or_else(|why| panic!("{context}: {why}"));
                scene.check_rerun().unwrap_or_else(|why| panic!("{context}: {why}"));
            }
        }
    }
}

#[test]
fn a_probe_that_fails_harms_nothing() {
    let busy = |methods: &[&'static str], times| Quirks {
        busy: Some((503, times)),
        busy_methods: methods.to_vec(),
        ..careless()
    };
    for (quirks, is_repeated) in [
        // The server stores nothing of the first uploads.
        (Quirks { empty_puts: 1, ..careless() }, false),
        (Quirks { empty_puts: 3, ..careless() }, false),
        (Quirks { empty_puts: 1, moves_change_times: true, ..careless() }, false),
        // The probe of the first change fails, and that of the next one succeeds.
        (busy(&["PUT"], 7), true),
        (busy(&["MKCOL"], 7), true),
        (busy(&["OPTIONS"], 7), true),
    ] {
        let scene = Scene::new(quirks.clone());
        for name in ["a", "b", "c/d"] {
            scene.write(name, name.as_bytes(), 500);
        }
        let versions = scene.versions();
        let first = scene.run();
        assert_eq!(!described(&first).is_empty(), is_repeated, "{quirks:?}: {}", log(&first));
        scene.check_kept(&versions).unwrap();
        let (_, methods) = run(&scene);
        assert_eq!(count(&methods, "GET"), 0, "{quirks:?}: an upload seems to be changed");
        scene.write("a", b"new", 400);
        let versions = scene.versions();
        scene.settle().unwrap();
        scene.check(&versions).unwrap_or_else(|why| panic!("{quirks:?}: {why}"));
        check_clean(&scene).unwrap();
        scene.write("a", b"newer", 300);
        let line = match quirks.moves_change_times {
            true => CARELESS.replace("renames: yes", "renames: no"),
            false => CARELESS.to_owned(),
        };
        assert_eq!(described(&scene.succeed().unwrap()), [&*line], "{quirks:?}");
        assert_eq!(scene.succeed().unwrap().log[0].text, line, "{quirks:?}");
    }
}

/// If the server is too busy for OPTIONS, each run with changes probes.
#[test]
fn a_server_without_options_can_be_used() {
    for (status, is_answer) in [(503, false), (403, true), (405, true), (501, true)] {
        let busy = Some((status, u32::MAX));
        let busy_methods = vec!["OPTIONS"];
        let scene = Scene::new(Quirks { busy, busy_methods, ..Quirks::default() });
        for (content, is_probed) in [(b"1", true), (b"2", !is_answer)] {
            scene.write("a", content, 500);
            let (found, methods) = run(&scene);
            assert!(is_success(&found), "{status}: {found:#?}");
            assert_eq!(described(&found), [RIGHT], "{status}");
            let probes = if is_probed { PROBES } else { 0 };
            assert_eq!(count(&methods, "PUT"), probes + 1, "{status}");
            scene.check(&scene.versions()).unwrap();
        }
    }
}

#[test]
fn a_dry_run_does_not_probe() {
    let mut scene = Scene::new(Quirks::default());
    scene.write("a", b"local", 500);
    scene.edit("b", Some(b"remote"));
    scene.settings = vec![("dry-run", "true")];
    let (dry, methods) = run(&scene);
    assert!(is_success(&dry), "{dry:#?}");
    assert!(described(&dry).is_empty(), "{}", log(&dry));
    assert_eq!(methods, ["PROPFIND", "OPTIONS", "PROPFIND"]);
    scene.settings.clear();
    scene.succeed().unwrap();
    scene.settings = vec![("dry-run", "true")];
    assert_eq!(scene.succeed().unwrap().log[0].text, RIGHT);
}

/// An entry that the server does not list would seem to be deleted there.
#[test]
fn names_that_the_server_does_not_list_stay_local() {
    let scene = Scene::new(Quirks { hides_dots: true, ..Quirks::default() });
    scene.write("moved", b"a file that is moved", 500);
    scene.write("d/moved", b"a file in a moved directory", 500);
    for name in ["x", "y", "z"] {
        // So that nothing else stops the run.
        scene.write(name, name.as_bytes(), 500);
    }
    scene.write(".new", b"new", 500);
    scene.write(".d/new", b"new in a directory", 500);
    let versions = scene.versions();
    scene.run();
    let local = scene.local_path();
    fs::rename(local.join("moved"), local.join(".moved")).unwrap();
    fs::rename(local.join("d"), local.join(".moved directory")).unwrap();
    let before = scene.local();
    for _ in 0..3 {
        let run = scene.run();
        let why = "the server does not list names that begin with a dot";
        assert!(log(&run).contains(why), "{}", log(&run));
        assert_eq!(scene.local(), before, "{}", log(&run));
        scene.check_kept(&versions).unwrap();
    }
    let hidden: Vec<_> = scene.remote().into_keys().filter(|path| path.starts_with('.')).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

/// DELETE of a collection that seems to be empty would delete its hidden files.
#[test]
fn a_file_that_the_server_does_not_list_is_not_deleted_with_its_directory() {
    for trash in ["true", "false"] {
        let mut scene = Scene::new(Quirks { hides_dots: true, ..Quirks::default() });
        scene.settings = vec![("trash", trash)];
        for name in ["d/a", "d/e/a", "x", "y", "z"] {
            scene.write(name, name.as_bytes(), 500);
        }
        scene.settle().unwrap();
        let hidden = [("d/.x", b"hidden 1"), ("d/e/.x", b"hidden 2")];
        for (path, content) in hidden {
            scene.edit(path, Some(content));
        }
        fs::remove_dir_all(scene.local_path().join("d")).unwrap();
        scene.settle().unwrap();
        for (path, content) in hidden {
            let kept = scene.server.with(|world| world.contents());
            assert!(kept.contains(&content[..]), "trash={trash}: {path} is lost");
        }
        assert!(!scene.remote().contains_key("d/"), "trash={trash}");
    }
}

/// Where case is ignored, the server finds the entry itself under the new name.
#[test]
fn a_name_whose_case_changes_is_renamed() {
    for (quirks, ignores_case) in [Quirks::default(), careless()]
        .into_iter()
        .flat_map(|one| [(one.clone(), true), (one, false)])
    {
        let quirks = Quirks { ignores_case, ..quirks };
        let scene = Scene::new(quirks.clone());
        scene.write("name", b"a file", 500);
        scene.write("d/inside", b"in a directory", 500);
        scene.settle().unwrap();
        let local = scene.local_path();
        fs::rename(local.join("name"), local.join("Name")).unwrap();
        fs::rename(local.join("d"), local.join("D")).unwrap();
        let versions = scene.versions();
        let run = scene.succeed().unwrap();
        assert!(!log(&run).contains("cannot rename"), "{}", log(&run));
        scene.check(&versions).unwrap_or_else(|why| panic!("{quirks:?}: {why}"));
        scene.check_rerun().unwrap();
    }
}

/// Another client creates the new name, at each request of the run.
#[test]
fn a_name_whose_case_changes_replaces_no_other_entry() {
    let run_with = |event: Option<(usize, Event)>| {
        let scene = Scene::new(careless());
        scene.write("d/name", b"a file", 500);
        scene.settle().unwrap();
        let local = scene.local_path();
        fs::rename(local.join("d/name"), local.join("d/Name")).unwrap();
        let mut versions = scene.versions();
        let first = scene.server.with(|world| world.requests.len());
        if let Some((number, event)) = event {
            scene.server.with(|world| world.events = BTreeMap::from([(first + number, event)]));
            versions.insert(b"another".to_vec());
        }
        scene.run();
        let requests = scene.server.with(|world| {
            world.events.clear();
            world.requests[first..].to_vec()
        });
        (scene, versions, requests)
    };
    let (_, _, requests) = run_with(None);
    let moved = requests.iter().position(|request| request.starts_with("MOVE")).unwrap();
    for number in 0..moved {
        let edit = Event::Edit("d/Name".to_owned(), Some(b"another".to_vec()));
        let (scene, versions, requests) = run_with(Some((number, edit)));
        scene.settle().unwrap();
        scene.check(&versions).unwrap_or_else(|why| panic!("at {number}: {why}: {requests:#?}"));
    }
}

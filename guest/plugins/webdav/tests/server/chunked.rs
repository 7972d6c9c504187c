//! Chunked uploads.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use syncmgr_engine::service::{Server, ServerPair, Service};
use syncmgr_engine::{Endpoint, item};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::prelude::*;
use syncmgr_plugin::testing::Run;
use webdav::WebDav;
use webdav::collection::chunked::Chunks;

use crate::quirks::{Quirks, Times};
use crate::scene::{Scene, is_success, log};
use crate::uploads::MIN_CHUNK;
use crate::world::Event;

/// The plugin with small chunks.
#[derive(Default)]
struct Small;

/// The engine sends smaller files in batches.
const FROM: usize = (1 << 20) + 1;
const CHUNKS: Chunks = Chunks { from: FROM as u64, size: MIN_CHUNK as u64 };
/// A file of 25 chunks.
const LARGE: usize = 25 * MIN_CHUNK - 1;

impl Plugin for Small {
    fn handler_info(&self) -> Result<HandlerInfo> {
        WebDav.handler_info()
    }

    fn items(&mut self) -> Result<ItemList> {
        item::items(&ServerPair::<Self>::all()?)
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        item::synchronize_item(&ServerPair::<Self>::all()?, context)
    }
}

impl Service for Small {
    const NAME: &'static str = WebDav::NAME;
    const SETTINGS: &'static [&'static str] = WebDav::SETTINGS;

    fn url(granted: &str, setting: &dyn Fn(&str) -> Option<String>) -> Result<String> {
        WebDav::url(granted, setting)
    }

    fn open(server: &Server, storage: &Directory) -> Result<Box<dyn Endpoint>> {
        webdav::open(server, storage, CHUNKS)
    }
}

fn scene(quirks: Quirks) -> Scene {
    let mut scene = Scene::new(Quirks { is_nextcloud: true, ..quirks });
    scene.granted = "https://dav.example/remote.php/dav/";
    scene.settings = vec![("collection", "files/me/docs")];
    scene
}

fn content(size: usize, seed: u8) -> Vec<u8> {
    (0..size).map(|at| at.to_le_bytes()[0].wrapping_mul(7).wrapping_add(seed)).collect()
}

fn run(scene: &Scene) -> Run {
    scene.run_as::<Small>()
}

fn count(scene: &Scene, start: &str) -> usize {
    scene
        .server
        .with(|world| world.requests.iter().filter(|request| request.starts_with(start)).count())
}

const CHUNK: &str = "PUT /remote.php/dav/uploads/me/";

#[test]
fn a_large_file_is_sent_in_chunks() {
    for (size, chunks) in
        [(FROM - 1, 0), (FROM, 21), (21 * MIN_CHUNK, 21), (21 * MIN_CHUNK + 1, 22)]
    {
        let scene = scene(Quirks::default());
        scene.write("d/large", &content(size, 1), 500);
        let done = run(&scene);
        assert!(is_success(&done), "{done:#?}");
        scene.check(&[content(size, 1)].into()).unwrap();
        assert_eq!(count(&scene, CHUNK), chunks, "{size} bytes");
        assert!(scene.server.with(|world| world.uploads.is_empty()));
        // A replaced one, too.
        scene.write("d/large", &content(size, 2), 400);
        assert!(is_success(&run(&scene)));
        scene.check(&[content(size, 1), content(size, 2)].into()).unwrap();
        scene.check_rerun().unwrap();
    }
}

#[test]
fn a_large_file_has_the_time_of_its_source() {
    let scene = scene(Quirks { times: Times::Accepted, ..Quirks::default() });
    scene.write("large", &content(LARGE, 1), 500);
    let time = scene.local_path().join("large").metadata().unwrap().modified().unwrap();
    let seconds = time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(is_success(&run(&scene)));
    let stored = scene.server.with(|world| world.entries["large"].modified);
    assert_eq!(stored.unsigned_abs(), seconds);
    assert_eq!(count(&scene, CHUNK), 25);
}

/// The record of a second interrupted run has the chunks of the first one.
#[test]
fn an_upload_that_is_interrupted_twice_is_continued() {
    let scene = scene(Quirks::default());
    scene.probe();
    scene.write("large", &content(LARGE, 1), 500);
    for requests in [9, 13] {
        scene.server.with(|world| world.down_from = Some(world.requests.len() + requests));
        run(&scene);
    }
    let sent = scene.server.with(|world| {
        world.down_from = None;
        world.uploads.values().map(|upload| upload.chunks.len()).sum::<usize>()
    });
    let before = count(&scene, CHUNK);
    assert!(is_success(&run(&scene)));
    assert_eq!(count(&scene, CHUNK) - before, 25 - sent, "{sent} chunks were sent");
    scene.check(&[content(LARGE, 1)].into()).unwrap();
}

#[test]
fn an_interrupted_upload_is_continued() {
    // The run has listed, asked for the options, made the staging collection and the upload, and
    // sent 5 chunks.
    let scene = scene(Quirks::default());
    scene.probe();
    scene.write("large", &content(LARGE, 1), 500);
    scene.server.with(|world| world.down_from = Some(world.requests.len() + 9));
    run(&scene);
    let sent = scene.server.with(|world| {
        world.down_from = None;
        world.uploads.values().map(|upload| upload.chunks.len()).sum::<usize>()
    });
    assert!(sent > 2, "{sent} chunks were sent");
    let before = count(&scene, CHUNK);
    let done = run(&scene);
    assert!(is_success(&done), "{done:#?}");
    assert_eq!(count(&scene, CHUNK) - before, 25 - sent);
    scene.check(&[content(LARGE, 1)].into()).unwrap();
    scene.check_rerun().unwrap();
}

#[test]
fn an_interrupted_upload_of_another_version_is_not_continued() {
    let scene = scene(Quirks::default());
    scene.probe();
    scene.write("large", &content(LARGE, 1), 500);
    scene.server.with(|world| world.down_from = Some(world.requests.len() + 13));
    run(&scene);
    scene.server.with(|world| world.down_from = None);
    assert!(scene.server.with(|world| !world.uploads.is_empty()), "nothing was sent");
    scene.write("large", &content(LARGE, 2), 500);
    let before = count(&scene, CHUNK);
    assert!(is_success(&run(&scene)));
    assert_eq!(count(&scene, CHUNK) - before, 25);
    assert!(scene.server.with(|world| world.uploads.is_empty()), "the old upload remains");
    assert_eq!(scene.remote()["large"], content(LARGE, 2));
}

#[test]
fn a_cut_connection_loses_no_chunk() {
    for event in [Event::CutBefore, Event::CutAfter] {
        // This includes the requests of the probe.
        for number in 0..64 {
            let scene = scene(Quirks { keeps_cut_puts: true, ..Quirks::default() });
            scene.write("large", &content(LARGE, 1), 500);
            scene.server.with(|world| world.events = BTreeMap::from([(number, event.clone())]));
            run(&scene);
            scene.server.with(|world| world.events.clear());
            assert!(is_success(&run(&scene)));
            let checked = scene.check(&[content(LARGE, 1)].into());
            checked.unwrap_or_else(|why| panic!("{event:?} at {number}: {why}"));
        }
    }
}

/// The server assembles an empty file.
#[test]
fn an_empty_assembly_gets_no_name() {
    let scene = scene(Quirks { empty_assemblies: 1, ..Quirks::default() });
    scene.edit("large", Some(&content(FROM, 1)));
    assert!(is_success(&run(&scene)));
    scene.write("large", &content(FROM, 2), 500);
    let done = run(&scene);
    assert!(log(&done).contains("the server stored 0 of 1048577 bytes"), "{}", log(&done));
    assert_eq!(scene.remote()["large"], content(FROM, 1));
    assert!(is_success(&run(&scene)));
    scene.check(&[content(FROM, 1), content(FROM, 2)].into()).unwrap();
}

#[test]
fn without_uploads_a_large_file_is_sent_in_one_request() {
    for (granted, collection, is_nextcloud) in [
        // The grant does not cover the uploads.
        ("https://dav.example/remote.php/dav/files/me/docs", "", true),
        // The server has none.
        ("https://dav.example/remote.php/dav", "files/me/docs", false),
    ] {
        let mut scene = scene(Quirks::default());
        scene.server.with(|world| world.quirks.is_nextcloud = is_nextcloud);
        scene.granted = granted;
        scene.settings = vec![("collection", collection)];
        scene.write("large", &content(FROM, 1), 500);
        scene.write("larger", &content(LARGE, 2), 500);
        let done = run(&scene);
        assert!(is_success(&done), "{done:#?}");
        scene.check(&[content(FROM, 1), content(LARGE, 2)].into()).unwrap();
        assert_eq!(count(&scene, CHUNK), 0);
    }
}

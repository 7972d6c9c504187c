//! The number of requests in flight.

use std::fs;
use std::sync::{Arc, Mutex};

use syncmgr_engine::names;
use webdav::WebDav;

use crate::quirks::Quirks;
use crate::scene::{Scene, is_success, log};

/// The files that were received before each GET.
#[test]
fn the_setting_limits_the_files_that_are_received_at_once() {
    for (transfers, received) in [
        (Some("1"), [0, 1, 2, 3, 4, 5, 6]),
        (Some("3"), [0, 0, 0, 3, 3, 3, 6]),
        (Some("32"), [0; 7]),
        (None, [0; 7]),
    ] {
        let mut scene = Scene::new(Quirks::default());
        scene.settings.extend(transfers.map(|transfers| ("transfers", transfers)));
        for number in 0..received.len() {
            scene.edit(&number.to_string(), Some(&[7; 100]));
        }
        let found = Arc::new(Mutex::new(Vec::new()));
        let (counts, local) = (Arc::clone(&found), scene.local_path());
        let run = scene.run_watched::<WebDav>(move |request| {
            if request.method == "GET" {
                let entries = fs::read_dir(&local).unwrap().flatten();
                let is_temp = |name: &str| names::is_temp(name);
                let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
                counts.lock().unwrap().push(names.filter(|name| is_temp(name)).count());
            }
        });
        assert!(is_success(&run), "{transfers:?}: {run:#?}");
        assert_eq!(*found.lock().unwrap(), received, "{transfers:?}");
    }
}

#[test]
fn an_invalid_number_of_requests_is_explained() {
    for transfers in ["0", "33", "many"] {
        let mut scene = Scene::new(Quirks::default());
        scene.settings.push(("transfers", transfers));
        let run = scene.run();
        let words = format!("setting `transfers` is `{transfers}`; use a number from 1 to 32");
        assert!(log(&run).contains(&words), "{}", log(&run));
        assert_eq!(scene.server.with(|world| world.requests.len()), 0);
    }
}

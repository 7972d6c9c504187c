//! Runs the plugin against a sync manager. It grants no server, so that every request is denied.
//! After `syncmgr build`, `SYNCMGR_COMPONENT=$PWD/build/{{name}}.wasm cargo test` runs the tests
//! with the component.

use std::fs;

use syncmgr_plugin::Status;
use syncmgr_plugin::testing::{Run, SyncManager};

use super::{TRANSFER, Transfer};

fn run(settings: &[(&str, &str)]) -> (Run, usize) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("readme.txt"), "a file").unwrap();
    let mut manager = SyncManager::new().grant("files", folder.path());
    for (name, value) in settings {
        manager = manager.setting(name, value);
    }
    let run = manager.run::<Transfer>();
    run.assert_in_order();
    (run, fs::read_dir(folder.path()).unwrap().count())
}

#[test]
fn nothing_is_transferred_without_a_server() {
    let (run, files) = run(&[("download", "readme.txt")]);
    run.assert_ended(TRANSFER, Status::Failed);
    assert_eq!(files, 1);
}

#[test]
fn a_denied_request_leaves_nothing_behind() {
    for setting in ["download", "upload"] {
        let settings = [("remote", "https://files.example.com/"), (setting, "readme.txt")];
        let (run, files) = run(&settings);
        run.assert_ended(TRANSFER, Status::Failed);
        assert_eq!(files, 1, "{setting}");
    }
}

#[test]
fn nothing_to_transfer_is_a_success() {
    let (run, _) = run(&[("remote", "https://files.example.com/")]);
    run.assert_ended(TRANSFER, Status::Succeeded);
}

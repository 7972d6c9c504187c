//! The check of a side: the sides of the engine pass, and one that breaks a promise fails for that
//! promise.

#![allow(clippy::unwrap_used, reason = "it is a test")]

use std::cell::RefCell;
use std::fs;

use syncmgr_engine::testing::{Broken, Faulty, Memory, Turn, check_side};
use syncmgr_engine::tree::Side;
use syncmgr_engine::{Capabilities, Local};
use syncmgr_plugin::directories;
use syncmgr_plugin::prelude::*;
use syncmgr_plugin::testing::SyncManager;

#[test]
fn memory_keeps_all_promises() {
    let usual = Capabilities { has_versions: true, ..Capabilities::default() };
    for side in [
        Memory::default(),
        Memory::with(Capabilities { at_once: 8, hashes_cheaply: true, renames: true, ..usual }),
        Memory::default().with_only_times(),
        Memory::with(Capabilities { renames: true, ..usual }).with_copies(),
    ] {
        assert_eq!(check_side(&mut side.clone()), [], "{:?}", side);
    }
}

thread_local! {
    static BROKEN: RefCell<Vec<Broken>> = const { RefCell::new(Vec::new()) };
}

/// Checks a granted directory.
#[derive(Default)]
struct Checked;

impl Plugin for Checked {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Checked"))
    }

    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(ItemId::from_name("item"), "Item")].into())
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let storage = directories::open_storage()?;
        let grant = directories::grants().remove(0);
        let mut local = Local::open_grant(&grant, &storage, Side::Left, context)?;
        BROKEN.set(check_side(&mut local));
        Ok(())
    }
}

#[test]
fn a_directory_keeps_all_promises() {
    let place = tempfile::tempdir().unwrap();
    for name in ["local", "storage"] {
        fs::create_dir(place.path().join(name)).unwrap();
    }
    let manager = SyncManager::new()
        .grant("local", place.path().join("local"))
        .storage(place.path().join("storage"));
    manager.run::<Checked>().assert_ended(ItemId::from_name("item"), Status::Succeeded);
    assert_eq!(BROKEN.take(), []);
}

#[test]
fn a_side_that_does_nothing_or_loses_answers_is_found_out() {
    for (function, turn, promise) in [
        ("list", Turn::Failed(ErrorCode::NotConnected), "a new directory is empty"),
        ("list", Turn::Ignored, "a listing has the metadata that stat returns"),
        ("stat", Turn::Ignored, "a file has the content that was received"),
        (
            "stat",
            Turn::Failed(ErrorCode::NotConnected),
            "a copy is an entry only after it got its name",
        ),
        ("open", Turn::Failed(ErrorCode::NotConnected), "a file has the content that was received"),
        ("hash", Turn::Failed(ErrorCode::NotConnected), "a digest is that of the content"),
        (
            "receive",
            Turn::Failed(ErrorCode::NotConnected),
            "a file has the content that was received",
        ),
        ("receive", Turn::Lost, "a file has the content that was received"),
        (
            "flush_received",
            Turn::Failed(ErrorCode::NotConnected),
            "a file has the content that was received",
        ),
        ("rename_all", Turn::Ignored, "a copy is an entry only after it got its name"),
        ("rename_all", Turn::Lost, "a copy is an entry only after it got its name"),
        (
            "keep_in_trash",
            Turn::Ignored,
            "a deleted file is gone, and another one can have its name",
        ),
        ("keep_in_trash", Turn::Ignored, "only the expected file is deleted"),
        ("remove", Turn::Ignored, "a deleted file is gone, and another one can have its name"),
        ("create_directory", Turn::Ignored, "a directory is created once"),
        ("remove_directory", Turn::Ignored, "only an empty directory is removed"),
        ("remove_directory", Turn::Lost, "only an empty directory is removed"),
    ] {
        let mut side = Faulty::new(Memory::default(), move |called| match called == function {
            true => turn,
            false => Turn::Made,
        });
        let broken = check_side(&mut side);
        let is_found = broken.iter().any(|one| one.promise == promise);
        assert!(is_found, "{function} {turn:?}: {broken:?}");
    }
}

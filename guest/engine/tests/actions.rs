//! The actions that a run reports, for a directory and a side in memory.

#![allow(clippy::unwrap_used, reason = "it is a test")]

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use syncmgr_engine::options::DeleteLimit;
use syncmgr_engine::testing::Memory;
use syncmgr_engine::tree::Side;
use syncmgr_engine::{Capabilities, Local, Options, Pair, SideGrant, sync};
use syncmgr_plugin::directories;
use syncmgr_plugin::prelude::*;
use syncmgr_plugin::testing::SyncManager;
use uuid::Uuid;

thread_local! {
    /// The side, which persists between runs.
    static MEMORY: RefCell<Memory> = RefCell::default();
    static DRY_RUN: RefCell<bool> = const { RefCell::new(false) };
}

#[derive(Default)]
struct WithMemory;

impl Plugin for WithMemory {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("With memory"))
    }

    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(ItemId::from_name("item"), "Item")].into())
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let storage = directories::open_storage()?;
        let grant = directories::grants().remove(0);
        let side = |label, id| SideGrant {
            label,
            description: format!("the side `{label}`"),
            is_writable: true,
            id,
        };
        let pair = Pair { sides: [side("local", grant.id), side("memory", Uuid::from_u128(7))] };
        let options = Options {
            max_delete: DeleteLimit::Any,
            dry_run: DRY_RUN.with_borrow(Clone::clone),
            ..Options::default()
        };
        sync(&pair, &options, &storage, context, |context| {
            let local = Local::open_grant(&grant, &storage, Side::Left, context)?;
            Ok([Box::new(local), Box::new(MEMORY.with_borrow(Memory::clone))])
        })
    }
}

/// Runs the plugin. Returns the actions as `KIND SIDE PATH SIZE DETAIL`, sorted.
fn run(place: &Path) -> Vec<String> {
    let manager = SyncManager::new().grant("local", place.join("local"));
    let run = manager.storage(place.join("storage")).run::<WithMemory>();
    run.assert_ended(ItemId::from_name("item"), Status::Succeeded);
    let show = |action: &Action| {
        let Action { kind, side, path, size, detail } = action;
        let side = side.as_deref().unwrap_or("-");
        let size = size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        // The time in the name of a conflict copy varies.
        let detail = detail.as_deref().unwrap_or("-");
        let detail = detail.split(" (conflict").next().unwrap_or_default();
        let kind = format!("{kind:?}").replace("ActionKind::", "");
        format!("{kind} {side} {path} {size} {detail}")
    };
    let mut actions: Vec<_> = run.actions.iter().map(|(_, action)| show(action)).collect();
    actions.sort();
    actions
}

#[test]
fn every_change_is_reported_as_an_action() {
    let place = tempfile::tempdir().unwrap();
    let local = place.path().join("local");
    for name in ["local/d", "storage"] {
        fs::create_dir_all(place.path().join(name)).unwrap();
    }
    let all = Capabilities {
        at_once: 4,
        keeps_times: true,
        hashes_cheaply: true,
        has_versions: true,
        renames: true,
        has_ids: true,
        ..Capabilities::default()
    };
    MEMORY.set(Memory::with(all));
    let memory = MEMORY.with_borrow(Memory::clone);
    fs::write(local.join("a"), "one").unwrap();
    fs::write(local.join("d/b"), "four").unwrap();
    memory.put("m", b"memory");

    let first = [
        "Created local m 6 -",
        "Created memory a 3 -",
        "Created memory d - -",
        "Created memory d/b 4 -",
    ];
    DRY_RUN.set(true);
    assert_eq!(run(place.path()), first, "a preview reports what the run will do");
    assert_eq!(fs::read_dir(&local).unwrap().count(), 2, "a preview changes nothing");
    DRY_RUN.set(false);
    assert_eq!(run(place.path()), first);
    assert_eq!(run(place.path()), [""; 0], "nothing changed");

    fs::write(local.join("a"), "another").unwrap();
    fs::rename(local.join("d"), local.join("e")).unwrap();
    fs::remove_file(local.join("m")).unwrap();
    let second = ["Deleted memory m 6 -", "Moved memory d - e", "Replaced memory a 7 -"];
    assert_eq!(run(place.path()), second);

    fs::write(local.join("a"), "left version").unwrap();
    memory.put("a", b"right version!");
    let third = run(place.path());
    assert!(third.iter().any(|action| action.starts_with("ConflictKept - a - a")), "{third:?}");
    let fourth = run(place.path());
    assert_eq!(fourth.len(), 1, "{fourth:?}");
    assert!(fourth[0].starts_with("ConflictStanding - a - a"), "{fourth:?}");

    std::os::unix::fs::symlink("a", local.join("link")).unwrap();
    let fifth = run(place.path());
    assert!(fifth.iter().any(|action| action.starts_with("Skipped - link - ")), "{fifth:?}");
}

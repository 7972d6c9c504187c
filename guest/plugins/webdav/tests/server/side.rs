//! The promises of a side.

use std::cell::RefCell;

use syncmgr_engine::Endpoint;
use syncmgr_engine::endpoint::Removal;
use syncmgr_engine::testing::{Broken, check_side};
use syncmgr_plugin::directories;
use syncmgr_plugin::prelude::*;
use uuid::Uuid;
use webdav::collection::Collection;

use crate::quirks::{Quirks, Tags, Times};
use crate::scene::Scene;
use crate::world::{BASE, ORIGIN};

thread_local! {
    static BROKEN: RefCell<Vec<Broken>> = const { RefCell::new(Vec::new()) };
}

/// Checks a collection.
#[derive(Default)]
struct Checked;

impl Plugin for Checked {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Checked"))
    }

    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(ItemId::from_name("item"), "Item")].into())
    }

    fn synchronize_item(&mut self, _: &mut SyncContext) -> Result<(), Interrupt> {
        let url = format!("{ORIGIN}/{BASE}/");
        let storage = directories::open_storage()?;
        let mut collection = Collection::new(&url, "remote", Uuid::nil(), storage)?;
        BROKEN.set(check_side(&mut collection));
        Ok(())
    }
}

#[test]
fn a_collection_keeps_all_promises() {
    for quirks in [
        Quirks::default(),
        Quirks { ignores_overwrite: true, ..Quirks::default() },
        Quirks { ignores_conditions: true, ..Quirks::default() },
        Quirks { tags: Tags::Seconds, ..Quirks::default() },
        Quirks { tags: Tags::New, ..Quirks::default() },
        Quirks { times: Times::Accepted, ..Quirks::default() },
        Quirks { moves_change_tags: true, moves_change_times: true, ..Quirks::default() },
        Quirks { is_nextcloud: true, ..Quirks::default() },
        Quirks { is_nextcloud: true, moves_change_ids: true, ..Quirks::default() },
        Quirks { ignores_case: true, ..Quirks::default() },
        Quirks { composes_names: true, ..Quirks::default() },
        Quirks { needs_slash: true, ..Quirks::default() },
        Quirks { hides_dots: true, ..Quirks::default() },
    ] {
        let scene = Scene::new(quirks.clone());
        let run = scene.run_as::<Checked>();
        run.assert_ended(ItemId::from_name("item"), Status::Succeeded);
        assert_eq!(BROKEN.take(), [], "{quirks:?}");
    }
}

/// Changes a collection without a run.
#[derive(Default)]
struct WithoutRun;

impl Plugin for WithoutRun {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Without a run"))
    }

    fn items(&mut self) -> Result<ItemList> {
        Checked.items()
    }

    fn synchronize_item(&mut self, _: &mut SyncContext) -> Result<(), Interrupt> {
        let url = format!("{ORIGIN}/{BASE}/");
        let storage = directories::open_storage()?;
        let mut collection = Collection::new(&url, "remote", Uuid::nil(), storage)?;
        let found = collection.stat("a")?.unwrap();
        let removal = Removal { path: "a", expected: &found.fingerprint };
        let kept = collection.keep_in_trash(&[removal], false).remove(0).unwrap_err();
        assert_eq!(kept.message, "no run has begun");
        let flushed = collection.flush_received(&["temp"], true).remove(0).unwrap_err();
        assert_eq!(flushed.message, "there is no temporary collection");
        assert!(collection.finish().is_empty());
        Ok(())
    }
}

#[test]
fn without_a_run_the_root_is_not_a_temporary_collection() {
    let scene = Scene::new(Quirks::default());
    scene.edit("a", Some(b"a"));
    let run = scene.run_as::<WithoutRun>();
    run.assert_ended(ItemId::from_name("item"), Status::Succeeded);
    scene.check_kept(&[b"a".to_vec()].into()).unwrap();
    assert_eq!(scene.remote()["a"], b"a");
    let changes = ["PUT", "MKCOL", "MOVE", "DELETE"];
    let requests = scene.server.with(|world| world.requests.clone());
    let is_change = |request: &String| changes.iter().any(|method| request.starts_with(method));
    assert!(!requests.iter().any(is_change), "{requests:#?}");
}

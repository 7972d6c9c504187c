//! The promises of a side.

use std::cell::RefCell;

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

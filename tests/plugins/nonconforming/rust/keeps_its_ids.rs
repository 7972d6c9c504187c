//! Conforming: creates a random id for its item once, and keeps it.

mod common;

use syncmgr_plugin::prelude::*;

syncmgr_plugin::request!(
    r#"
    [directories]
    source = { access = "read-only", why = "the folder to copy from" }
    target = { access = "read-write", why = "the folder to copy to" }
    "#
);

#[derive(Default)]
struct KeepsItsIds;

impl Plugin for KeepsItsIds {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        let storage = directories::open_storage()?;
        if storage.stat("made")?.is_none() {
            storage.create_file("made")?;
            return Ok([Item::new(common::item(), "New")].into());
        }
        Ok([Item::new(common::item(), "Known")].into())
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        common::copy_all(context)
    }
}

export!(KeepsItsIds);

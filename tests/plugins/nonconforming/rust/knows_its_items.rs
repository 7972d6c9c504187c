//! Nonconforming: assumes that every id belongs to its own items.

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
struct KnowsItsItems;

impl Plugin for KnowsItsItems {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn prepare(&mut self, items: &[ItemId]) -> Result<PrepareOutcome> {
        assert_eq!(items, [common::item()], "there is no other");
        Ok(PrepareOutcome::Prepared)
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        common::copy_all(context)
    }
}

export!(KnowsItsItems);

//! Nonconforming: assumes that its storage has free space.

mod common;

use std::fs;

use syncmgr_plugin::prelude::*;

syncmgr_plugin::request!(
    r#"
    [directories]
    source = { access = "read-only", why = "the folder to copy from" }
    target = { access = "read-write", why = "the folder to copy to" }
    "#
);

#[derive(Default)]
struct StorageIsNeverFull;

impl Plugin for StorageIsNeverFull {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        common::copy_all(context)?;
        fs::write("/storage/last-result", "succeeded").expect("the result is remembered");
        Ok(())
    }
}

export!(StorageIsNeverFull);

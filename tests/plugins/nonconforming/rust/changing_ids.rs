//! Nonconforming: assigns a new id to its item in each run.

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
struct ChangingIds;

impl Plugin for ChangingIds {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        // The fault: it generates ids without storing them.
        let storage = directories::open_storage()?;
        let mut runs = 0;
        while storage.stat(&format!("run{runs}"))?.is_some() {
            runs += 1;
        }
        storage.create_file(&format!("run{runs}"))?;
        Ok([Item::new(ItemId::from_name(&format!("copy{runs}")), "Copy")].into())
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        common::copy_all(context)
    }
}

export!(ChangingIds);

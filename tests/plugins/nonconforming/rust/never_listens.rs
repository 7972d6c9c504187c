//! Nonconforming: ignores the response to its reports.

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
struct NeverListens;

impl Plugin for NeverListens {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        for value in 1..=1000 {
            let _ = context.report().status(Status::Updating).value(value).max(1000).send();
        }
        Ok(())
    }
}

export!(NeverListens);

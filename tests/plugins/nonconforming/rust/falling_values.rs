//! Nonconforming: decreases the value while the maximum is unchanged.

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
struct FallingValues;

impl Plugin for FallingValues {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        for value in [1, 5, 3, 8, 10] {
            context.report().status(Status::Updating).value(value).max(10).send()?;
        }
        common::copy_all(context)
    }
}

export!(FallingValues);

//! Nonconforming: has no name.

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
struct Nameless;

impl Plugin for Nameless {
    fn handler_info(&self) -> Result<HandlerInfo> {
        // The fault: the name comes from a setting that may be missing.
        Ok(HandlerInfo::new(settings::get(None, "name").unwrap_or_default()))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        common::copy_all(context)
    }
}

export!(Nameless);

//! Nonconforming: changes its target in `enum-items`.

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
struct ChangesWhenListing;

impl Plugin for ChangesWhenListing {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        // The fault: it prepares everything as early as possible, and ignores failures.
        let _ = directories::open_grant("target")
            .and_then(|target| target.create_directory("inbox", None));
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        common::copy_all(context)
    }
}

export!(ChangesWhenListing);

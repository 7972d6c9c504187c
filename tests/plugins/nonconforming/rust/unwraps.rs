//! Nonconforming: assumes that its directories exist.

mod common;

use syncmgr_plugin::directories::open_grant;
use syncmgr_plugin::prelude::*;

syncmgr_plugin::request!(
    r#"
    [directories]
    source = { access = "read-only", why = "the folder to copy from" }
    target = { access = "read-write", why = "the folder to copy to" }
    "#
);

#[derive(Default)]
struct Unwraps;

impl Plugin for Unwraps {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let target = open_grant("target").expect("it is granted");
        target.metadata()?;
        common::copy_all(context)
    }
}

export!(Unwraps);

//! Nonconforming: logs an error with an id, without details.

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
struct PromisesDetails;

impl Plugin for PromisesDetails {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        common::copy_all(context).inspect_err(|stop| {
            if let Interrupt::Failed(error) = stop {
                context.log_error(error, ErrorId::from_name("copy"));
            }
        })
    }
}

export!(PromisesDetails);

//! Nonconforming: logs an error with an id, without details.

mod common;

use syncmgr_plugin::*;

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

    fn synchronize_item(&mut self, run: &mut ItemRun) -> Result<(), Stop> {
        common::copy_all(run).inspect_err(|stop| {
            if let Stop::Failed(error) = stop {
                run.log_error(error, ErrorId::from_name("copy"));
            }
        })
    }
}

export!(PromisesDetails);

//! Nonconforming: panics in `show-error` for an unknown error id.

mod common;

use std::collections::HashMap;

use syncmgr_plugin::prelude::*;

syncmgr_plugin::request!(
    r#"
    [directories]
    source = { access = "read-only", why = "the folder to copy from" }
    target = { access = "read-write", why = "the folder to copy to" }
    "#
);

#[derive(Default)]
struct KnowsEveryError {
    details: HashMap<ErrorId, String>,
}

impl Plugin for KnowsEveryError {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let result = common::copy_all(context);
        if let Err(Interrupt::Failed(error)) = &result {
            self.details.insert(ErrorId::from_name("copy"), error.to_string());
        }
        result
    }

    fn show_error(&mut self, error: ErrorId) -> Result<ErrorDetail> {
        // The fault: the sync manager may request an error of an earlier run.
        Ok(ErrorDetail { text: self.details[&error].clone(), retry: Vec::new() })
    }
}

export!(KnowsEveryError);

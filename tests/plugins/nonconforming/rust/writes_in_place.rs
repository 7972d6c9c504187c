//! Nonconforming: writes under the final name, and treats an existing file as complete.

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
struct WritesInPlace;

impl Plugin for WritesInPlace {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let (source, target) = common::directories()?;
        context.check_cancelled()?;
        for name in common::files(&source)? {
            if target.stat(&name)?.is_none() {
                common::copy(context, (&source, &target), &name, &name)?;
            }
        }
        Ok(())
    }
}

export!(WritesInPlace);

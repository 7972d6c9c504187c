//! Nonconforming: creates another copy of every file in each run.

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
struct CopiesAgain;

impl Plugin for CopiesAgain {
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
            let mut number = 0;
            while target.stat(&format!("{name}.{number}"))?.is_some() {
                number += 1;
            }
            common::copy(context, (&source, &target), &name, &format!("{name}.{number}"))?;
        }
        Ok(())
    }
}

export!(CopiesAgain);

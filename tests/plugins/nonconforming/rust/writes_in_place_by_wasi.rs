//! Nonconforming: writes through the standard library under the final name, and treats an existing
//! file as complete.

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
struct WritesInPlaceByWasi;

impl Plugin for WritesInPlaceByWasi {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        common::directories()?;
        for entry in std::fs::read_dir("/source")? {
            let entry = entry?;
            context.set_status_text("copying")?;
            let to = std::path::Path::new("/target").join(entry.file_name());
            if entry.file_type()?.is_file() && !to.exists() {
                std::fs::write(&to, std::fs::read(entry.path())?)?;
            }
        }
        Ok(())
    }
}

export!(WritesInPlaceByWasi);

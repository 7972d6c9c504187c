//! Nonconforming: panics if the clock was set back since its last run.

mod common;

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use syncmgr_plugin::prelude::*;

syncmgr_plugin::request!(
    r#"
    [directories]
    source = { access = "read-only", why = "the folder to copy from" }
    target = { access = "read-write", why = "the folder to copy to" }
    [allow]
    wall-clock = "to compute the time since the last run"
    "#
);

const LAST_RUN: &str = "/storage/last-run";

#[derive(Default)]
struct TimeNeverGoesBack;

impl Plugin for TimeNeverGoesBack {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let now = SystemTime::now();
        let last = fs::read_to_string(LAST_RUN).ok().and_then(|text| text.parse().ok());
        if let Some(last) = last {
            let last = UNIX_EPOCH + Duration::from_secs(last);
            let ago = now.duration_since(last).expect("the last run was before this one");
            context.set_status_text(format!("the last run was {} seconds ago", ago.as_secs()))?;
        }
        common::copy_all(context)?;
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        fs::write(LAST_RUN, seconds.to_string())?;
        Ok(())
    }
}

export!(TimeNeverGoesBack);

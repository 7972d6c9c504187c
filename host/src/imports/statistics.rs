//! The imported interface `statistics`.

use crate::bindings::{statistics, types};
use crate::convert;
use crate::state::SyncMgrCtx;

impl statistics::Host for SyncMgrCtx {
    fn set_bytes_per_step(&mut self, item_id: types::Guid, bytes: u64) -> wasmtime::Result<()> {
        self.enter("set-bytes-per-step")?;
        self.manager()?.items.set_bytes_per_step(convert::item_id(item_id), bytes);
        Ok(())
    }

    fn set_count(
        &mut self,
        item_id: types::Guid,
        name: String,
        value: u64,
    ) -> wasmtime::Result<()> {
        self.enter("set-count")?;
        let name = self.secrets.redact(name);
        let manager = self.manager()?;
        manager.items.set_count(convert::item_id(item_id), name, value);
        manager.check_items();
        Ok(())
    }

    fn report_actions(
        &mut self,
        item_id: types::Guid,
        actions: Vec<statistics::Action>,
    ) -> wasmtime::Result<()> {
        self.enter("report-actions")?;
        let secrets = self.secrets.clone();
        let item = convert::item_id(item_id);
        let actions = actions.into_iter().map(|action| convert::action(action, &secrets));
        self.manager()?.act(item, actions);
        Ok(())
    }
}

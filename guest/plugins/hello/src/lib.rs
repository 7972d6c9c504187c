//! The smallest plugin that does something, as shown in the README.

use syncmgr_plugin::prelude::*;

#[derive(Default)]
struct Hello;

impl Plugin for Hello {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Hello"))
    }
    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(ItemId::from_name("greeting"), "Greeting")].into())
    }
    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        (1..=10).try_for_each(|step| context.report().value(step).max(10).text("Hello").send())
    }
}

export!(Hello);

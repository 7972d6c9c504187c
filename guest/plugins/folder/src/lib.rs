//! x
use syncmgr_plugin::*;
#[derive(Default)]
struct Hello;
impl Plugin for Hello {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Hello"))
    }
    fn items(&mut self) -> Result<ItemList> {
        Ok([Item::new(ItemId::from_name("greeting"), "Greeting")].into())
    }
    fn synchronize_item(&mut self, run: &mut ItemRun) -> Result<(), Stop> {
        (1..=10).try_for_each(|step| run.report().value(step).max(10).text("Hello").send())
    }
}
export!(Hello);

//! Nonconforming: accepts an unknown property.

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
struct TakesAnyProperty;

impl Plugin for TakesAnyProperty {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("wrong"))
    }

    fn items(&mut self) -> Result<ItemList> {
        common::items()
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        common::copy_all(context)
    }

    fn properties(&mut self, _item: Option<ItemId>) -> Result<Vec<Property>> {
        Ok(vec![Property {
            name: "hidden-files".to_owned(),
            label: "Copy hidden files".to_owned(),
            description: None,
            field: PropertyField::Boolean(false),
            read_only: false,
        }])
    }

    fn set_properties(
        &mut self,
        _item: Option<ItemId>,
        _changes: &[PropertyChange],
    ) -> Result<PropertiesOutcome> {
        Ok(PropertiesOutcome::Applied)
    }
}

export!(TakesAnyProperty);

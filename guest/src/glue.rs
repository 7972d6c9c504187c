//! Implements the exported interface for a [`Plugin`]: converts and delegates.

use std::collections::HashSet;

use crate::bindings::exports::syncmgr::plugin::synchronize as exports;
use crate::bindings::syncmgr::plugin::types as wit;
use crate::error::{Error, ErrorCode, Interrupt, Result};
use crate::guid::{ErrorId, ItemId};
use crate::plugin::Plugin;
use crate::sync_context::SyncContext;

/// A plugin and the items that it was prepared for. Held by the code that
/// [`export!`](crate::export) generates.
#[derive(Debug, Default)]
pub struct Instance<P> {
    plugin: P,
    prepared: Vec<ItemId>,
    /// All items, if a complete list was requested.
    listed: Option<HashSet<ItemId>>,
}

type WitResult<T> = std::result::Result<T, wit::Error>;

impl<P: Plugin> Instance<P> {
    pub fn initialize(
        &mut self,
        trigger: wit::Trigger,
        cookie: Option<Vec<u8>>,
    ) -> WitResult<exports::Participation> {
        Ok(self.plugin.initialize(trigger, cookie.as_deref())?)
    }

    pub fn get_handler_info(&mut self) -> WitResult<wit::HandlerInfo> {
        Ok(self.plugin.handler_info()?.into())
    }

    pub fn enum_items(&mut self) -> WitResult<exports::ItemList> {
        let list = self.plugin.items()?;
        let ids = list.items.iter().map(|item| item.id).collect();
        self.listed = (!list.missing_items).then_some(ids);
        Ok(list.into())
    }

    pub fn prepare_for_sync(
        &mut self,
        item_ids: Vec<wit::ItemId>,
    ) -> WitResult<exports::PrepareOutcome> {
        self.prepared = item_ids.into_iter().map(ItemId::from_wit).collect();
        Ok(self.plugin.prepare(&self.prepared)?)
    }

    pub fn synchronize(&mut self) -> WitResult<()> {
        let mut run: Result<(), Interrupt> = Ok(());
        for item in std::mem::take(&mut self.prepared) {
            let mut context = SyncContext::new(item);
            let result = match &run {
                Ok(()) => {
                    context.check_cancelled().and_then(|()| self.synchronize_item(&mut context))
                }
                Err(stop) => Err(stop.clone()),
            };
            context.end(&result);
            if result == Err(Interrupt::All) {
                run = result;
            }
        }
        Ok(())
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let listed = self.listed.as_ref();
        if listed.is_some_and(|listed| !listed.contains(&context.item())) {
            return Err(Error::new(ErrorCode::NotFound, "the item does not exist").into());
        }
        self.plugin.synchronize_item(context)
    }

    pub fn set_item_status(
        &mut self,
        item_id: Option<wit::ItemId>,
        status: wit::Status,
    ) -> WitResult<()> {
        Ok(self.plugin.set_item_status(item_id.map(ItemId::from_wit), status)?)
    }

    pub fn show_error(&mut self, error_id: wit::ErrorId) -> WitResult<exports::ErrorDetail> {
        let detail = self.plugin.show_error(ErrorId::from_wit(error_id))?;
        Ok(exports::ErrorDetail {
            text: detail.text,
            retry: detail.retry.into_iter().map(ItemId::to_wit).collect(),
        })
    }

    pub fn get_properties(
        &mut self,
        item_id: Option<wit::ItemId>,
    ) -> WitResult<Vec<exports::Property>> {
        Ok(self.plugin.properties(item_id.map(ItemId::from_wit))?)
    }

    pub fn set_properties(
        &mut self,
        item_id: Option<wit::ItemId>,
        changes: Vec<exports::PropertyChange>,
    ) -> WitResult<exports::PropertiesOutcome> {
        Ok(self.plugin.set_properties(item_id.map(ItemId::from_wit), &changes)?)
    }
}

/// Compiles for a plugin only.
pub fn is_plugin<P: Plugin>() {}

/// The content of the custom section `syncmgr-sdk`: the language and the version of the SDK.
pub const SDK: &str = concat!("rust ", env!("CARGO_PKG_VERSION"));

/// Copies a text into an array, for a custom section.
pub const fn section<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(text.as_bytes());
    bytes
}

/// Implements the exports of a component with a [`Plugin`](crate::Plugin) type, and records the
/// version of the SDK in the component. Use it once, at the top of the crate.
///
/// # Examples
/// See [`Plugin`](crate::Plugin#examples).
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        // A native library has no exports of these names; `testing` calls the type.
        #[cfg(not(target_family = "wasm"))]
        const _: fn() = $crate::glue::is_plugin::<$plugin>;
        #[cfg(target_family = "wasm")]
        const _: () = {
            #[unsafe(link_section = "syncmgr-sdk")]
            #[used]
            static SDK: [u8; $crate::glue::SDK.len()] = $crate::glue::section($crate::glue::SDK);

            use $crate::bindings::exports::syncmgr::plugin::synchronize as exports;
            use $crate::bindings::syncmgr::plugin::types as wit;
            use $crate::glue::Instance;

            type WitResult<T> = ::std::result::Result<T, wit::Error>;

            ::std::thread_local! {
                static INSTANCE: ::std::cell::RefCell<Instance<$plugin>> =
                    ::std::cell::RefCell::default();
            }

            fn with<T>(call: impl FnOnce(&mut Instance<$plugin>) -> T) -> T {
                INSTANCE.with_borrow_mut(call)
            }

            struct Component;

            impl exports::Guest for Component {
                fn initialize(
                    trigger: wit::Trigger,
                    cookie: Option<Vec<u8>>,
                ) -> WitResult<exports::Participation> {
                    with(|instance| instance.initialize(trigger, cookie))
                }
                fn get_handler_info() -> WitResult<wit::HandlerInfo> {
                    with(|instance| instance.get_handler_info())
                }
                fn enum_items() -> WitResult<exports::ItemList> {
                    with(|instance| instance.enum_items())
                }
                fn prepare_for_sync(
                    item_ids: Vec<wit::ItemId>,
                ) -> WitResult<exports::PrepareOutcome> {
                    with(|instance| instance.prepare_for_sync(item_ids))
                }
                fn synchronize() -> WitResult<()> {
                    with(|instance| instance.synchronize())
                }
                fn set_item_status(
                    item_id: Option<wit::ItemId>,
                    status: wit::Status,
                ) -> WitResult<()> {
                    with(|instance| instance.set_item_status(item_id, status))
                }
                fn show_error(error_id: wit::ErrorId) -> WitResult<exports::ErrorDetail> {
                    with(|instance| instance.show_error(error_id))
                }
                fn get_properties(
                    item_id: Option<wit::ItemId>,
                ) -> WitResult<Vec<exports::Property>> {
                    with(|instance| instance.get_properties(item_id))
                }
                fn set_properties(
                    item_id: Option<wit::ItemId>,
                    changes: Vec<exports::PropertyChange>,
                ) -> WitResult<exports::PropertiesOutcome> {
                    with(|instance| instance.set_properties(item_id, changes))
                }
            }

    $crate::bindings::export_synchronize!(Component with_types_in $crate::bindings);
        };
    };
}

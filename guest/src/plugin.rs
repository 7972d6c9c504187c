use crate::bindings::syncmgr::plugin::types::Trigger;
use crate::error::{Error, ErrorCode, ErrorDetail, Interrupt, Result};
use crate::guid::{ErrorId, ItemId};
use crate::item::{HandlerInfo, ItemList};
use crate::sync_context::{Status, SyncContext};

pub use crate::bindings::exports::syncmgr::plugin::synchronize::{
    Participation, PrepareOutcome, PropertiesOutcome, Property, PropertyChange, PropertyChoice,
    PropertyField, PropertyValue,
};

/// A sync handler. Three methods are required; the defaults of the others suit a simple plugin.
///
/// One value serves one run. The sync manager calls [`initialize`](Self::initialize) first, and
/// then any subset of the other methods, so only [`synchronize_item`](Self::synchronize_item) may
/// rely on [`prepare`](Self::prepare).
///
/// The value is created by [`Default`] rather than by a constructor of this trait: nothing is known
/// about the run before `initialize`, so creating it has no arguments and cannot fail, and most
/// plugins derive it.
///
/// # Examples
/// ```
/// use syncmgr_plugin::prelude::*;
///
/// #[derive(Default)]
/// struct Mail {
///     may_ask: bool,
/// }
///
/// impl Plugin for Mail {
///     fn handler_info(&self) -> Result<HandlerInfo> {
///         Ok(HandlerInfo::new("Mail"))
///     }
///
///     fn initialize(&mut self, trigger: Trigger, _: Option<&[u8]>) -> Result<Participation> {
///         let may_ask = SyncModifiers::MAY_BOTHER_USER;
///         self.may_ask = trigger.modifiers & may_ask == may_ask;
///         Ok(Participation::Participates)
///     }
///
///     fn items(&mut self) -> Result<ItemList> {
///         Ok([Item::new(ItemId::from_name("inbox"), "Inbox")].into())
///     }
///
///     fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
///         context.set_status_text("nothing to do")
///     }
/// }
///
/// export!(Mail);
/// # fn main() {}
/// ```
pub trait Plugin: Default + 'static {
    /// Returns the description of the handler.
    ///
    /// # Errors
    /// An error ends the run.
    fn handler_info(&self) -> Result<HandlerInfo>;

    /// Lists the items.
    ///
    /// # Errors
    /// An error ends the run.
    fn items(&mut self) -> Result<ItemList>;

    /// Synchronizes one item. `Ok` ends the item as succeeded, unless the plugin reported a
    /// terminal status. Called for each prepared item in turn. An item that is missing from the
    /// list that [`items`](Self::items) returned in this run fails without this call. The sync
    /// manager may synchronize an item of an earlier run without listing; look up its id then.
    ///
    /// # Errors
    /// An error ends only this item, as [`Interrupt`] describes.
    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt>;

    /// Starts the run, or declines to participate in it.
    ///
    /// # Errors
    /// An error ends the run.
    fn initialize(&mut self, trigger: Trigger, cookie: Option<&[u8]>) -> Result<Participation> {
        let _ = (trigger, cookie);
        Ok(Participation::Participates)
    }

    /// Prepares for these items.
    ///
    /// # Errors
    /// An error ends the run.
    fn prepare(&mut self, items: &[ItemId]) -> Result<PrepareOutcome> {
        let _ = items;
        Ok(PrepareOutcome::Prepared)
    }

    /// Receives the status that the user set for an item, or for all items (`None`), before
    /// `synchronize_item`. The answers to progress reports carry the same information, so most
    /// plugins need not implement it.
    ///
    /// # Errors
    /// An error is logged.
    fn set_item_status(&mut self, item: Option<ItemId>, status: Status) -> Result<()> {
        let _ = (item, status);
        Ok(())
    }

    /// Returns the details of an error that was logged with an id.
    ///
    /// # Errors
    /// Fails with [`NotImplemented`](ErrorCode::NotImplemented) by default.
    fn show_error(&mut self, error: ErrorId) -> Result<ErrorDetail> {
        let _ = error;
        Err(Error::new(ErrorCode::NotImplemented, "the plugin has no details about errors"))
    }

    /// Returns the properties of an item; `None` is the handler.
    ///
    /// # Errors
    /// Fails with [`NotImplemented`](ErrorCode::NotImplemented) by default.
    fn properties(&mut self, item: Option<ItemId>) -> Result<Vec<Property>> {
        let _ = item;
        Err(Error::new(ErrorCode::NotImplemented, "the plugin has no properties"))
    }

    /// Changes properties of an item; `None` is the handler. Changes all of them or none.
    ///
    /// # Errors
    /// Fails with [`NotImplemented`](ErrorCode::NotImplemented) by default.
    fn set_properties(
        &mut self,
        item: Option<ItemId>,
        changes: &[PropertyChange],
    ) -> Result<PropertiesOutcome> {
        let _ = (item, changes);
        Err(Error::new(ErrorCode::NotImplemented, "the plugin has no properties"))
    }
}

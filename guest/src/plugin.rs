use crate::bindings::syncmgr::plugin::types::Trigger;
use crate::error::{Error, ErrorCode, Result, Stop};
use crate::guid::{ErrorId, ItemId};
use crate::item::{HandlerInfo, ItemList};
use crate::run::{ItemRun, Status};

pub use crate::bindings::exports::syncmgr::plugin::synchronize::{
    Participation, PrepareOutcome, PropertiesOutcome, Property, PropertyChange, PropertyChoice,
    PropertyField, PropertyValue,
};

/// What the host shows for a logged error.
#[derive(Clone, Debug, Default)]
pub struct ErrorDetail {
    /// The whole story, as plain text.
    pub text: String,
    /// Items to prepare and synchronize once more.
    pub retry: Vec<ItemId>,
}

/// A sync handler. Three methods are its core; the others have defaults that suit a simple
/// plugin.
///
/// One value is one run. `initialize` comes first; of the others the sync manager may call any
/// part, so only `synchronize_item` may rely on `prepare`.
pub trait Plugin: Default + 'static {
    /// Says what the handler is.
    fn handler_info(&self) -> Result<HandlerInfo>;

    /// Lists the items.
    fn items(&mut self) -> Result<ItemList>;

    /// Synchronizes one item. `Ok` ends it as succeeded, unless a terminal status was
    /// reported; see [`Stop`] for the other ends. Called for each prepared item in turn, but not
    /// for one that is not in a list that [`items`](Self::items) gave in this run: that fails. The
    /// sync manager may ask for an item of an earlier run without listing; look its id up then.
    fn synchronize_item(&mut self, run: &mut ItemRun) -> Result<(), Stop>;

    /// Starts the run. May decline to take part in it.
    fn initialize(&mut self, trigger: Trigger, cookie: Option<&[u8]>) -> Result<Participation> {
        let _ = (trigger, cookie);
        Ok(Participation::Participates)
    }

    /// Gets ready for these items.
    fn prepare(&mut self, items: &[ItemId]) -> Result<PrepareOutcome> {
        let _ = items;
        Ok(PrepareOutcome::Prepared)
    }

    /// Learns that the user changed the status of an item, or (`None`) of all, before
    /// `synchronize_item` was called. The sync manager's answers to progress say the same, so
    /// most plugins need not care.
    fn set_item_status(&mut self, item: Option<ItemId>, status: Status) -> Result<()> {
        let _ = (item, status);
        Ok(())
    }

    /// Tells more about an error that was logged with an id.
    fn show_error(&mut self, error: ErrorId) -> Result<ErrorDetail> {
        let _ = error;
        Err(Error::new(ErrorCode::NotImplemented, "there is nothing more to tell"))
    }

    /// The properties of an item, or (`None`) of the handler.
    fn properties(&mut self, item: Option<ItemId>) -> Result<Vec<Property>> {
        let _ = item;
        Err(Error::new(ErrorCode::NotImplemented, "there are no properties"))
    }

    /// Changes properties, all of them or none.
    fn set_properties(
        &mut self,
        item: Option<ItemId>,
        changes: &[PropertyChange],
    ) -> Result<PropertiesOutcome> {
        let _ = (item, changes);
        Err(Error::new(ErrorCode::NotImplemented, "there are no properties"))
    }
}

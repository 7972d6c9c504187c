//! What the object, its worker and the session's sink share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syncmgr_host::{CancelHandle, HandlerInfo, ItemId};

use crate::callback::{Callback, CallbackSlot};
use crate::user_interface::{Parent, UserInterface};

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before `Initialize`.
    Created,
    /// In `Initialize`.
    Initializing,
    /// `Initialize` failed, or the plugin does not take part.
    Over,
    /// Ready for `PrepareForSync`.
    Initialized,
    /// `PrepareForSync` has returned, and was not completed.
    Preparing,
    /// Ready for `Synchronize`.
    Prepared,
    /// `Synchronize` has returned, and was not completed.
    Synchronizing,
}

/// What the object, its worker and the session's sink share.
pub(crate) struct Shared {
    pub(crate) callback: CallbackSlot,
    pub(crate) interface: Arc<dyn UserInterface>,
    pub(super) plugin: String,
    pub(super) cancel: CancelHandle,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) parent: Parent,
    /// The items that were prepared last.
    pub(super) prepared: Vec<ItemId>,
    pub(super) info: Option<HandlerInfo>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    /// Something new begins. What was cancelled of what came before does not concern it.
    pub(super) fn renew(&self, state: &State) {
        if state.phase == Phase::Initialized {
            self.cancel.renew();
        }
    }

    /// Tells the manager that something has ended.
    pub(super) fn complete(&self, tell: impl FnOnce(&Callback)) {
        if let Some(callback) = self.callback.get() {
            tell(&callback);
        }
    }

    /// The window that the manager gave last.
    pub(crate) fn parent(&self) -> Parent {
        self.lock().parent
    }

    /// What dialogs are headed with.
    pub(crate) fn title(&self) -> String {
        let name = self.lock().info.as_ref().map(|info| info.name.clone());
        name.unwrap_or_else(|| self.plugin.clone())
    }
}

//! What the object, its worker and the session's sink share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syncmgr_host::{CancelHandle, HandlerInfo, ItemId};

use crate::callback::{Callback, CallbackSlot};
use crate::user_interface::{Parent, UserInterface};

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
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
pub(crate) struct RunState {
    pub(crate) callback: CallbackSlot,
    pub(crate) interface: Arc<dyn UserInterface>,
    pub(crate) plugin: String,
    pub(crate) cancel: CancelHandle,
    pub(crate) state: Mutex<State>,
    /// Calls of the manager, and dialogs, that the worker or its session is in.
    pub(crate) outside: AtomicUsize,
}

/// The worker or its session is in a call of the manager, or in a dialog, until this is dropped.
pub(crate) struct Outside<'a>(&'a AtomicUsize);

impl Drop for Outside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) parent: Parent,
    /// The items that were prepared last.
    pub(crate) prepared: Vec<ItemId>,
    pub(crate) info: Option<HandlerInfo>,
}

impl State {
    /// Whether `PrepareForSync` or `Synchronize` has returned, and was not completed.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Preparing | Phase::Synchronizing)
    }
}

impl RunState {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    /// Marks a call of the manager, or a dialog: the plugin answers nothing until it returns. A
    /// method that the manager calls from within must not wait for the plugin.
    pub(crate) fn outside(&self) -> Outside<'_> {
        self.outside.fetch_add(1, Ordering::AcqRel);
        Outside(&self.outside)
    }

    /// Whether a method that waits for the plugin would have to wait for a run, for the manager or
    /// for the user.
    pub(crate) fn is_busy(&self, state: &State) -> bool {
        state.is_running() || self.outside.load(Ordering::Acquire) > 0
    }

    /// Something new begins. What was cancelled of what came before does not concern it.
    pub(crate) fn renew(&self, state: &State) {
        if state.phase == Phase::Initialized {
            self.cancel.renew();
        }
    }

    /// Tells the manager that something has ended.
    pub(crate) fn complete(&self, tell: impl FnOnce(&Callback)) {
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

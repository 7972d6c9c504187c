//! State shared by the handler object, its thread and the session's sink.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syncmgr_host::{CancelHandle, HandlerInfo, ItemId};

use crate::callback::{Callback, CallbackSlot};
use crate::user_interface::{Parent, UserInterface};

/// The phase of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before `Initialize`.
    Created,
    /// In `Initialize`.
    Initializing,
    /// `Initialize` failed, or the plugin declined to participate.
    Over,
    /// Ready for `PrepareForSync`.
    Initialized,
    /// `PrepareForSync` has returned but not completed.
    Preparing,
    /// Ready for `Synchronize`.
    Prepared,
    /// `Synchronize` has returned but not completed.
    Synchronizing,
}

/// State shared by the handler object, its thread and the session's sink.
pub(crate) struct RunState {
    pub(crate) callback: CallbackSlot,
    pub(crate) interface: Arc<dyn UserInterface>,
    pub(crate) plugin: String,
    pub(crate) cancel: CancelHandle,
    pub(crate) state: Mutex<State>,
    /// The number of manager calls and dialogs that the handler's thread or its session is
    /// currently in.
    pub(crate) outside: AtomicUsize,
}

/// Marks the handler's thread or its session as being in a manager call or dialog until dropped.
pub(crate) struct Outside<'a>(&'a AtomicUsize);

impl Drop for Outside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) parent: Parent,
    /// The items prepared last.
    pub(crate) prepared: Vec<ItemId>,
    pub(crate) info: Option<HandlerInfo>,
}

impl State {
    /// Returns whether `PrepareForSync` or `Synchronize` has returned but not completed.
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

    /// Marks a manager call or dialog. The plugin cannot answer until it returns, so a method that
    /// the manager calls during it must not wait for the plugin.
    pub(crate) fn outside(&self) -> Outside<'_> {
        self.outside.fetch_add(1, Ordering::AcqRel);
        Outside(&self.outside)
    }

    /// Returns whether waiting for the plugin would mean waiting for a run, for the manager or for
    /// the user.
    pub(crate) fn is_busy(&self, state: &State) -> bool {
        state.is_running() || self.outside.load(Ordering::Acquire) > 0
    }

    /// Resets cancellation before a new operation, so that earlier cancellations do not affect it.
    pub(crate) fn renew(&self, state: &State) {
        if state.phase == Phase::Initialized {
            self.cancel.renew();
        }
    }

    /// Notifies the manager of a completion.
    pub(crate) fn complete(&self, notify: impl FnOnce(&Callback)) {
        if let Some(callback) = self.callback.get() {
            notify(&callback);
        }
    }

    /// Returns the window that the manager passed last.
    pub(crate) fn parent(&self) -> Parent {
        self.lock().parent
    }

    /// Returns the title of dialogs.
    pub(crate) fn title(&self) -> String {
        let name = self.lock().info.as_ref().map(|info| info.name.clone());
        name.unwrap_or_else(|| self.plugin.clone())
    }
}

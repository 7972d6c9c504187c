//! State shared by the handler object, its thread and the session's sink.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
    /// The number of manager calls and dialogs that the handler's thread is currently in.
    pub(crate) outside: AtomicUsize,
    /// Whether the session's sink is in one. Only the sink writes it, one call at a time: it needs
    /// no locked instructions, which would take a tenth of the time of a report.
    pub(crate) in_sink: AtomicBool,
}

/// Marks the handler's thread as being in a manager call or dialog until dropped.
pub(crate) struct Outside<'a>(&'a AtomicUsize);

impl Drop for Outside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Marks the session's sink as being in a manager call or dialog until dropped.
pub(crate) struct InSink<'a>(&'a AtomicBool);

impl Drop for InSink<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
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

    /// Does the same for the session's sink.
    pub(crate) fn in_sink(&self) -> InSink<'_> {
        self.in_sink.store(true, Ordering::Release);
        InSink(&self.in_sink)
    }

    /// Returns whether waiting for the plugin would mean waiting for a run, for the manager or for
    /// the user.
    pub(crate) fn is_busy(&self, state: &State) -> bool {
        state.is_running()
            || self.in_sink.load(Ordering::Acquire)
            || self.outside.load(Ordering::Acquire) > 0
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

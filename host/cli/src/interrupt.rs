//! Ctrl-C.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use syncmgr_host::CancelHandle;

/// The first Ctrl-C cancels everything, and the second one ends the plugin. A run ends without its
/// plugin where that sits in a system call.
pub(crate) struct Interrupts(Arc<State>);

#[derive(Default)]
struct State {
    count: AtomicUsize,
    /// Of the run that is going on.
    current: Mutex<CancelHandle>,
}

impl State {
    fn current(&self) -> MutexGuard<'_, CancelHandle> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interrupts {
    /// Listens from now on. Once in a process.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let state = Arc::new(State::default());
        let listener = Arc::clone(&state);
        ctrlc::set_handler(move || {
            let current = listener.current();
            match listener.count.fetch_add(1, Ordering::SeqCst) {
                0 => current.cancel_all(),
                _ => current.kill(),
            }
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(Self(state))
    }

    /// Whether there was one.
    pub(crate) fn came(&self) -> bool {
        self.0.count.load(Ordering::SeqCst) > 0
    }

    /// A handle for the next run, which takes the place of the last one's.
    pub(crate) fn cancel_handle(&self) -> CancelHandle {
        let mut current = self.0.current();
        *current = CancelHandle::new();
        if self.came() {
            current.cancel_all();
        }
        current.clone()
    }
}

//! Drives a native handler as the sync manager would: the opposite direction of
//! [`handler`](crate::handler).

mod driver;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use syncmgr_host::sink::Sink;
use syncmgr_host::{
    Call, CancelHandle, Hresult, Limits, Outcome, RunReport, RunRequest, SessionError, SyncManager,
};

use self::driver::{Driver, POLL_INTERVAL};
use crate::interfaces::ISyncMgrSynchronize;
use crate::manager_callback::{CallbackState, Notice};

/// Options of a run of a native handler.
#[derive(Clone, Debug)]
pub struct NativeOptions {
    /// Cancels the run.
    pub cancel: CancelHandle,
    /// The limits of the run; those on items, progress, the log and time apply.
    pub limits: Limits,
    /// The time without a call from the handler after which a log entry reports it as silent.
    pub notice: Duration,
}

impl Default for NativeOptions {
    fn default() -> Self {
        Self {
            cancel: CancelHandle::new(),
            limits: Limits::default(),
            notice: Duration::from_secs(30),
        }
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct NativeRun {
    /// The report, with an entry for every item.
    pub report: RunReport,
    /// Whether the handler was abandoned. Its thread keeps running and the object was not released,
    /// so the process should exit soon without waiting for either.
    pub abandoned: bool,
}

/// Runs a native handler on a dedicated thread, and returns when the thread has released the object
/// or is abandoned.
///
/// `create` returns the object, which only this run uses, and a guard for anything that must
/// outlive it, such as the thread's apartment. In a single-threaded apartment, incoming calls and
/// window messages are dispatched while the thread waits.
///
/// A call is cancelled if it takes longer than [`Limits::wall_time`] including its completion, or
/// if the handler is silent for longer than [`Limits::idle_time`]. A handler that continues for
/// longer than [`Limits::grace`] after a cancellation is abandoned; [`CancelHandle::kill`] abandons
/// it immediately.
///
/// # Errors
/// Returns the error of `create`.
pub fn run<G, E: Send + 'static>(
    create: impl FnOnce() -> Result<(ISyncMgrSynchronize, G), E> + Send + 'static,
    name: &str,
    options: NativeOptions,
    sink: impl Sink + 'static,
    request: &RunRequest,
) -> Result<NativeRun, E> {
    let NativeOptions { cancel, limits, notice } = options;
    let manager = SyncManager::new(name, sink, cancel, &limits);
    let state = CallbackState::new(manager, request.trigger.may_bother_user);
    state.manager().begin_call(Call::Create);
    let (done, outcome) = mpsc::sync_channel(1);
    let failed = |call, hresult| SessionError::Native { plugin: name.to_owned(), call, hresult };
    let mut driver = Driver::new(name.to_owned(), Arc::clone(&state));
    let request = request.clone();
    let spawned = thread::Builder::new().name("syncmgr-native".to_owned()).spawn(move || {
        // The receiver is gone if the run was abandoned.
        let _ = done.send(create().map(|created| driver.run(created, &request)));
    });
    if spawned.is_err() {
        let error = failed(Call::Create, Hresult::E_OUTOFMEMORY);
        return Ok(finish(&state, Outcome::Failed(error), false));
    }
    let mut notice = Notice::new(notice);
    loop {
        match outcome.recv_timeout(POLL_INTERVAL) {
            Ok(outcome) => return Ok(finish(&state, outcome?, false)),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if let Some(error) = state.look(&mut notice) {
                    return Ok(finish(&state, Outcome::Failed(error), true));
                }
            }
            // The thread panicked, which is a bug in this library.
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let error = failed(state.manager().call(), Hresult::E_UNEXPECTED);
                return Ok(finish(&state, Outcome::Failed(error), true));
            }
        }
    }
}

/// Sets the final status of every item and returns the result.
fn finish(state: &CallbackState, outcome: Outcome, abandoned: bool) -> NativeRun {
    // Later reports are ignored.
    match abandoned {
        true => state.abandon(),
        false => state.close(),
    }
    let mut manager = state.manager();
    manager.end_call();
    let outcome = match manager.exceeded() {
        // The handler stopped only because it was cancelled.
        Some(error) if !abandoned => Outcome::Failed(error),
        Some(_) | None => outcome,
    };
    if let Outcome::Failed(error) = &outcome {
        manager.end_items(Some(error.hresult()));
    } else if let Outcome::NeedsUser = outcome {
        manager.skip_items();
    } else {
        manager.end_items(None);
    }
    let report = manager.report(outcome);
    // The handler may keep the callback forever, and the callback keeps the manager.
    manager.release_sink();
    NativeRun { report, abandoned }
}

//! A call of the guest that ends as soon as the session must terminate.

use std::future::{Future, poll_fn};
use std::pin::pin;

use crate::error::{Call, TerminationReason};
use crate::limits::monitor::{Monitor, Terminated};

/// Drives a call of the guest, measures its processor time, and drops it as soon as the session
/// must terminate.
pub(super) async fn monitored<T>(
    monitor: &Monitor,
    name: Call,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let mut call = pin!(call);
    let measured = poll_fn(|context| {
        monitor.start_running();
        let polled = call.as_mut().poll(context);
        monitor.stop_running();
        polled
    });
    monitor.begin_call(name);
    // Dropping this future early leaves an incomplete call: the instance must not be entered
    // afterwards.
    let unfinished = Unfinished(monitor);
    let outcome = tokio::select! {
        biased;
        outcome = measured => outcome,
        _reason = monitor.wait_terminated() => Err(Terminated.into()),
    };
    std::mem::forget(unfinished);
    monitor.end_call();
    outcome
}

/// Terminates the plugin if a call is dropped before it completes.
struct Unfinished<'a>(&'a Monitor);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.terminate(TerminationReason::Killed);
        self.0.end_call();
    }
}

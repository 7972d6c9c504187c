//! Runs a session on a dedicated thread that can be abandoned if a system call hangs.

use std::sync::{Arc, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use super::Session;
use super::prepared::Prepared;
use super::runtime::Runtime;
use crate::cancel::CancelHandle;
use crate::error::{Call, SessionError, StartError};
use crate::fs::locks::Locks;
use crate::hresult::Hresult;
use crate::limits::monitor::Monitor;
use crate::limits::ticker::TICK;
use crate::plugin::Plugin;
use crate::report::{Outcome, RunReport};
use crate::sandbox;
use crate::session_options::SessionOptions;
use crate::sink::Sink;
use crate::state::Parked;
use crate::sync_manager::SyncManager;

/// The time for which a plugin that must terminate may be blocked in a system call.
const PATIENCE: Duration = Duration::from_millis(500);

type Work = Box<dyn FnOnce(&Runtime, &mut Session) + Send>;

/// A failure to start, with the sink for another attempt.
type NotStarted = (SessionError, Option<Box<dyn Sink>>);

/// Runs a [`Session`] on a dedicated thread, for programs that make individual calls and must not
/// hang.
///
/// Every call returns, even if the plugin is blocked in a system call that does not. The session is
/// then abandoned, and its thread ends when the system call returns.
pub struct SessionThread {
    plugin: Arc<str>,
    monitor: Arc<Monitor>,
    parked: Parked,
    locks: Locks,
    work: mpsc::Sender<Work>,
    /// Disconnects when the thread has dropped the session.
    gone: mpsc::Receiver<()>,
    abandoned: Option<Abandoned>,
}

/// The remains of an abandoned session.
struct Abandoned {
    manager: Box<SyncManager>,
    crash: Hresult,
}

impl std::fmt::Debug for SessionThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionThread")
            .field("plugin", &self.plugin)
            .field("abandoned", &self.abandoned.is_some())
            .finish_non_exhaustive()
    }
}

impl Plugin {
    /// Starts a session on a dedicated thread.
    ///
    /// # Errors
    /// Returns a [`StartError`]. A failure during instantiation is attributed to `initialize`.
    pub fn start_on_thread(
        &self,
        options: &SessionOptions,
        sink: impl Sink + 'static,
    ) -> Result<SessionThread, StartError> {
        let prepared = sandbox::prepare(self, options, Box::new(sink))?;
        SessionThread::start(prepared).map_err(|(error, _)| StartError::Session(error))
    }
}

impl SessionThread {
    pub(crate) fn start(prepared: Prepared) -> Result<Self, NotStarted> {
        let context = prepared.store.data();
        let (plugin, monitor) = (Arc::clone(&context.plugin), Arc::clone(&context.monitor));
        let (parked, locks) = (context.parked(), context.locks.clone());
        let (work, to_do) = mpsc::channel();
        let (goes, gone) = mpsc::channel();
        let (done, started) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("syncmgr-session".to_owned())
            .spawn(move || {
                let _goes = goes;
                live(prepared, &done, &to_do);
            })
            .map_err(|source| (SessionError::host(&plugin, "start a thread", source), None))?;
        let mut session = Self { plugin, monitor, parked, locks, work, gone, abandoned: None };
        match session.wait(&started) {
            Ok(Ok(())) => Ok(session),
            Ok(Err(not_started)) => Err(not_started),
            Err(error) => Err((error, session.abandoned.take().map(|left| left.manager.sink))),
        }
    }

    /// Makes calls, and returns when they return.
    ///
    /// # Errors
    /// Returns [`SessionError::Terminated`] if the session is abandoned, [`SessionError::Dead`] after
    /// that, and [`SessionError::Host`] if the thread panicked, most likely in the sink.
    pub fn call<T: Send + 'static>(
        &mut self,
        calls: impl AsyncFnOnce(&mut Session) -> T + Send + 'static,
    ) -> Result<T, SessionError> {
        let (done, answer) = mpsc::sync_channel(1);
        let work = move |runtime: &Runtime, session: &mut Session| {
            if let Ok(answer) = runtime.block_on(calls(session)) {
                // The receiver of an abandoned session is gone.
                let _ = done.send(answer);
            }
        };
        if self.abandoned.is_some() || self.work.send(Box::new(work)).is_err() {
            let call = self.monitor.call().unwrap_or(Call::Initialize);
            return Err(SessionError::Dead { plugin: self.plugin.to_string(), call });
        }
        self.wait(&answer)
    }

    /// Returns the handle that cancels the session from any thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.monitor.cancel.clone()
    }

    /// Returns the plugin's name.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Returns the report of the run so far, with this outcome.
    pub fn report(&mut self, outcome: Outcome) -> RunReport {
        if let Some(Abandoned { manager, crash }) = &self.abandoned {
            return manager.run_report(outcome, Some(*crash), 0, 0);
        }
        // The outcome is lost only if the thread is gone.
        match self.call(async |session: &mut Session| session.report(outcome)) {
            Ok(report) => report,
            Err(error) => RunReport::without_items(&self.plugin, Outcome::Failed(error)),
        }
    }

    /// Returns the sink of an abandoned session.
    pub(crate) fn take_abandoned_sink(&mut self) -> Option<Box<dyn Sink>> {
        self.abandoned.take().map(|left| left.manager.sink)
    }

    /// Waits, for a limited time, until the session has released its resources, such as the lock of
    /// a directory. Closing a file may block forever.
    pub fn close(self) {
        drop(self.work);
        let _ = self.gone.recv_timeout(PATIENCE);
    }

    fn wait<T>(&mut self, answer: &mpsc::Receiver<T>) -> Result<T, SessionError> {
        loop {
            match answer.recv_timeout(TICK * 10) {
                Ok(answer) => return Ok(answer),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if let Some(error) = self.abandon() {
                        return Err(error);
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(SessionError::host(
                        &self.plugin,
                        "run the session",
                        "its thread panicked, most likely in the sink",
                    ));
                }
            }
        }
    }

    /// Abandons the session if the plugin had to terminate and is blocked in a system call.
    fn abandon(&mut self) -> Option<SessionError> {
        if self.monitor.overdue() < crate::limits::clock::nanoseconds(PATIENCE) {
            return None;
        }
        let (call, reason) = (self.monitor.call()?, self.monitor.terminated()?);
        let mut manager = self.parked.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // The plugin no longer uses its locks.
        self.locks.release();
        let error = self.monitor.error(self.plugin.to_string(), call, reason);
        let crash = error.hresult();
        manager.end_items(Some(crash));
        self.abandoned = Some(Abandoned { manager, crash });
        Some(error)
    }
}

/// Runs the session on its thread, from start to end.
fn live(
    prepared: Prepared,
    started: &mpsc::SyncSender<Result<(), NotStarted>>,
    to_do: &mpsc::Receiver<Work>,
) {
    // The receiver of an abandoned session is gone.
    let report = |outcome| {
        let _ = started.send(outcome);
    };
    let runtime = match Runtime::new(&prepared.store.data().plugin) {
        Ok(runtime) => runtime,
        Err(error) => return report(Err((error, None))),
    };
    let mut session = match runtime.block_on(Session::start(prepared)) {
        Ok(Ok(session)) => session,
        Ok(Err(not_started)) => return report(Err(not_started)),
        Err(error) => return report(Err((error, None))),
    };
    report(Ok(()));
    while let Ok(work) = to_do.recv() {
        work(&runtime, &mut session);
    }
}

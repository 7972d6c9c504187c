//! A session on a thread of its own, which is given up on where the system does not return.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::cancel::CancelHandle;
use crate::directories::Locks;
use crate::error::{Call, SessionError, StartError};
use crate::hresult::Hresult;
use crate::journal::Journal;
use crate::plugin::{Plugin, Prepared, SessionOptions};
use crate::report::{Outcome, Report};
use crate::run::Runtime;
use crate::session::Session;
use crate::sink::Sink;
use crate::state::Parked;
use crate::ticker::TICK;
use crate::watch::Watch;

/// How long a plugin that is to end may sit in a system call.
const PATIENCE: Duration = Duration::from_millis(500);

type Work = Box<dyn FnOnce(&Runtime, &mut Session) + Send>;

/// A failure to start, with the sink for another attempt.
type NotStarted = (SessionError, Option<Box<dyn Sink>>);

/// A [`Session`] on a thread of its own, for programs that make the calls one by one and must go
/// on whatever the plugin does.
///
/// Every call comes back: also one in which the plugin sits in a system call that does not. The
/// session is given up on then, and its thread goes when the system call returns.
pub struct SessionThread {
    plugin: Arc<str>,
    watch: Arc<Watch>,
    parked: Parked,
    locks: Arc<Mutex<Locks>>,
    work: mpsc::Sender<Work>,
    /// Disconnects when the thread is done with the session.
    gone: mpsc::Receiver<()>,
    abandoned: Option<Abandoned>,
}

/// What is left of a session that was given up on.
struct Abandoned {
    journal: Box<Journal>,
    died: Hresult,
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
    /// Starts a session on a thread of its own.
    ///
    /// # Errors
    /// [`StartError`]; what the plugin does while it is being instantiated counts as its
    /// `initialize`.
    pub fn start_on_thread(
        &self,
        options: &SessionOptions,
        sink: impl Sink + 'static,
    ) -> Result<SessionThread, StartError> {
        let prepared = self.prepare(options, Box::new(sink))?;
        SessionThread::start(prepared).map_err(|(error, _)| StartError::Session(error))
    }
}

impl SessionThread {
    pub(crate) fn start(prepared: Prepared) -> Result<Self, NotStarted> {
        let plugin = Arc::clone(&prepared.plugin);
        let (watch, parked) = (Arc::clone(&prepared.watch), Arc::clone(&prepared.parked));
        let locks = Arc::clone(&prepared.locks);
        let (work, to_do) = mpsc::channel();
        let (goes, gone) = mpsc::channel();
        let (done, started) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("syncmgr-session".to_owned())
            .spawn(move || {
                let _goes = goes;
                live(prepared, &done, &to_do);
            })
            .map_err(|source| (failed(&plugin, "start a thread", source.into()), None))?;
        let mut session = Self { plugin, watch, parked, locks, work, gone, abandoned: None };
        match session.wait(&started) {
            Ok(Ok(())) => Ok(session),
            Ok(Err(not_started)) => Err(not_started),
            Err(error) => Err((error, session.abandoned.take().map(|left| left.journal.sink))),
        }
    }

    /// Makes calls, and returns when they have.
    ///
    /// # Errors
    /// [`SessionError::Ended`] where the session is given up on, [`SessionError::Dead`] after
    /// that, and [`SessionError::Host`] where the thread panicked, most likely in the sink.
    pub fn call<T: Send + 'static>(
        &mut self,
        calls: impl AsyncFnOnce(&mut Session) -> T + Send + 'static,
    ) -> Result<T, SessionError> {
        let (done, answer) = mpsc::sync_channel(1);
        let work = move |runtime: &Runtime, session: &mut Session| {
            if let Ok(answer) = runtime.block_on(calls(session)) {
                // Nobody listens to a session that was given up on.
                let _ = done.send(answer);
            }
        };
        if self.abandoned.is_some() || self.work.send(Box::new(work)).is_err() {
            let call = self.watch.call().unwrap_or(Call::Initialize);
            return Err(SessionError::Dead { plugin: self.plugin.to_string(), call });
        }
        self.wait(&answer)
    }

    /// Cancels what the session does, from any thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.watch.cancel.clone()
    }

    /// The plugin's name.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// What is remembered about the run so far, with this outcome.
    pub fn report(&mut self, outcome: Outcome) -> Report {
        if let Some(Abandoned { journal, died }) = &self.abandoned {
            return journal.outcome(&self.plugin, outcome, Some(*died), 0, 0);
        }
        // The outcome is lost only with the thread.
        match self.call(async |session: &mut Session| session.report(outcome)) {
            Ok(report) => report,
            Err(error) => Report::without_items(&self.plugin, Outcome::Failed(error)),
        }
    }

    /// The sink, if the session was given up on.
    pub(crate) fn take_abandoned_sink(&mut self) -> Option<Box<dyn Sink>> {
        self.abandoned.take().map(|left| left.journal.sink)
    }

    /// Waits, within reason, until what the session holds, such as a directory, is free for the
    /// next run. Closing its files may never come to an end.
    pub fn close(self) {
        drop(self.work);
        let _ = self.gone.recv_timeout(PATIENCE);
    }

    fn wait<T>(&mut self, answer: &mpsc::Receiver<T>) -> Result<T, SessionError> {
        loop {
            match answer.recv_timeout(TICK * 10) {
                Ok(answer) => return Ok(answer),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if let Some(error) = self.give_up() {
                        return Err(error);
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(failed(
                        &self.plugin,
                        "run the session",
                        wasmtime::Error::msg("its thread panicked, most likely in the sink"),
                    ));
                }
            }
        }
    }

    /// Ends the run without the plugin, if that was to end and the system does not let it.
    fn give_up(&mut self) -> Option<SessionError> {
        if self.watch.overdue() < crate::clock::nanoseconds(PATIENCE) {
            return None;
        }
        let (call, reason) = (self.watch.call()?, self.watch.ended()?);
        let mut journal = self.parked.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        // The plugin does nothing more with what it held.
        if let Ok(mut locks) = self.locks.try_lock() {
            locks.release();
        }
        let error = self.watch.error(self.plugin.to_string(), call, reason);
        let died = error.hresult();
        journal.end_items(Some(died));
        self.abandoned = Some(Abandoned { journal, died });
        Some(error)
    }
}

/// The whole life of the session, on its own thread.
fn live(
    prepared: Prepared,
    started: &mpsc::SyncSender<Result<(), NotStarted>>,
    to_do: &mpsc::Receiver<Work>,
) {
    // Nobody listens to a session that was given up on.
    let tell = |outcome| {
        let _ = started.send(outcome);
    };
    let runtime = match Runtime::new(&prepared.plugin) {
        Ok(runtime) => runtime,
        Err(error) => return tell(Err((error, None))),
    };
    let mut session = match runtime.block_on(Session::start(prepared)) {
        Ok(Ok(session)) => session,
        Ok(Err(not_started)) => return tell(Err(not_started)),
        Err(error) => return tell(Err((error, None))),
    };
    tell(Ok(()));
    while let Ok(work) = to_do.recv() {
        work(&runtime, &mut session);
    }
}

fn failed(plugin: &str, what: &'static str, source: wasmtime::Error) -> SessionError {
    SessionError::Host { plugin: plugin.to_owned(), what, source }
}

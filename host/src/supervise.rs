//! A whole run on a thread of its own, which is given up on where the system does not return, and
//! started again where that is wanted.

use std::sync::{Arc, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crate::error::{SessionError, StartError};
use crate::event::ProgressResponse;
use crate::plugin::{Plugin, Prepared, SessionOptions};
use crate::report::{Outcome, Report};
use crate::run::{OnDeath, RunRequest, Runtime, Selection};
use crate::session::Session;
use crate::sink::Sink;
use crate::state::Parked;
use crate::ticker::TICK;
use crate::watch::Watch;

/// How long a plugin that is to end may sit in a system call.
const PATIENCE: Duration = Duration::from_millis(500);

type Ran = (Report, Option<Box<dyn Sink>>);

impl Plugin {
    /// Does a whole run: starts a session and makes all calls of an ordinary run. However it
    /// ends, the report tells about every item.
    ///
    /// Use [`SessionOptions::cancel_handle`] to cancel it from another thread.
    ///
    /// # Errors
    /// [`StartError`] for what is wrong with the options, and for a plugin in quarantine. What the
    /// plugin does wrong is in the report.
    pub fn run_blocking(
        &self,
        options: SessionOptions,
        sink: impl Sink + 'static,
        request: &RunRequest,
    ) -> Result<Report, StartError> {
        // The same handle for every attempt.
        let cancel = options.cancel_or_new();
        let options = options.cancel_handle(cancel.clone());
        let mut request = request.clone();
        let mut attempts = match request.on_death {
            OnDeath::Restart { attempts, .. } => attempts,
            OnDeath::Fail | OnDeath::Quarantine => 0,
        };
        let (mut report, mut sink) = self.attempt(&options, Box::new(sink), &request)?;
        let mut pause = match request.on_death {
            OnDeath::Restart { backoff, .. } => backoff,
            OnDeath::Fail | OnDeath::Quarantine => Duration::ZERO,
        };
        while let Some(death) = report.error().filter(|error| error.may_be_retried()) {
            if request.on_death == OnDeath::Quarantine {
                self.quarantine(death);
            }
            let Some(next) = sink.take().filter(|_| attempts > 0) else { break };
            attempts -= 1;
            let called_off = cancel_wait(&cancel, pause);
            if called_off {
                break;
            }
            pause = pause.saturating_mul(2);
            if !report.items.is_empty() {
                let unfinished = report.items.iter().filter(|item| item.ended_by_death());
                let unfinished: Vec<_> = unfinished.map(|item| item.id.to_string()).collect();
                if unfinished.is_empty() {
                    break;
                }
                request.selection = Selection::Only(unfinished);
            }
            // What was done stays reported, whatever keeps the plugin from starting again.
            let Ok((later, back)) = self.attempt(&options, next, &request) else { break };
            report = report.continued(later);
            sink = back;
        }
        Ok(report)
    }

    fn attempt(
        &self,
        options: &SessionOptions,
        sink: Box<dyn Sink>,
        request: &RunRequest,
    ) -> Result<Ran, StartError> {
        let prepared = self.prepare(options, sink)?;
        let (watch, parked) = (Arc::clone(&prepared.watch), Arc::clone(&prepared.parked));
        let request = request.clone();
        let (done, wait) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("syncmgr-session".to_owned())
            .spawn(move || {
                drive(prepared, &request, |ran| {
                    // Nobody listens to a session that was given up on.
                    let _ = done.send(ran);
                });
            })
            .map_err(|source| SessionError::Host {
                plugin: self.name().to_owned(),
                what: "start a thread",
                source: source.into(),
            })?;
        loop {
            match wait.recv_timeout(TICK * 10) {
                Ok(ran) => {
                    // What the session holds, such as a directory, is free for the next run.
                    let _ = wait.recv_timeout(PATIENCE);
                    return Ok(ran);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if let Some(ran) = give_up(self.name(), &watch, &parked) {
                        return Ok(ran);
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(StartError::Session(SessionError::Host {
                        plugin: self.name().to_owned(),
                        what: "run the session",
                        source: wasmtime::Error::msg(
                            "its thread panicked, most likely in the sink",
                        ),
                    }));
                }
            }
        }
    }
}

/// Waits, unless the run is called off; whether it was.
fn cancel_wait(cancel: &crate::cancel::CancelHandle, pause: Duration) -> bool {
    let called_off = || cancel.is_killed() || cancel.response(None) == ProgressResponse::CancelAll;
    let since = std::time::Instant::now();
    while !called_off() && since.elapsed() < pause {
        thread::sleep(TICK.min(pause));
    }
    called_off()
}

/// Does the run and hands over what came of it. Only then is the session taken down: closing its
/// files may never come to an end.
fn drive(prepared: Prepared, request: &RunRequest, done: impl FnOnce(Ran)) {
    let plugin = prepared.plugin.to_string();
    let failed = |error, sink| (Report::without_items(&plugin, Outcome::Failed(error)), sink);
    let runtime = match Runtime::new(&plugin) {
        Ok(runtime) => runtime,
        Err(error) => return done(failed(error, None)),
    };
    let work = async {
        match Session::start(prepared).await {
            Ok(mut session) => {
                let report = session.run(request).await;
                done((report, session.take_sink()));
            }
            Err((error, sink)) => done(failed(error, sink)),
        }
        Ok::<_, SessionError>(())
    };
    // Its outcome was handed over.
    let _ = runtime.block_on(work);
}

/// Ends the run without the plugin, if that was to end and the system does not let it. The
/// session, and its thread, go when the system call returns.
fn give_up(plugin: &str, watch: &Watch, parked: &Parked) -> Option<Ran> {
    if watch.overdue() < crate::clock::nanoseconds(PATIENCE) {
        return None;
    }
    let (call, reason) = (watch.call()?, watch.ended()?);
    let mut journal = parked.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let error = SessionError::Ended { plugin: plugin.to_owned(), call, reason };
    let died = error.hresult();
    journal.end_items(Some(died));
    let report = journal.outcome(plugin, Outcome::Failed(error), Some(died), 0, 0);
    Some((report, Some(journal.sink)))
}

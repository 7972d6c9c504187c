//! Runs a plugin on a dedicated thread, and restarts it after a crash.

use std::thread;
use std::time::Duration;

use super::Session;
use super::run::{RestartPolicy, RunRequest, Selection};
use super::thread::SessionThread;
use crate::error::{SessionError, StartError};
use crate::limits::ticker::TICK;
use crate::plugin::Plugin;
use crate::report::{Outcome, RunReport};
use crate::sandbox;
use crate::session_options::SessionOptions;
use crate::sink::Sink;
use crate::types::ProgressResponse;

type Ran = (RunReport, Option<Box<dyn Sink>>);

impl Plugin {
    /// Runs the plugin: starts a session and makes all calls of an ordinary run. The report always
    /// contains every item.
    ///
    /// Use [`SessionOptions::cancel_with`] to cancel it from another thread.
    ///
    /// # Errors
    /// Returns a [`StartError`] if the options are invalid. Failures of the plugin are in the
    /// report.
    pub fn run(
        &self,
        options: SessionOptions,
        sink: impl Sink + 'static,
        request: &RunRequest,
    ) -> Result<RunReport, StartError> {
        // Every attempt uses the same handle.
        let cancel = options.cancel_or_new();
        let options = options.cancel_with(cancel.clone());
        let mut request = request.clone();
        let (mut attempts, mut pause) = match request.restart_policy {
            RestartPolicy::Restart { attempts, backoff } => (attempts, backoff),
            RestartPolicy::Fail => (0, Duration::ZERO),
        };
        let (mut report, mut sink) = self.attempt(&options, Box::new(sink), &request)?;
        while report.error().is_some_and(SessionError::may_be_retried) {
            let Some(next) = sink.take().filter(|_| attempts > 0) else { break };
            attempts -= 1;
            let is_cancelled = wait_unless_cancelled(&cancel, pause);
            if is_cancelled {
                break;
            }
            pause = pause.saturating_mul(2);
            tracing::info!(plugin = self.name(), attempts, "restarting the plugin");
            if !report.items.is_empty() {
                let unfinished = report.items.iter().filter(|item| item.ended_by_crash());
                let unfinished: Vec<_> = unfinished.map(|item| item.id.to_string()).collect();
                if unfinished.is_empty() {
                    break;
                }
                request.selection = Selection::Only(unfinished);
            }
            // The finished work stays reported, even if the plugin cannot be restarted.
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
        let failed =
            |error, sink| Ok((RunReport::without_items(self.name(), Outcome::Failed(error)), sink));
        let mut session = match SessionThread::start(sandbox::prepare(self, options, sink)?) {
            Ok(session) => session,
            Err((error @ SessionError::Host { .. }, _)) => return Err(error.into()),
            Err((error, sink)) => return failed(error, sink),
        };
        let request = request.clone();
        let run = session.call(async move |session: &mut Session| {
            let report = session.run(&request).await;
            (report, session.take_sink())
        });
        match run {
            Ok(ran) => {
                session.close();
                Ok(ran)
            }
            Err(error @ SessionError::Host { .. }) => Err(error.into()),
            Err(error) => {
                let report = session.report(Outcome::Failed(error));
                Ok((report, session.take_abandoned_sink()))
            }
        }
    }
}

/// Waits unless the run is cancelled. Returns whether it was cancelled.
fn wait_unless_cancelled(cancel: &crate::cancel::CancelHandle, pause: Duration) -> bool {
    let is_cancelled =
        || cancel.is_killed() || cancel.response(None) == ProgressResponse::CancelAll;
    let since = std::time::Instant::now();
    while !is_cancelled() && since.elapsed() < pause {
        thread::sleep(TICK.min(pause));
    }
    is_cancelled()
}

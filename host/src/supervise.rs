//! A whole run on a thread of its own, which is started again where that is wanted.

use std::thread;
use std::time::Duration;

use crate::error::{SessionError, StartError};
use crate::event::ProgressResponse;
use crate::plugin::{Plugin, SessionOptions};
use crate::report::{Outcome, Report};
use crate::run::{OnDeath, RunRequest, Selection};
use crate::session::Session;
use crate::session_thread::SessionThread;
use crate::sink::Sink;
use crate::ticker::TICK;

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
        let failed =
            |error, sink| Ok((Report::without_items(self.name(), Outcome::Failed(error)), sink));
        let mut session = match SessionThread::start(self.prepare(options, sink)?) {
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

/// Waits, unless the run is called off; whether it was.
fn cancel_wait(cancel: &crate::cancel::CancelHandle, pause: Duration) -> bool {
    let called_off = || cancel.is_killed() || cancel.response(None) == ProgressResponse::CancelAll;
    let since = std::time::Instant::now();
    while !called_off() && since.elapsed() < pause {
        thread::sleep(TICK.min(pause));
    }
    called_off()
}

//! Checks of requests to servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use syncmgr_host::{CancelHandle, RunRequest};

use crate::check::checks::{Context, SOON, bad_end, failed, failed_at, skipped};
use crate::check::error::CheckError;
use crate::check::run::{Choices, continue_all, run, run_choosing};
use crate::check::server::Behaviour;
use crate::check::temp_fixture::TempFixture;
use crate::check::verdict::Verdict;

/// The fault of a server of [`servers_fail`].
const FAILURES: [(Behaviour, &str); 5] = [
    (Behaviour::Fails(429), "it answers 429"),
    (Behaviour::Fails(503), "it answers 503"),
    (Behaviour::Fails(401), "it answers 401"),
    (Behaviour::Cuts, "it cuts connections"),
    (Behaviour::Garbles, "it answers with something other than HTTP"),
];

/// Returns the verdict of a plugin without a server in the fixture.
fn without(context: &Context<'_>, temp: &TempFixture) -> Option<Verdict> {
    (!temp.has_servers(context.plugin)).then(|| {
        skipped("the fixture has no folder with the name of a server that the plugin requests")
    })
}

pub(super) fn servers_denied(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let temp = context.temp_fixture()?;
    if let Some(verdict) = without(context, &temp) {
        return Ok(verdict);
    }
    let options = temp.without_servers(context.plugin)?;
    let ran = run(context.plugin, options, &RunRequest::default(), continue_all())?;
    Ok(match bad_end(&ran.report) {
        Some(why) => failed_at(format!("without its servers: {why}"), ran.end()),
        None => Verdict::Passed,
    })
}

pub(super) fn servers_fail(context: &Context<'_>) -> Result<Verdict, CheckError> {
    for (behaviour, what) in FAILURES {
        let temp = context.temp_fixture()?.with_servers(behaviour);
        if let Some(verdict) = without(context, &temp) {
            return Ok(verdict);
        }
        let options = context.options(&temp)?;
        let ran = run(context.plugin, options, &RunRequest::default(), continue_all())?;
        if let Some(why) = bad_end(&ran.report) {
            return Ok(failed_at(format!("with a server, {what}: {why}"), ran.end()));
        }
    }
    Ok(Verdict::Passed)
}

pub(super) fn servers_slow(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let temp = context.temp_fixture()?.with_servers(Behaviour::Silent);
    if let Some(verdict) = without(context, &temp) {
        return Ok(verdict);
    }
    let (cancel, over) = (CancelHandle::new(), Arc::new(AtomicBool::new(false)));
    let options = context.options(&temp)?.cancel_with(cancel.clone());
    let waits = || {
        while temp.requests() == 0 && !over.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(5));
        }
        cancel.cancel_all();
        Instant::now()
    };
    let (ran, cancelled) = thread::scope(|scope| {
        let waiting = scope.spawn(waits);
        let (request, choices) = (RunRequest::default(), Choices::default());
        // With the cancel handle of the options.
        let ran = run_choosing(context.plugin, options, &request, continue_all(), choices);
        let ended = Instant::now();
        over.store(true, Ordering::Release);
        let cancelled = waiting.join().unwrap_or(ended);
        ran.map(|ran| (ran, ended.saturating_duration_since(cancelled)))
    })?;
    Ok(match bad_end(&ran.report) {
        _ if temp.requests() == 0 => skipped("the plugin sends no request"),
        Some(why) => failed_at(format!("while it waits for a server: {why}"), ran.end()),
        None if cancelled > SOON => failed(format!(
            "the plugin took {cancelled:.1?} to end after it was cancelled while it waited for a \
             server (limit {SOON:?}); include `subscribe-cancelled` in every wait"
        )),
        None => Verdict::Passed,
    })
}

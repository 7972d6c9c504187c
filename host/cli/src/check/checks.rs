//! The checks, in execution order.

mod cancellation;
mod identity;
mod lifecycle;
mod network;
mod progress;
mod resilience;
mod settings;

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use syncmgr_host::{
    Outcome, Plugin, RunReport, RunRequest, SessionError, SessionOptions, TerminationReason,
    full_message,
};

use crate::check::error::CheckError;
use crate::check::fixture::Fixture;
use crate::check::run::{RunOutput, continue_all, run};
use crate::check::temp_fixture::{PATIENCE, Snapshot, TempFixture};
use crate::check::verdict::{CheckOutcome, TestReport, Verdict};

/// The maximum time that a plugin may take to stop after cancellation.
const SOON: Duration = Duration::from_secs(1);

/// A named check.
#[derive(Clone, Copy, Debug)]
pub struct CheckInfo {
    /// Its name.
    pub name: &'static str,
    /// Its criterion.
    pub about: &'static str,
    check: fn(&Context) -> Result<Verdict, CheckError>,
}

macro_rules! checks {
    ($($name:literal, $about:literal, $check:path;)*) => {
        /// All checks.
        pub const CHECKS: &[CheckInfo] =
            &[$(CheckInfo { name: $name, about: $about, check: $check },)*];
    };
}

checks! {
    "handler-info", "describes itself", identity::handler_info;
    "stable-items", "lists the same items each time", identity::stable_items;
    "any-trigger", "starts for every trigger", lifecycle::any_trigger;
    "no-items", "changes nothing if no item is selected", lifecycle::no_items;
    "unknown-ids", "rejects unknown ids", lifecycle::unknown_ids;
    "every-item-ends", "gives each item a terminal status", lifecycle::every_item_ends;
    "status-order", "reports nothing after an item's terminal status", progress::status_order;
    "progress-grows", "progress increases up to its maximum", progress::progress_grows;
    "no-flood", "does not flood the sync manager", progress::no_flood;
    "second-run", "changes nothing in a second run", lifecycle::second_run;
    "cancel-item", "stops a cancelled item", cancellation::cancel_item;
    "cancel-all", "stops if all items are cancelled", cancellation::cancel_all;
    "cancel-first", "changes nothing if cancelled before the run",
        cancellation::cancel_first;
    "cancel-between", "stops promptly if cancelled between reports", cancellation::cancel_between;
    "run-after-cancel", "completes a cancelled run in the next run", cancellation::run_after_cancel;
    "properties", "gets and sets its properties", settings::properties;
    "error-details", "has details for errors that announce them", settings::error_details;
    "denied", "fails cleanly without its directories", resilience::denied;
    "read-only", "fails cleanly without write access", resilience::read_only;
    "storage-full", "fails cleanly with a full storage", resilience::storage_full;
    "servers-denied", "fails cleanly without its servers", network::servers_denied;
    "servers-fail", "fails cleanly if a server fails", network::servers_fail;
    "servers-slow", "stops promptly if cancelled while it waits for a server",
        network::servers_slow;
    "clock-jumps", "tolerates a wrong clock", resilience::clock_jumps;
    "killed", "completes a killed run in the next run", resilience::killed;
}

/// The plugin and the fixture of a test.
struct Context<'a> {
    plugin: &'a Plugin,
    fixture: &'a Fixture,
    baseline: OnceCell<Baseline>,
}

/// An undisturbed run.
struct Baseline {
    temp: TempFixture,
    before: Snapshot,
    after: Snapshot,
    ran: RunOutput,
    /// The number of host calls at which the run can be killed.
    kill_points: u64,
}

impl Baseline {
    /// Returns the verdict of checks that require a successful run, if the run failed.
    fn failure(&self) -> Option<Verdict> {
        match &self.ran.report.outcome {
            Outcome::Declined => Some(skipped("the plugin declines manual runs")),
            Outcome::NeedsUser => Some(skipped("the plugin needs the user")),
            Outcome::Failed(_) => Some(skipped("an undisturbed run fails; see `every-item-ends`")),
            Outcome::NothingSelected | Outcome::Completed => None,
            other => Some(skipped(format!("an undisturbed run ends as `{}`", other.name()))),
        }
    }
}

impl Context<'_> {
    fn temp_fixture(&self) -> Result<TempFixture, CheckError> {
        TempFixture::new(self.fixture)
    }

    fn options(&self, temp: &TempFixture) -> Result<SessionOptions, CheckError> {
        temp.options(self.plugin)
    }

    /// Runs the plugin undisturbed.
    fn run_on(&self, temp: &TempFixture) -> Result<RunOutput, CheckError> {
        run(self.plugin, self.options(temp)?, &RunRequest::default(), continue_all())
    }

    fn baseline(&self) -> Result<&Baseline, CheckError> {
        if let Some(baseline) = self.baseline.get() {
            return Ok(baseline);
        }
        let temp = self.temp_fixture()?;
        let before = temp.snapshot()?;
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let hook = move |_call: &'static str| {
            counted.fetch_add(1, Ordering::Relaxed);
            true
        };
        let options = self.options(&temp)?.host_call_hook(Arc::new(hook));
        let ran = run(self.plugin, options, &RunRequest::default(), continue_all())?;
        let after = temp.snapshot()?;
        let kill_points = count.load(Ordering::Relaxed);
        Ok(self.baseline.get_or_init(|| Baseline { temp, before, after, ran, kill_points }))
    }
}

fn failed(why: impl Into<String>) -> Verdict {
    Verdict::Failed { why: why.into(), calls: Vec::new() }
}

fn failed_at(why: impl Into<String>, calls: Vec<String>) -> Verdict {
    Verdict::Failed { why: why.into(), calls }
}

fn skipped(why: impl Into<String>) -> Verdict {
    Verdict::Skipped { why: why.into() }
}

/// Returns the problem of a run if the plugin crashed or violated the contract. An error that the
/// plugin returns is not a problem.
fn bad_end(report: &RunReport) -> Option<String> {
    report.error().and_then(bad_error)
}

/// Returns the problem of an error, unless the plugin returned it.
fn bad_error(error: &SessionError) -> Option<String> {
    if let SessionError::Terminated {
        call,
        reason:
            TerminationReason::ComputeTime | TerminationReason::IdleTime | TerminationReason::WallTime,
        ..
    } = error
    {
        return Some(format!(
            "the plugin hangs in `{call}`: it neither returned nor called the host within \
             {PATIENCE:?}"
        ));
    }
    let is_returned = matches!(error, SessionError::Plugin { .. });
    (!is_returned).then(|| full_message(error))
}

/// Runs the checks with these names, or all checks. Passes each outcome to `each`.
///
/// # Errors
/// [`CheckError`] if a check cannot be run.
pub fn test(
    plugin: &Plugin,
    fixture: &Fixture,
    only: &[String],
    mut each: impl FnMut(&CheckOutcome),
) -> Result<TestReport, CheckError> {
    let known = |name: &String| CHECKS.iter().any(|check| check.name == name);
    if let Some(name) = only.iter().find(|name| !known(name)) {
        return Err(CheckError::UnknownCheck { name: name.clone() });
    }
    let context = Context { plugin, fixture, baseline: OnceCell::new() };
    let mut checks = Vec::new();
    for check in CHECKS {
        if !only.is_empty() && !only.iter().any(|name| name == check.name) {
            continue;
        }
        let since = Instant::now();
        let verdict = (check.check)(&context)?;
        let outcome =
            CheckOutcome { check: check.name, about: check.about, verdict, took: since.elapsed() };
        each(&outcome);
        checks.push(outcome);
    }
    Ok(TestReport { plugin: plugin.name().to_owned(), checks })
}

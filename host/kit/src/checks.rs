//! The checks, in the order in which they are made.

mod cancellation;
mod identity;
mod lifecycle;
mod progress;
mod resilience;
mod settings;

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use syncmgr_host::{
    Outcome, Plugin, RunReport, RunRequest, SessionError, SessionOptions, StopReason,
};

use crate::error::KitError;
use crate::fixture::Fixture;
use crate::run::{Ran, agree, run};
use crate::stage::{PATIENCE, Snapshot, Stage};
use crate::verdict::{CheckOutcome, TestReport, Verdict};

/// How long a plugin may take to stop once it was told to.
const SOON: Duration = Duration::from_secs(1);

/// A named check.
#[derive(Clone, Copy, Debug)]
pub struct CheckInfo {
    /// Its name.
    pub name: &'static str,
    /// What it looks at.
    pub about: &'static str,
    check: fn(&Subject) -> Result<Verdict, KitError>,
}

macro_rules! checks {
    ($($name:literal, $about:literal, $check:path;)*) => {
        /// All checks.
        pub const CHECKS: &[CheckInfo] =
            &[$(CheckInfo { name: $name, about: $about, check: $check },)*];
    };
}

checks! {
    "handler-info", "it says what it is", identity::handler_info;
    "stable-items", "it lists the same items each time", identity::stable_items;
    "any-trigger", "it starts for every reason there is", lifecycle::any_trigger;
    "no-items", "nothing happens when nothing is selected", lifecycle::no_items;
    "unknown-ids", "ids that it never gave are errors", lifecycle::unknown_ids;
    "every-item-ends", "each item gets a last status", lifecycle::every_item_ends;
    "status-order", "an item has one end, and nothing after it", progress::status_order;
    "progress-grows", "values grow up to their maximum", progress::progress_grows;
    "no-flood", "it does not flood the sync manager", progress::no_flood;
    "second-run", "a second run changes nothing", lifecycle::second_run;
    "cancel-item", "an item that is cancelled stops", cancellation::cancel_item;
    "cancel-all", "everything stops that is cancelled", cancellation::cancel_all;
    "cancel-first", "a run that is cancelled before it begins changes nothing",
        cancellation::cancel_first;
    "cancel-between", "it stops soon when cancelled between reports", cancellation::cancel_between;
    "run-after-cancel", "a run after a cancelled one completes it", cancellation::run_after_cancel;
    "properties", "its properties can be read and set", settings::properties;
    "error-details", "it has details about the errors that promise them", settings::error_details;
    "denied", "without its directories it fails in good order", resilience::denied;
    "read-only", "where it may not write it fails in good order", resilience::read_only;
    "storage-full", "with a full storage it goes on in good order", resilience::storage_full;
    "clock-jumps", "the clock may be wrong", resilience::clock_jumps;
    "killed", "a run after it was killed completes what it began", resilience::killed;
}

/// A plugin that is being tested.
struct Subject<'a> {
    plugin: &'a Plugin,
    fixture: &'a Fixture,
    normal: OnceCell<Normal>,
}

/// A run in which everything is as it should be.
struct Normal {
    stage: Stage,
    before: Snapshot,
    after: Snapshot,
    ran: Ran,
    /// Moments at which it can be killed.
    kill_points: u64,
}

impl Normal {
    /// Why other checks have nothing to look at, if the run itself went wrong.
    fn went_wrong(&self) -> Option<Verdict> {
        match &self.ran.report.outcome {
            Outcome::Declined => Some(skipped("it does not take part when the user asks")),
            Outcome::NeedsUser => Some(skipped("it needs the user")),
            Outcome::Failed(_) => {
                Some(skipped("an ordinary run of it goes wrong: see `every-item-ends`"))
            }
            Outcome::NothingSelected | Outcome::Completed => None,
        }
    }
}

impl Subject<'_> {
    fn stage(&self) -> Result<Stage, KitError> {
        Stage::new(self.fixture)
    }

    fn options(&self, stage: &Stage) -> Result<SessionOptions, KitError> {
        stage.options(self.plugin)
    }

    /// Runs it on a stage with nothing out of the ordinary.
    fn run_on(&self, stage: &Stage) -> Result<Ran, KitError> {
        run(self.plugin, self.options(stage)?, &RunRequest::default(), agree())
    }

    fn normal(&self) -> Result<&Normal, KitError> {
        if let Some(normal) = self.normal.get() {
            return Ok(normal);
        }
        let stage = self.stage()?;
        let before = stage.snapshot()?;
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let hook = move |_call: &'static str| {
            counted.fetch_add(1, Ordering::Relaxed);
            true
        };
        let options = self.options(&stage)?.host_call_hook(Arc::new(hook));
        let ran = run(self.plugin, options, &RunRequest::default(), agree())?;
        let after = stage.snapshot()?;
        let kill_points = count.load(Ordering::Relaxed);
        Ok(self.normal.get_or_init(|| Normal { stage, before, after, ran, kill_points }))
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

/// What is wrong with how a plugin went, if it died or broke the contract: its own failures are
/// its own business.
fn bad_end(report: &RunReport) -> Option<String> {
    match &report.outcome {
        Outcome::Failed(error) => bad_error(error),
        Outcome::Declined | Outcome::NothingSelected | Outcome::NeedsUser | Outcome::Completed => {
            None
        }
    }
}

/// What is wrong with an answer of a plugin.
fn bad_error(error: &SessionError) -> Option<String> {
    match error {
        SessionError::Plugin { .. } => None,
        SessionError::Ended {
            call,
            reason: StopReason::ComputeTime | StopReason::IdleTime | StopReason::WallTime,
            ..
        } => Some(format!(
            "it hangs in `{call}`: it did not come to an end within {PATIENCE:?}, nor report, nor \
             ask anything"
        )),
        SessionError::BadData { .. }
        | SessionError::Trap { .. }
        | SessionError::Exit { .. }
        | SessionError::Ended { .. }
        | SessionError::Denied { .. }
        | SessionError::Native { .. }
        | SessionError::NativeExit { .. }
        | SessionError::OutOfOrder { .. }
        | SessionError::Dead { .. }
        | SessionError::UnknownItem { .. }
        | SessionError::Host { .. } => Some(error.to_string()),
    }
}

/// Runs a plugin through the checks of these names, or through all of them. `each` hears of every
/// outcome as it comes.
///
/// # Errors
/// [`KitError`] where the kit itself cannot go on.
pub fn test(
    plugin: &Plugin,
    fixture: &Fixture,
    only: &[String],
    mut each: impl FnMut(&CheckOutcome),
) -> Result<TestReport, KitError> {
    let known = |name: &String| CHECKS.iter().any(|check| check.name == name);
    if let Some(name) = only.iter().find(|name| !known(name)) {
        return Err(KitError::UnknownCheck { name: name.clone() });
    }
    let subject = Subject { plugin, fixture, normal: OnceCell::new() };
    let mut checks = Vec::new();
    for check in CHECKS {
        if !only.is_empty() && !only.iter().any(|name| name == check.name) {
            continue;
        }
        let since = Instant::now();
        let verdict = (check.check)(&subject)?;
        let outcome =
            CheckOutcome { check: check.name, about: check.about, verdict, took: since.elapsed() };
        each(&outcome);
        checks.push(outcome);
    }
    Ok(TestReport { plugin: plugin.name().to_owned(), checks })
}

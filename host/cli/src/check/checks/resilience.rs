//! Whether a plugin bears what can go wrong around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use syncmgr_host::{Capability, Limits, RunRequest, SessionOptions, Status};

use crate::check::checks::{Subject, bad_end, failed, failed_at, skipped};
use crate::check::error::KitError;
use crate::check::run::{Ran, agree, run};
use crate::check::stage::{Difference, difference, limits};
use crate::check::verdict::Verdict;

/// How many calls into a run it is killed, at most.
const KILLS: u64 = 8;

const DAY: Duration = Duration::from_secs(86_400);

/// That each failure says which one it is.
fn untyped(ran: &Ran) -> Option<String> {
    // One that it gave no end at all is told by `every-item-ends`.
    let item = ran
        .report
        .items
        .iter()
        .find(|item| item.code.is_none() && ran.own_end(item.id) == Some(Status::Failed))?;
    Some(format!(
        "the item {} failed without an error code; log an error about it with a `code`, or fail \
         `synchronize`",
        item.id
    ))
}

fn in_good_order(ran: &Ran) -> Verdict {
    match bad_end(&ran.report).or_else(|| untyped(ran)) {
        Some(why) => failed_at(why, ran.end()),
        None => Verdict::Passed,
    }
}

fn run_with(subject: &Subject<'_>, options: SessionOptions) -> Result<Ran, KitError> {
    run(subject.plugin, options, &RunRequest::default(), agree())
}

pub(super) fn denied(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    if subject.plugin.description().requests.directories.is_empty() {
        return Ok(skipped("it requests no directories"));
    }
    let stage = subject.stage()?;
    Ok(in_good_order(&run_with(subject, stage.without_directories(subject.plugin))?))
}

pub(super) fn read_only(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let stage = subject.stage()?;
    let ran = run_with(subject, subject.options(&stage)?.read_only())?;
    Ok(in_good_order(&ran))
}

pub(super) fn storage_full(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let stage = subject.stage()?;
    let limits = Limits { storage_bytes: 0, ..limits() };
    Ok(in_good_order(&run_with(subject, subject.options(&stage)?.limits(limits))?))
}

pub(super) fn clock_jumps(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    if !subject.plugin.description().requests.capability(Capability::WallClock) {
        return Ok(skipped("it does not request the time of day"));
    }
    // 2033, the day before, long before, and the end of what 32 bits can say.
    let first = Duration::from_secs(2_000_000_000);
    for now in [first, first - DAY, Duration::ZERO, Duration::from_secs(u64::from(u32::MAX))] {
        let stage = subject.stage()?;
        for now in [first, now] {
            let options = subject.options(&stage)?;
            let ran = run_with(subject, options.wall_clock(move || now))?;
            if let Some(why) = bad_end(&ran.report) {
                let why = format!("{} seconds after 1970: {why}", now.as_secs());
                return Ok(failed_at(why, ran.end()));
            }
        }
    }
    Ok(Verdict::Passed)
}

/// What would come to the same after a kill.
fn mend(difference: &Difference) -> &'static str {
    match difference {
        Difference::Content(_) => {
            "write to a temporary file, flush it, and rename that; see `second-run`, too"
        }
        Difference::New(_) => "remove what an interrupted run has left before anything else",
        Difference::Missing(_) => {
            "what is written down as done must be done; see whether it is there instead"
        }
    }
}

pub(super) fn killed(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let normal = subject.normal()?;
    if let Some(verdict) = normal.went_wrong() {
        return Ok(verdict);
    }
    let calls = normal.kill_points;
    if difference(&normal.before, &normal.after).is_none() || calls == 0 {
        return Ok(skipped("it changes nothing with this fixture"));
    }
    let step = calls.div_ceil(KILLS).max(1);
    for last in (1..=calls).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let stage = subject.stage()?;
        let made = Arc::new(AtomicU64::new(0));
        let hook = move |_call: &'static str| made.fetch_add(1, Ordering::Relaxed) + 1 < last;
        let options = subject.options(&stage)?.host_call_hook(Arc::new(hook));
        run_with(subject, options)?;
        let ran = run_with(subject, subject.options(&stage)?)?;
        if let Some(why) = bad_end(&ran.report) {
            return Ok(failed_at(format!("after it was killed at call {last}: {why}"), ran.end()));
        }
        if let Some(difference) = difference(&normal.after, &stage.snapshot()?) {
            return Ok(failed(format!(
                "killed at call {last} of {calls} and run again, it does not come to what one run \
                 comes to: {difference}; {}",
                mend(&difference)
            )));
        }
    }
    Ok(Verdict::Passed)
}

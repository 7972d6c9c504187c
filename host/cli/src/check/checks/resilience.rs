//! Checks of fault tolerance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use syncmgr_host::{Capability, RunRequest, SessionOptions, Status};

use crate::check::checks::{Context, bad_end, failed, failed_at, skipped};
use crate::check::error::CheckError;
use crate::check::run::{RunOutput, continue_all, run};
use crate::check::temp_fixture::{Difference, difference, limits};
use crate::check::verdict::Verdict;

/// The maximum number of kills.
const KILLS: u64 = 8;

const DAY: Duration = Duration::from_secs(86_400);

/// Returns the problem of a failed item without an error code.
fn untyped(ran: &RunOutput) -> Option<String> {
    // `every-item-ends` reports items without a terminal status.
    let item = ran
        .report
        .items
        .iter()
        .find(|item| item.code.is_none() && ran.own_end(item.id) == Some(Status::Failed))?;
    Some(format!(
        "item {} failed without an error code; log an error of the item with a `code`, or return \
         an error from `synchronize`",
        item.id
    ))
}

fn fails_cleanly(ran: &RunOutput) -> Verdict {
    match bad_end(&ran.report).or_else(|| untyped(ran)) {
        Some(why) => failed_at(why, ran.end()),
        None => Verdict::Passed,
    }
}

fn run_with(context: &Context<'_>, options: SessionOptions) -> Result<RunOutput, CheckError> {
    run(context.plugin, options, &RunRequest::default(), continue_all())
}

pub(super) fn denied(context: &Context<'_>) -> Result<Verdict, CheckError> {
    if context.plugin.description().requests.directories.is_empty() {
        return Ok(skipped("the plugin requests no directories"));
    }
    let temp = context.temp_fixture()?;
    Ok(fails_cleanly(&run_with(context, temp.without_directories(context.plugin))?))
}

pub(super) fn read_only(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let temp = context.temp_fixture()?;
    let ran = run_with(context, context.options(&temp)?.read_only())?;
    Ok(fails_cleanly(&ran))
}

pub(super) fn storage_full(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let temp = context.temp_fixture()?;
    let mut limits = limits();
    limits.storage_bytes = 0;
    Ok(fails_cleanly(&run_with(context, context.options(&temp)?.limits(limits))?))
}

pub(super) fn clock_jumps(context: &Context<'_>) -> Result<Verdict, CheckError> {
    if !context.plugin.description().requests.capability(Capability::WallClock) {
        return Ok(skipped("the plugin does not request `wall-clock`"));
    }
    // 2033, the day before, 1970, and the end of 32 bits.
    let first = Duration::from_secs(2_000_000_000);
    for now in [first, first - DAY, Duration::ZERO, Duration::from_secs(u64::from(u32::MAX))] {
        let temp = context.temp_fixture()?;
        for now in [first, now] {
            let options = context.options(&temp)?;
            let ran = run_with(context, options.wall_clock(move || now))?;
            if let Some(why) = bad_end(&ran.report) {
                let why = format!("{} seconds after 1970: {why}", now.as_secs());
                return Ok(failed_at(why, ran.end()));
            }
        }
    }
    Ok(Verdict::Passed)
}

/// Returns the remedy for a difference after a kill.
fn remedy(difference: &Difference) -> &'static str {
    match difference {
        Difference::Content(_) => {
            "write to a temporary file, flush it, and rename it; see also `second-run`"
        }
        Difference::New(_) => "remove files of interrupted runs first",
        Difference::Missing(_) => "do not record work before it is done; check its result instead",
    }
}

pub(super) fn killed(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let baseline = context.baseline()?;
    if let Some(verdict) = baseline.failure() {
        return Ok(verdict);
    }
    let calls = baseline.kill_points;
    if difference(&baseline.before, &baseline.after).is_none() || calls == 0 {
        return Ok(skipped("the plugin changes nothing with this fixture"));
    }
    let step = calls.div_ceil(KILLS).max(1);
    for last in (1..=calls).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let temp = context.temp_fixture()?;
        let made = Arc::new(AtomicU64::new(0));
        let hook = move |_call: &'static str| made.fetch_add(1, Ordering::Relaxed) + 1 < last;
        let options = context.options(&temp)?.host_call_hook(Arc::new(hook));
        run_with(context, options)?;
        let ran = run_with(context, context.options(&temp)?)?;
        if let Some(why) = bad_end(&ran.report) {
            return Ok(failed_at(format!("after a kill at call {last}: {why}"), ran.end()));
        }
        if let Some(difference) = difference(&baseline.after, &temp.snapshot()?) {
            return Ok(failed(format!(
                "a run after a kill at call {last} of {calls} has another result than a single \
                 run: {difference}; {}",
                remedy(&difference)
            )));
        }
    }
    Ok(Verdict::Passed)
}

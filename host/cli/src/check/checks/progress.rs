//! Checks of progress reports.

use std::collections::HashMap;

use syncmgr_host::{ItemId, Status};

use crate::check::checks::{Context, failed, failed_at, skipped};
use crate::check::error::CheckError;
use crate::check::verdict::Verdict;

/// The number of reports that are always acceptable.
const FREE_REPORTS: u64 = 2_000;
/// The acceptable rate of further reports, per second.
const REPORTS_PER_SECOND: f64 = 5_000.0;

pub(super) fn status_order(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let baseline = context.baseline()?;
    if let Some(verdict) = baseline.failure() {
        return Ok(verdict);
    }
    let ran = &baseline.ran;
    let mut worked: HashMap<ItemId, bool> = HashMap::new();
    for (at, call) in ran.events.iter().enumerate() {
        let Some((item, report)) = &call.report else { continue };
        let works = worked.entry(*item).or_default();
        match report.status_type {
            Some(Status::Pending) if *works => {
                return Ok(failed_at(
                    "an item changes from work back to `pending`; use `paused`",
                    ran.around(at),
                ));
            }
            Some(
                Status::Updating
                | Status::UpdatingIndeterminate
                | Status::Paused
                | Status::Resuming,
            ) => *works = true,
            Some(
                Status::Pending
                | Status::Stopped
                | Status::Skipped
                | Status::Succeeded
                | Status::Failed
                | Status::Deleted,
            )
            | None => {}
        }
    }
    match ran.report.refused_calls {
        0 => Ok(Verdict::Passed),
        count => Ok(failed_at(
            format!(
                "{count} calls for an unknown item, or for an item after its terminal status; \
                 report nothing after `succeeded`, `failed`, `skipped` or `stopped`"
            ),
            ran.end(),
        )),
    }
}

pub(super) fn progress_grows(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let baseline = context.baseline()?;
    if let Some(verdict) = baseline.failure() {
        return Ok(verdict);
    }
    let ran = &baseline.ran;
    let mut last: HashMap<ItemId, (i32, i32)> = HashMap::new();
    for (at, call) in ran.events.iter().enumerate() {
        let Some((item, report)) = &call.report else { continue };
        let (value, max) = last.entry(*item).or_default();
        if let Some(new) = report.max_value
            && new != *max
        {
            // A new maximum starts at zero.
            (*value, *max) = (0, new);
        }
        let Some(new) = report.prog_value else { continue };
        if *max > 0 && new > *max {
            return Ok(failed_at(
                format!("progress {new} exceeds its maximum {max}"),
                ran.around(at),
            ));
        }
        if new < *value {
            return Ok(failed_at(
                format!("progress decreases from {value} to {new} with the same maximum"),
                ran.around(at),
            ));
        }
        *value = new;
    }
    Ok(match last.is_empty() {
        true => skipped("the plugin reports nothing with this fixture"),
        false => Verdict::Passed,
    })
}

pub(super) fn no_flood(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let baseline = context.baseline()?;
    if let Some(verdict) = baseline.failure() {
        return Ok(verdict);
    }
    let ran = &baseline.ran;
    let report = &ran.report;
    if report.dropped_log_entries > 0 {
        return Ok(failed(format!(
            "{} log entries exceed the limit; combine entries of the same kind",
            report.dropped_log_entries
        )));
    }
    let seconds = ran.took.as_secs_f64();
    let most = FREE_REPORTS as f64 + REPORTS_PER_SECOND * seconds;
    Ok(match report.progress_calls as f64 > most {
        true => failed_at(
            format!(
                "{} reports in {seconds:.2} s; report at most about 25 times per second",
                report.progress_calls
            ),
            ran.end(),
        ),
        false => Verdict::Passed,
    })
}

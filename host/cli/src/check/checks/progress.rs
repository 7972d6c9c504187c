//! What a plugin reports while it works.

use std::collections::HashMap;

use syncmgr_host::{ItemId, Status};

use crate::check::checks::{Subject, failed, failed_at, skipped};
use crate::check::error::KitError;
use crate::check::verdict::Verdict;

/// Reports that nobody minds, whatever there was to do.
const FREE_REPORTS: u64 = 2_000;
/// Reports in a second beyond that.
const REPORTS_PER_SECOND: f64 = 5_000.0;

pub(super) fn status_order(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let normal = subject.normal()?;
    if let Some(verdict) = normal.went_wrong() {
        return Ok(verdict);
    }
    let ran = &normal.ran;
    let mut worked: HashMap<ItemId, bool> = HashMap::new();
    for (at, heard) in ran.heard.iter().enumerate() {
        let Some((item, report)) = &heard.report else { continue };
        let works = worked.entry(*item).or_default();
        match report.status_type {
            Some(Status::Pending) if *works => {
                return Ok(failed_at(
                    "an item that was being worked on is `pending` again; use `paused`",
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
                "calls about an item that had ended, or that is none: {count}; the first of \
                 `succeeded`, `failed`, `skipped` and `stopped` is the last report of an item"
            ),
            ran.end(),
        )),
    }
}

pub(super) fn progress_grows(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let normal = subject.normal()?;
    if let Some(verdict) = normal.went_wrong() {
        return Ok(verdict);
    }
    let ran = &normal.ran;
    let mut last: HashMap<ItemId, (i32, i32)> = HashMap::new();
    for (at, heard) in ran.heard.iter().enumerate() {
        let Some((item, report)) = &heard.report else { continue };
        let (value, max) = last.entry(*item).or_default();
        if let Some(new) = report.max_value
            && new != *max
        {
            // Another measure: the value starts anew.
            (*value, *max) = (0, new);
        }
        let Some(new) = report.prog_value else { continue };
        if *max > 0 && new > *max {
            return Ok(failed_at(
                format!("the value {new} is above its maximum, {max}"),
                ran.around(at),
            ));
        }
        if new < *value {
            return Ok(failed_at(
                format!("the value falls from {value} to {new} under the same maximum"),
                ran.around(at),
            ));
        }
        *value = new;
    }
    Ok(match last.is_empty() {
        true => skipped("it reports nothing with this fixture"),
        false => Verdict::Passed,
    })
}

pub(super) fn no_flood(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let normal = subject.normal()?;
    if let Some(verdict) = normal.went_wrong() {
        return Ok(verdict);
    }
    let ran = &normal.ran;
    let report = &ran.report;
    if report.dropped_log_entries > 0 {
        return Ok(failed(format!(
            "it logs more than the limit: {} entries were left out; gather what is of one kind",
            report.dropped_log_entries
        )));
    }
    let seconds = ran.took.as_secs_f64();
    let most = FREE_REPORTS as f64 + REPORTS_PER_SECOND * seconds;
    Ok(match report.progress_calls as f64 > most {
        true => failed_at(
            format!(
                "{} reports in {seconds:.2} s; nobody sees more than some 25 in a second, and \
                 each costs time",
                report.progress_calls
            ),
            ran.end(),
        ),
        false => Verdict::Passed,
    })
}

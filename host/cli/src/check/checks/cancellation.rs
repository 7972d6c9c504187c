//! Checks of cancellation.

use std::thread;
use std::time::Duration;

use syncmgr_host::{
    ItemId, Outcome, ProgressResponse, RunRequest, SessionError, SessionOptions, Status,
};

use crate::check::checks::{Context, SOON, bad_end, failed, failed_at, skipped};
use crate::check::error::CheckError;
use crate::check::event::Event;
use crate::check::run::{Answer, RunOutput, continue_all, run, run_with};
use crate::check::temp_fixture::{difference, limits};
use crate::check::verdict::Verdict;

/// The number of reports of an item that are tolerated after its cancellation.
const MORE_REPORTS: usize = 3;

/// Sets the grace period.
fn patient(options: SessionOptions) -> SessionOptions {
    let mut limits = limits();
    limits.grace = SOON;
    options.limits(limits)
}

/// Returns the numbers of the reports to answer with a cancellation: the first two, and one in the
/// middle. Returns the verdict instead if the plugin cannot be cancelled.
fn moments(context: &Context<'_>) -> Result<Result<Vec<usize>, Verdict>, CheckError> {
    let baseline = context.baseline()?;
    if let Some(verdict) = baseline.failure() {
        return Ok(Err(verdict));
    }
    let working = |status: Option<Status>| !status.is_some_and(Status::is_terminal);
    let reports = baseline.ran.events.iter().filter_map(|call| call.report.as_ref());
    // The report of a terminal status is too late.
    let moments: Vec<_> = reports
        .enumerate()
        .filter(|(_, (_, report))| working(report.status_type))
        .map(|(at, _)| at + 1)
        .collect();
    let mut chosen: Vec<_> =
        [0, 1, moments.len() / 2].iter().filter_map(|at| moments.get(*at).copied()).collect();
    chosen.dedup();
    Ok(match chosen.is_empty() {
        true => Err(skipped(
            "nothing to cancel: the plugin reports only terminal statuses; use a fixture with more \
             work",
        )),
        false => Ok(chosen),
    })
}

fn answer_at(moment: usize, response: ProgressResponse) -> Answer {
    Box::new(move |_, _, nth| match nth == moment {
        true => response,
        false => ProgressResponse::Continue,
    })
}

/// Returns the problem of a run after the cancellation of an item, or of all items.
fn wrong(ran: &RunOutput, item: Option<ItemId>) -> Option<Verdict> {
    let cancelled = ran.position(|call| call.response != ProgressResponse::Continue)?;
    let name = if item.is_some() { "cancel-item" } else { "cancel-all" };
    if let Outcome::Failed(SessionError::Terminated { reason, .. }) = &ran.report.outcome
        && reason.is_cancellation()
    {
        return Some(failed_at(
            format!("the plugin continued for more than {SOON:?} after `{name}`"),
            ran.around(cancelled),
        ));
    }
    if let Some(why) = bad_end(&ran.report) {
        return Some(failed_at(why, ran.end()));
    }
    let about = |id: ItemId| item.is_none_or(|item| item == id);
    let later = &ran.events[cancelled + 1..];
    let mut working = 0;
    for (at, call) in later.iter().enumerate() {
        let Some((id, report)) = &call.report else { continue };
        if !about(*id) {
            continue;
        }
        if report.status_type.is_some_and(Status::is_terminal) {
            if item.is_some() {
                break;
            }
            continue;
        }
        working += 1;
        if working > MORE_REPORTS {
            return Some(failed_at(
                format!("the plugin still reports work after `{name}`"),
                ran.around(cancelled + 1 + at),
            ));
        }
    }
    let by_host = ran.position(|call| {
        matches!(&call.event, Event::EndedByHost { item: ended, .. }
            if item.is_none_or(|item| *ended == item.to_string()))
    });
    if let Some(at) = by_host {
        return Some(failed_at(
            format!("an item has no terminal status after `{name}`; report `skipped` or `stopped`"),
            ran.around(at),
        ));
    }
    let since = ran.events[cancelled].at;
    let end = later.iter().rev().find(|call| {
        call.report.as_ref().is_some_and(|(id, report)| {
            about(*id) && report.status_type.is_some_and(Status::is_terminal)
        })
    });
    let took = end.map(|call| call.at.duration_since(since));
    if let (Some(took), Some(_)) = (took, item)
        && took > SOON
    {
        return Some(failed_at(
            format!("the item took {took:.1?} to end after `{name}` (limit {SOON:?})"),
            ran.around(cancelled),
        ));
    }
    None
}

/// Returns the problem of the terminal status of a cancelled item.
fn wrong_end(ran: &RunOutput, item: ItemId, wanted: Status) -> Option<Verdict> {
    let status = ran.own_end(item)?;
    let fine = status == wanted || status == Status::Succeeded;
    (!fine).then(|| {
        failed_at(
            format!(
                "the terminal status of the item is `{}` instead of `{}`",
                status.name(),
                wanted.name()
            ),
            ran.end(),
        )
    })
}

/// Runs the plugin once for each moment, cancels with `response`, and returns the first problem.
fn cancel_at_moments(
    context: &Context<'_>,
    response: ProgressResponse,
    problem: impl Fn(&RunOutput) -> Option<Verdict>,
) -> Result<Verdict, CheckError> {
    let moments = match moments(context)? {
        Ok(moments) => moments,
        Err(verdict) => return Ok(verdict),
    };
    for moment in moments {
        let temp = context.temp_fixture()?;
        let options = patient(context.options(&temp)?);
        let answer = answer_at(moment, response);
        let ran = run(context.plugin, options, &RunRequest::default(), answer)?;
        if let Some(verdict) = problem(&ran) {
            return Ok(verdict);
        }
    }
    Ok(Verdict::Passed)
}

pub(super) fn cancel_item(context: &Context<'_>) -> Result<Verdict, CheckError> {
    cancel_at_moments(context, ProgressResponse::CancelItem, |ran| {
        let at = ran.position(|call| call.response == ProgressResponse::CancelItem)?;
        let (item, _) = ran.events[at].report.as_ref()?;
        // The other items continue.
        let stopped = || {
            let mut others = ran.report.items.iter().filter(|other| other.id != *item);
            let stopped =
                others.find(|other| matches!(other.status, Status::Skipped | Status::Stopped))?;
            Some(failed_at(
                format!(
                    "one item was cancelled, but the status of another one is `{}`",
                    stopped.status.name()
                ),
                ran.end(),
            ))
        };
        wrong(ran, Some(*item)).or_else(|| wrong_end(ran, *item, Status::Skipped)).or_else(stopped)
    })
}

pub(super) fn cancel_all(context: &Context<'_>) -> Result<Verdict, CheckError> {
    cancel_at_moments(context, ProgressResponse::CancelAll, |ran| {
        let mut items = ran.report.items.iter();
        wrong(ran, None).or_else(|| items.find_map(|item| wrong_end(ran, item.id, Status::Stopped)))
    })
}

pub(super) fn cancel_first(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let temp = context.temp_fixture()?;
    let before = temp.snapshot()?;
    let cancel = syncmgr_host::CancelHandle::new();
    cancel.cancel_all();
    let options = patient(context.options(&temp)?).cancel_with(cancel);
    let report =
        context.plugin.run(options, syncmgr_host::sink::Discard, &RunRequest::default())?;
    if let Some(why) = bad_end(&report) {
        return Ok(failed(why));
    }
    Ok(match difference(&before, &temp.snapshot()?) {
        Some(difference) => failed(format!(
            "all items were cancelled before the run, but {difference}; change nothing outside of \
             `synchronize`, and call `is-cancelled` or `progress` before the first change"
        )),
        None => Verdict::Passed,
    })
}

pub(super) fn cancel_between(context: &Context<'_>) -> Result<Verdict, CheckError> {
    if let Err(verdict) = moments(context)? {
        return Ok(verdict);
    }
    for delay in [0, 3, 20].map(Duration::from_millis) {
        let temp = context.temp_fixture()?;
        let options = patient(context.options(&temp)?);
        let request = RunRequest::default();
        let ran = run_with(context.plugin, options, &request, continue_all(), move |cancel| {
            thread::sleep(delay);
            cancel.cancel_all();
        })?;
        if let Outcome::Failed(SessionError::Terminated { reason, .. }) = &ran.report.outcome
            && reason.is_cancellation()
        {
            return Ok(failed_at(
                format!(
                    "the plugin did not notice the cancellation within {SOON:?}; call `progress` \
                     or `is-cancelled` more often, and include `subscribe-cancelled` in every \
                     wait"
                ),
                ran.end(),
            ));
        }
        if let Some(why) = bad_end(&ran.report) {
            return Ok(failed_at(why, ran.end()));
        }
    }
    Ok(Verdict::Passed)
}

pub(super) fn run_after_cancel(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let moment = match moments(context)? {
        Ok(moments) => moments[moments.len() - 1],
        Err(verdict) => return Ok(verdict),
    };
    let baseline = context.baseline()?;
    let temp = context.temp_fixture()?;
    let options = patient(context.options(&temp)?);
    let answer = answer_at(moment, ProgressResponse::CancelAll);
    let cancelled = run(context.plugin, options, &RunRequest::default(), answer)?;
    let ran = context.run_on(&temp)?;
    if let Some(why) = bad_end(&ran.report) {
        return Ok(failed_at(why, ran.end()));
    }
    Ok(match difference(&baseline.after, &temp.snapshot()?) {
        Some(difference) => failed_at(
            format!(
                "a run after a cancelled one has another result than a single run: {difference}"
            ),
            // The cause is in the cancelled run.
            match cancelled.position(|call| call.response != ProgressResponse::Continue) {
                Some(at) => cancelled.around(at),
                None => ran.end(),
            },
        ),
        None => Verdict::Passed,
    })
}

//! Whether a plugin stops when it is told to.

use std::thread;
use std::time::Duration;

use syncmgr_host::{
    ItemId, Limits, Outcome, ProgressResponse, RunRequest, SessionError, SessionOptions, Status,
};

use crate::checks::{SOON, Subject, bad_end, failed, failed_at, skipped};
use crate::error::KitError;
use crate::event::Event;
use crate::run::{Answer, Ran, agree, run, run_with};
use crate::stage::{difference, limits};
use crate::verdict::Verdict;

/// Reports about an item after it was cancelled: some are on their way already.
const MORE_REPORTS: usize = 3;

/// A plugin is told for so long, and then it is ended.
fn patient(options: SessionOptions) -> SessionOptions {
    options.limits(Limits { grace: SOON, ..limits() })
}

/// Which reports to answer with a cancellation: the first ones, and one in the middle.
fn moments(subject: &Subject<'_>) -> Result<Vec<usize>, KitError> {
    let ran = &subject.normal()?.ran;
    let working = |status: Option<Status>| !status.is_some_and(Status::is_terminal);
    let reports = ran.heard.iter().filter_map(|heard| heard.report.as_ref());
    // One that ends an item is too late for cancelling that.
    let moments: Vec<_> = reports
        .enumerate()
        .filter(|(_, (_, report))| working(report.status_type))
        .map(|(at, _)| at + 1)
        .collect();
    let mut chosen: Vec<_> =
        [0, 1, moments.len() / 2].iter().filter_map(|at| moments.get(*at).copied()).collect();
    chosen.dedup();
    Ok(chosen)
}

const NO_MOMENT: &str = "it makes no report before the last one of an item, so that nothing can be cancelled; a \
     fixture with more to do may help";

fn answer_at(moment: usize, response: ProgressResponse) -> Answer {
    Box::new(move |_, _, nth| match nth == moment {
        true => response,
        false => ProgressResponse::Continue,
    })
}

/// What is wrong with how a plugin went on after the cancellation of an item, or of all.
fn wrong(ran: &Ran, item: Option<ItemId>) -> Option<Verdict> {
    let cancelled = ran.position(|heard| heard.response != ProgressResponse::Continue)?;
    let name = if item.is_some() { "cancel-item" } else { "cancel-all" };
    if let Outcome::Failed(SessionError::Ended { reason, .. }) = &ran.report.outcome
        && reason.is_cancellation()
    {
        return Some(failed_at(
            format!("it went on after `{name}` for longer than {SOON:?}, and was ended"),
            ran.around(cancelled),
        ));
    }
    if let Some(why) = bad_end(&ran.report) {
        return Some(failed_at(why, ran.end()));
    }
    let about = |id: ItemId| item.is_none_or(|item| item == id);
    let later = &ran.heard[cancelled + 1..];
    let mut working = 0;
    for (at, heard) in later.iter().enumerate() {
        let Some((id, report)) = &heard.report else { continue };
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
                format!("it goes on reporting work after `{name}`"),
                ran.around(cancelled + 1 + at),
            ));
        }
    }
    let by_host = ran.position(|heard| match &heard.event {
        Event::EndedByHost { item: ended, .. } => {
            item.is_none_or(|item| *ended == item.to_string())
        }
        Event::Started { .. }
        | Event::Progress { .. }
        | Event::LogError { .. }
        | Event::DeleteLogError { .. }
        | Event::ErrorShown { .. }
        | Event::Question { .. }
        | Event::EstablishConnection { .. } => false,
    });
    if let Some(at) = by_host {
        return Some(failed_at(
            format!(
                "after `{name}` an item has no last status of the plugin's own; report `skipped` \
                 or `stopped`"
            ),
            ran.around(at),
        ));
    }
    let since = ran.heard[cancelled].at;
    let end = later.iter().rev().find(|heard| {
        heard.report.as_ref().is_some_and(|(id, report)| {
            about(*id) && report.status_type.is_some_and(Status::is_terminal)
        })
    });
    let took = end.map(|heard| heard.at.duration_since(since));
    if let (Some(took), Some(_)) = (took, item)
        && took > SOON
    {
        return Some(failed_at(
            format!("the item ended {took:.1?} after `{name}`"),
            ran.around(cancelled),
        ));
    }
    None
}

/// What an item that was cancelled may not end as.
fn wrong_end(ran: &Ran, item: ItemId, wanted: Status) -> Option<Verdict> {
    let status = ran.own_end(item)?;
    let fine = status == wanted || status == Status::Succeeded;
    (!fine).then(|| {
        failed_at(
            format!("the item ended as `{}`; it should be `{}`", status.name(), wanted.name()),
            ran.end(),
        )
    })
}

pub(super) fn cancel_item(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    if let Some(verdict) = subject.normal()?.went_wrong() {
        return Ok(verdict);
    }
    let moments = moments(subject)?;
    if moments.is_empty() {
        return Ok(skipped(NO_MOMENT));
    }
    for moment in moments {
        let stage = subject.stage()?;
        let options = patient(subject.options(&stage)?);
        let answer = answer_at(moment, ProgressResponse::CancelItem);
        let ran = run(subject.plugin, options, &RunRequest::default(), answer)?;
        let Some(at) = ran.position(|heard| heard.response == ProgressResponse::CancelItem) else {
            continue;
        };
        let Some((item, _)) = ran.heard[at].report else { continue };
        if let Some(verdict) =
            wrong(&ran, Some(item)).or_else(|| wrong_end(&ran, item, Status::Skipped))
        {
            return Ok(verdict);
        }
        // The others go on.
        let stopped = ran.report.items.iter().find(|other| {
            other.id != item && matches!(other.status, Status::Skipped | Status::Stopped)
        });
        if let Some(stopped) = stopped {
            return Ok(failed_at(
                format!(
                    "one item was cancelled, and another one ended as `{}`",
                    stopped.status.name()
                ),
                ran.end(),
            ));
        }
    }
    Ok(Verdict::Passed)
}

pub(super) fn cancel_all(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    if let Some(verdict) = subject.normal()?.went_wrong() {
        return Ok(verdict);
    }
    let moments = moments(subject)?;
    if moments.is_empty() {
        return Ok(skipped(NO_MOMENT));
    }
    for moment in moments {
        let stage = subject.stage()?;
        let options = patient(subject.options(&stage)?);
        let answer = answer_at(moment, ProgressResponse::CancelAll);
        let ran = run(subject.plugin, options, &RunRequest::default(), answer)?;
        let ends = || {
            let items = ran.report.items.iter();
            items.map(|item| item.id).find_map(|item| wrong_end(&ran, item, Status::Stopped))
        };
        if let Some(verdict) = wrong(&ran, None).or_else(ends) {
            return Ok(verdict);
        }
    }
    Ok(Verdict::Passed)
}

pub(super) fn cancel_first(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let stage = subject.stage()?;
    let before = stage.snapshot()?;
    let cancel = syncmgr_host::CancelHandle::new();
    cancel.cancel_all();
    let options = patient(subject.options(&stage)?).cancel_handle(cancel);
    let report =
        subject.plugin.run(options, syncmgr_host::sink::Discard, &RunRequest::default())?;
    if let Some(why) = bad_end(&report) {
        return Ok(failed(why));
    }
    Ok(match difference(&before, &stage.snapshot()?) {
        Some(difference) => failed(format!(
            "everything was cancelled before the run began, and {difference}; change nothing but \
             in `synchronize`, and ask `is-cancelled`, or report, before the first change"
        )),
        None => Verdict::Passed,
    })
}

pub(super) fn cancel_between(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    if let Some(verdict) = subject.normal()?.went_wrong() {
        return Ok(verdict);
    }
    if moments(subject)?.is_empty() {
        return Ok(skipped(NO_MOMENT));
    }
    for delay in [0, 3, 20].map(Duration::from_millis) {
        let stage = subject.stage()?;
        let options = patient(subject.options(&stage)?);
        let request = RunRequest::default();
        let ran = run_with(subject.plugin, options, &request, agree(), move |cancel| {
            thread::sleep(delay);
            cancel.cancel_all();
        })?;
        if let Outcome::Failed(SessionError::Ended { reason, .. }) = &ran.report.outcome
            && reason.is_cancellation()
        {
            return Ok(failed_at(
                format!(
                    "it did not learn within {SOON:?} that everything was cancelled; report, or \
                     ask `is-cancelled`, more often, and wait for `subscribe-cancelled` together \
                     with what else it waits for"
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

pub(super) fn run_after_cancel(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    if let Some(verdict) = subject.normal()?.went_wrong() {
        return Ok(verdict);
    }
    let moments = moments(subject)?;
    let Some(moment) = moments.last().copied() else { return Ok(skipped(NO_MOMENT)) };
    let normal = subject.normal()?;
    let stage = subject.stage()?;
    let options = patient(subject.options(&stage)?);
    let answer = answer_at(moment, ProgressResponse::CancelAll);
    let cancelled = run(subject.plugin, options, &RunRequest::default(), answer)?;
    let ran = subject.run_on(&stage)?;
    if let Some(why) = bad_end(&ran.report) {
        return Ok(failed_at(why, ran.end()));
    }
    Ok(match difference(&normal.after, &stage.snapshot()?) {
        Some(difference) => failed_at(
            format!(
                "cancelled and run again, it does not come to what one run comes to: {difference}"
            ),
            // What the first run did then is what misled the second one.
            match cancelled.position(|heard| heard.response != ProgressResponse::Continue) {
                Some(at) => cancelled.around(at),
                None => ran.end(),
            },
        ),
        None => Verdict::Passed,
    })
}

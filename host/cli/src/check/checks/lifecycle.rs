//! The order of calls, and what comes of them.

use syncmgr_host::sink::Discard;
use syncmgr_host::{
    ErrorId, ItemId, Outcome, Participation, PrepareOutcome, RunRequest, Selection, Session,
    SessionError, Status, SyncEvent, Trigger,
};
use uuid::Uuid;

use crate::check::checks::{Subject, bad_end, bad_error, failed, failed_at, skipped};
use crate::check::error::KitError;
use crate::check::event::Event;
use crate::check::run::{agree, run};
use crate::check::stage::difference;
use crate::check::verdict::Verdict;

const EVENTS: [(SyncEvent, &str); 6] = [
    (SyncEvent::Connect, "connect"),
    (SyncEvent::PendingDisconnect, "pending-disconnect"),
    (SyncEvent::Manual, "manual"),
    (SyncEvent::Idle, "idle"),
    (SyncEvent::Invoke, "invoke"),
    (SyncEvent::Scheduled, "scheduled"),
];

pub(super) fn any_trigger(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let stage = subject.stage()?;
    for (event, name) in EVENTS {
        for (settings, may_bother_user) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let trigger = Trigger { event, settings, may_bother_user };
            let cookie = (event == SyncEvent::Invoke).then(|| vec![0, 255, 128]);
            let mut session = subject.plugin.start_on_thread(&subject.options(&stage)?, Discard)?;
            let asked = session.call(async move |session: &mut Session| {
                if session.initialize(trigger, cookie.as_deref()).await?
                    == Participation::Participates
                {
                    session.enum_items().await?;
                }
                Ok::<_, SessionError>(())
            });
            if let Err(error) = asked.and_then(|answer| answer)
                && let Some(why) = bad_error(&error)
            {
                let mut modifiers = String::new();
                for (is_there, modifier) in
                    [(settings, "settings"), (may_bother_user, "may-bother-user")]
                {
                    if is_there {
                        modifiers = format!("{modifiers} with `{modifier}`");
                    }
                }
                return Ok(failed(format!(
                    "started by `{name}`{modifiers}: {why}; it may answer `declines` to runs that it \
                     has no part in"
                )));
            }
        }
    }
    Ok(Verdict::Passed)
}

pub(super) fn no_items(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let stage = subject.stage()?;
    let before = stage.snapshot()?;
    let request = RunRequest { selection: Selection::Only(Vec::new()), ..RunRequest::default() };
    let ran = run(subject.plugin, subject.options(&stage)?, &request, agree())?;
    if let Some(why) = bad_end(&ran.report) {
        return Ok(failed_at(why, ran.end()));
    }
    Ok(match difference(&before, &stage.snapshot()?) {
        Some(difference) => failed(format!(
            "no item was selected, and {difference}; only `synchronize` changes anything"
        )),
        None => Verdict::Passed,
    })
}

pub(super) fn unknown_ids(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    // The sync manager may skip what was never prepared, or not.
    for skips in [false, true] {
        let (answers, succeeded) = match unknown(subject, skips)? {
            Ok(answers) => answers,
            Err(error) => return Ok(failed(error.to_string())),
        };
        for (call, error) in answers {
            // It may fail, and it may do nothing. It may not die.
            if let Some(why) = error.as_ref().and_then(bad_error) {
                return Ok(failed(format!("`{call}` with an id that it never gave: {why}")));
            }
        }
        if succeeded {
            return Ok(failed(
                "it reported `succeeded` about an id that it never gave; look the id up, and report \
                 `failed`"
                    .to_owned(),
            ));
        }
    }
    Ok(Verdict::Passed)
}

type Answers = Vec<(&'static str, Option<SessionError>)>;

/// What it answered, and whether it reported an item that it never gave as done.
fn unknown(
    subject: &Subject<'_>,
    skips: bool,
) -> Result<Result<(Answers, bool), SessionError>, KitError> {
    let stage = subject.stage()?;
    let unknown = Uuid::from_u128(0x0bad_1dea_0bad_4dea_8bad_1dea_0bad_1dea);
    let mut session = subject.plugin.start_on_thread(&subject.options(&stage)?, Discard)?;
    let cancel = session.cancel_handle();
    let asked = session.call(async move |session: &mut Session| {
        if session.initialize(Trigger::MANUAL, None).await? == Participation::Declines {
            return Ok::<_, SessionError>((Vec::new(), false));
        }
        session.enum_items().await?;
        let mut answers: Answers = Vec::new();
        let mut succeeded = false;
        let item = ItemId::from_uuid(unknown);
        answers.push(("get-properties", session.properties(Some(item)).await.err()));
        let shown = session.show_error(ErrorId::from_uuid(unknown)).await;
        answers.push(("show-error", shown.err()));
        if skips {
            cancel.set_item_status(Some(item), Status::Skipped);
        }
        match session.prepare_for_sync(&[item]).await {
            Ok(PrepareOutcome::Prepared) => {
                answers.push(("synchronize", session.synchronize().await.err()));
                let report = session.report(Outcome::Completed);
                succeeded = report.items.iter().any(|one| one.status == Status::Succeeded);
            }
            Ok(PrepareOutcome::NeedsUser) => {}
            Err(error) => answers.push(("prepare-for-sync", Some(error))),
        }
        Ok((answers, succeeded))
    });
    Ok(asked.and_then(|answer| answer))
}

pub(super) fn every_item_ends(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let ran = &subject.normal()?.ran;
    if let Some(why) = bad_end(&ran.report) {
        return Ok(failed_at(why, ran.end()));
    }
    let by_host = ran.position(|heard| matches!(heard.event, Event::EndedByHost { .. }));
    if let Some(at) = by_host {
        return Ok(failed_at(
            "this item has no last status; report `succeeded`, `failed`, `skipped` or `stopped` for \
             each item that was prepared",
            ran.around(at),
        ));
    }
    Ok(match ran.report.items.is_empty() {
        true => skipped("it has no items with this fixture"),
        false => Verdict::Passed,
    })
}

pub(super) fn second_run(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let normal = subject.normal()?;
    if let Some(verdict) = normal.went_wrong() {
        return Ok(verdict);
    }
    if normal.ran.report.items.is_empty() {
        return Ok(skipped("it has no items with this fixture"));
    }
    let ended_well = |items: &[syncmgr_host::ItemReport]| {
        items.iter().all(|item| item.status == Status::Succeeded)
    };
    if !ended_well(&normal.ran.report.items) {
        return Ok(skipped("the first run did not succeed with this fixture"));
    }
    let again = subject.run_on(&normal.stage)?;
    if let Some(why) = bad_end(&again.report) {
        return Ok(failed_at(why, again.end()));
    }
    if !ended_well(&again.report.items) {
        return Ok(failed_at("the same run once more did not succeed", again.end()));
    }
    Ok(match difference(&normal.after, &normal.stage.snapshot()?) {
        Some(difference) => failed_at(
            format!("nothing had changed, and after a second run {difference}"),
            again.end(),
        ),
        None => Verdict::Passed,
    })
}

//! Checks of the order of calls and their effects.

use syncmgr_host::sink::Discard;
use syncmgr_host::{
    ErrorId, ItemId, Outcome, Participation, PrepareOutcome, RunRequest, Selection, Session,
    SessionError, Status, SyncEvent, Trigger, full_message,
};
use uuid::Uuid;

use crate::check::checks::{Context, bad_end, bad_error, failed, failed_at, skipped};
use crate::check::error::CheckError;
use crate::check::event::Event;
use crate::check::run::{continue_all, run};
use crate::check::temp_fixture::difference;
use crate::check::verdict::Verdict;

const EVENTS: [(SyncEvent, &str); 6] = [
    (SyncEvent::Connect, "connect"),
    (SyncEvent::PendingDisconnect, "pending-disconnect"),
    (SyncEvent::Manual, "manual"),
    (SyncEvent::Idle, "idle"),
    (SyncEvent::Invoke, "invoke"),
    (SyncEvent::Scheduled, "scheduled"),
];

pub(super) fn any_trigger(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let temp = context.temp_fixture()?;
    for (event, name) in EVENTS {
        for (settings, may_bother_user) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let trigger = Trigger { event, settings, may_bother_user };
            let cookie = (event == SyncEvent::Invoke).then(|| vec![0, 255, 128]);
            let mut session = context.plugin.start_on_thread(&context.options(&temp)?, Discard)?;
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
                    "triggered by `{name}`{modifiers}: {why}; return `declines` for triggers that \
                     the plugin does not support"
                )));
            }
        }
    }
    Ok(Verdict::Passed)
}

pub(super) fn no_items(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let temp = context.temp_fixture()?;
    let before = temp.snapshot()?;
    let mut request = RunRequest::default();
    request.selection = Selection::Only(Vec::new());
    let ran = run(context.plugin, context.options(&temp)?, &request, continue_all())?;
    if let Some(why) = bad_end(&ran.report) {
        return Ok(failed_at(why, ran.end()));
    }
    Ok(match difference(&before, &temp.snapshot()?) {
        Some(difference) => failed(format!(
            "no item was selected, but {difference}; change nothing outside of `synchronize`"
        )),
        None => Verdict::Passed,
    })
}

pub(super) fn unknown_ids(context: &Context<'_>) -> Result<Verdict, CheckError> {
    // The sync manager may skip an item that was never prepared.
    for skips in [false, true] {
        let (answers, succeeded) = match unknown(context, skips)? {
            Ok(answers) => answers,
            Err(error) => return Ok(failed(full_message(&error))),
        };
        for (call, error) in answers {
            // An error and no effect are fine, a crash is not.
            if let Some(why) = error.as_ref().and_then(bad_error) {
                return Ok(failed(format!("`{call}` with an unknown id: {why}")));
            }
        }
        if succeeded {
            return Ok(failed(
                "the plugin reported `succeeded` for an unknown id; look up the id, and report \
                 `failed`"
                    .to_owned(),
            ));
        }
    }
    Ok(Verdict::Passed)
}

type Answers = Vec<(&'static str, Option<SessionError>)>;

/// Returns the errors of the calls, and whether the plugin reported success for an unknown item.
fn unknown(
    context: &Context<'_>,
    skips: bool,
) -> Result<Result<(Answers, bool), SessionError>, CheckError> {
    let temp = context.temp_fixture()?;
    let unknown = Uuid::from_u128(0x0bad_1dea_0bad_4dea_8bad_1dea_0bad_1dea);
    let mut session = context.plugin.start_on_thread(&context.options(&temp)?, Discard)?;
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

pub(super) fn every_item_ends(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let ran = &context.baseline()?.ran;
    if let Some(why) = bad_end(&ran.report) {
        return Ok(failed_at(why, ran.end()));
    }
    let by_host = ran.position(|call| matches!(call.event, Event::EndedByHost { .. }));
    if let Some(at) = by_host {
        return Ok(failed_at(
            "the item has no terminal status; report `succeeded`, `failed`, `skipped` or `stopped` \
             for each prepared item",
            ran.around(at),
        ));
    }
    Ok(match ran.report.items.is_empty() {
        true => skipped("the plugin has no items with this fixture"),
        false => Verdict::Passed,
    })
}

pub(super) fn second_run(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let baseline = context.baseline()?;
    if let Some(verdict) = baseline.failure() {
        return Ok(verdict);
    }
    if baseline.ran.report.items.is_empty() {
        return Ok(skipped("the plugin has no items with this fixture"));
    }
    let ended_well = |items: &[syncmgr_host::ItemReport]| {
        items.iter().all(|item| item.status == Status::Succeeded)
    };
    if !ended_well(&baseline.ran.report.items) {
        return Ok(skipped("the first run did not succeed with this fixture"));
    }
    let again = context.run_on(&baseline.temp)?;
    if let Some(why) = bad_end(&again.report) {
        return Ok(failed_at(why, again.end()));
    }
    if !ended_well(&again.report.items) {
        return Ok(failed_at("a second run did not succeed", again.end()));
    }
    Ok(match difference(&baseline.after, &baseline.temp.snapshot()?) {
        Some(difference) => failed_at(
            format!("a second run without changes in between has another result: {difference}"),
            again.end(),
        ),
        None => Verdict::Passed,
    })
}

//! Checks of handler information and item ids.

use syncmgr_host::sink::Discard;
use syncmgr_host::{Item, ItemList, Participation, Session, SessionError, Trigger, full_message};

use crate::check::checks::{Context, failed, skipped};
use crate::check::error::CheckError;
use crate::check::temp_fixture::TempFixture;
use crate::check::verdict::Verdict;

const DECLINES: &str = "the plugin declines manual runs";

pub(super) fn handler_info(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let temp = context.temp_fixture()?;
    let mut session = context.plugin.start_on_thread(&context.options(&temp)?, Discard)?;
    let asked = session.call(async |session: &mut Session| {
        if session.initialize(Trigger::MANUAL, None).await? == Participation::Declines {
            return Ok(None);
        }
        session.handler_info().await.map(Some)
    });
    Ok(match asked.and_then(|answer| answer) {
        Ok(Some(_)) => Verdict::Passed,
        Ok(None) => skipped(DECLINES),
        Err(error) => failed(full_message(&error)),
    })
}

/// Lists the items several times in one session.
fn list(
    context: &Context<'_>,
    temp: &TempFixture,
    times: usize,
) -> Result<Result<Vec<ItemList>, String>, CheckError> {
    let mut session = context.plugin.start_on_thread(&context.options(temp)?, Discard)?;
    let listed = session.call(async move |session: &mut Session| {
        let mut lists = Vec::new();
        if session.initialize(Trigger::MANUAL, None).await? == Participation::Declines {
            return Ok::<_, SessionError>(lists);
        }
        for _ in 0..times {
            lists.push(session.enum_items().await?);
        }
        Ok(lists)
    });
    let listed = listed.and_then(|answer| answer).map_err(|error| full_message(&error));
    session.close();
    Ok(listed)
}

/// Returns an item that only the first list has.
fn without<'a>(list: &'a ItemList, other: &ItemList) -> Option<&'a Item> {
    list.items.iter().find(|item| other.items.iter().all(|one| one.id != item.id))
}

pub(super) fn stable_items(context: &Context<'_>) -> Result<Verdict, CheckError> {
    // The second session has the storage of the first one.
    let temp = context.temp_fixture()?;
    let lists = match (list(context, &temp, 2)?, list(context, &temp, 1)?) {
        (Ok(one), Ok(other)) => [one, other].concat(),
        (Err(error), _) | (_, Err(error)) => return Ok(failed(error)),
    };
    let [first, again, other] = lists.as_slice() else { return Ok(skipped(DECLINES)) };
    for (list, when) in [(again, "in the same session"), (other, "in another session")] {
        let missing = without(first, list).map(|item| (item, "is missing"));
        let new = || without(list, first).map(|item| (item, "is new"));
        if let Some((item, what)) = missing.or_else(new) {
            return Ok(failed(format!(
                "the plugin lists other items {when}: {:?} with the id {} {what}; derive ids from \
                 permanent properties of the items",
                item.name, item.id
            )));
        }
    }
    Ok(match first.items.is_empty() {
        true => skipped("the plugin has no items with this fixture"),
        false => Verdict::Passed,
    })
}

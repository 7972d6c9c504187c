//! What a plugin says about itself and its items.

use syncmgr_host::sink::Discard;
use syncmgr_host::{Item, ItemList, Participation, Session, SessionError, Trigger};

use crate::check::checks::{Subject, failed, skipped};
use crate::check::error::KitError;
use crate::check::stage::Stage;
use crate::check::verdict::Verdict;

const DECLINES: &str = "it does not take part when the user asks";

pub(super) fn handler_info(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let stage = subject.stage()?;
    let mut session = subject.plugin.start_on_thread(&subject.options(&stage)?, Discard)?;
    let asked = session.call(async |session: &mut Session| {
        if session.initialize(Trigger::MANUAL, None).await? == Participation::Declines {
            return Ok(None);
        }
        session.handler_info().await.map(Some)
    });
    Ok(match asked.and_then(|answer| answer) {
        Ok(Some(_)) => Verdict::Passed,
        Ok(None) => skipped(DECLINES),
        Err(error) => failed(error.to_string()),
    })
}

/// Lists the items so many times in one session.
fn list(
    subject: &Subject<'_>,
    stage: &Stage,
    times: usize,
) -> Result<Result<Vec<ItemList>, String>, KitError> {
    let mut session = subject.plugin.start_on_thread(&subject.options(stage)?, Discard)?;
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
    let listed = listed.and_then(|answer| answer).map_err(|error| error.to_string());
    session.close();
    Ok(listed)
}

/// An item that is in one list and not in the other.
fn without<'a>(list: &'a ItemList, other: &ItemList) -> Option<&'a Item> {
    list.items.iter().find(|item| other.items.iter().all(|one| one.id != item.id))
}

pub(super) fn stable_items(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    // What the first run keeps in its storage, the second one finds.
    let stage = subject.stage()?;
    let lists = match (list(subject, &stage, 2)?, list(subject, &stage, 1)?) {
        (Ok(one), Ok(other)) => [one, other].concat(),
        (Err(error), _) | (_, Err(error)) => return Ok(failed(error)),
    };
    let [first, again, other] = lists.as_slice() else { return Ok(skipped(DECLINES)) };
    for (list, when) in [(again, "in the same run"), (other, "in another run")] {
        let missing = without(first, list).map(|item| (item, "is not there any more"));
        let new = || without(list, first).map(|item| (item, "was not there before"));
        if let Some((item, what)) = missing.or_else(new) {
            return Ok(failed(format!(
                "asked again {when}, it lists other items: {:?} with the id {} {what}; an id belongs \
                 to one item for ever, and must follow from what the item is",
                item.name, item.id
            )));
        }
    }
    Ok(match first.items.is_empty() {
        true => skipped("it has no items with this fixture"),
        false => Verdict::Passed,
    })
}

//! What a plugin says about itself and its items.

use syncmgr_host::sink::Discard;
use syncmgr_host::{ItemList, Participation, Session, SessionError, Trigger};

use crate::checks::{Subject, failed, skipped};
use crate::error::KitError;
use crate::verdict::Verdict;

pub(super) fn handler_info(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let stage = subject.stage()?;
    let mut session = subject.plugin.start_on_thread(&subject.options(&stage)?, Discard)?;
    let asked = session.call(async |session: &mut Session| {
        session.initialize(Trigger::MANUAL, None).await?;
        session.handler_info().await
    });
    Ok(match asked.and_then(|answer| answer) {
        Ok(_) => Verdict::Passed,
        Err(error) => failed(error.to_string()),
    })
}

/// Lists the items so many times; `None`: it does not take part.
fn list(subject: &Subject<'_>, times: usize) -> Result<Result<Vec<ItemList>, String>, KitError> {
    let stage = subject.stage()?;
    let mut session = subject.plugin.start_on_thread(&subject.options(&stage)?, Discard)?;
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
    Ok(listed.and_then(|answer| answer).map_err(|error| error.to_string()))
}

pub(super) fn stable_items(subject: &Subject<'_>) -> Result<Verdict, KitError> {
    let lists = match (list(subject, 2)?, list(subject, 1)?) {
        (Ok(one), Ok(other)) => [one, other].concat(),
        (Err(error), _) | (_, Err(error)) => return Ok(failed(error)),
    };
    let [first, again, other] = lists.as_slice() else {
        return Ok(skipped("it does not take part when the user asks"));
    };
    let names = |list: &ItemList| -> Vec<_> {
        list.items.iter().map(|item| (item.id, item.name.clone())).collect()
    };
    for (list, when) in [(again, "in the same run"), (other, "in another run")] {
        if names(first) != names(list) {
            return Ok(failed(format!(
                "asked again {when}, it lists other items: {:?} at first and then {:?}; an id \
                 belongs to one item for ever, and must follow from what the item is",
                names(first),
                names(list)
            )));
        }
    }
    Ok(match first.items.is_empty() {
        true => skipped("it has no items with this fixture"),
        false => Verdict::Passed,
    })
}

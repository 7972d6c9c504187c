//! Checks of properties and error details.

use syncmgr_host::sink::Discard;
use syncmgr_host::{
    Call, ErrorCode, Participation, PrepareOutcome, PropertyValue, Session, SessionError, Trigger,
    full_message,
};

use crate::check::checks::{Context, bad_error, failed, skipped};
use crate::check::error::CheckError;
use crate::check::property::current;
use crate::check::verdict::Verdict;

/// The maximum number of items and errors to check.
const MOST: usize = 100;

const FOR_SETTINGS: Trigger = Trigger { settings: true, ..Trigger::MANUAL };

pub(super) fn properties(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let temp = context.temp_fixture()?;
    let options = context.options(&temp)?;
    let mut session = context.plugin.start_on_thread(&options, Discard)?;
    let asked = session.call(async |session: &mut Session| {
        if session.initialize(FOR_SETTINGS, None).await? == Participation::Declines {
            return Ok(skipped("the plugin declines settings sessions"));
        }
        let mut items = vec![None];
        items.extend(session.enum_items().await?.items.iter().take(MOST).map(|item| Some(item.id)));
        let mut seen = false;
        for item in items {
            let before = match session.properties(item).await {
                Ok(properties) => properties,
                Err(error) if bad_error(&error).is_none() => continue,
                Err(error) => return Err(error),
            };
            seen |= !before.is_empty();
            if let Some(why) = changes(session, item, &before).await? {
                return Ok(failed(why));
            }
            // Setting the current value changes nothing.
            let writable = before.iter().filter(|property| !property.read_only);
            let values: Vec<_> =
                writable.map(|property| (property.name.as_str(), current(property))).collect();
            if values.is_empty() {
                continue;
            }
            if let Err(error) = session.set_properties(item, &values).await {
                return Ok(failed(format!(
                    "the plugin rejects the current values of its properties: {}",
                    full_message(&error)
                )));
            }
            let after = session.properties(item).await?;
            let changed = before.iter().zip(&after).find(|(before, after)| before != after);
            if let Some((property, _)) = changed {
                return Ok(failed(format!(
                    "setting the property {:?} to its current value changed it",
                    property.name
                )));
            }
        }
        Ok(match seen {
            true => Verdict::Passed,
            false => skipped("the plugin has no properties"),
        })
    });
    Ok(verdict(asked.and_then(|answer: Result<_, SessionError>| answer)))
}

/// Returns the verdict of a session. An error that the contract permits skips the check.
fn verdict(asked: Result<Verdict, SessionError>) -> Verdict {
    asked.unwrap_or_else(|error| match bad_error(&error) {
        Some(why) => failed(why),
        None => skipped(full_message(&error)),
    })
}

/// Returns the problem if the plugin accepts changes that it must reject.
async fn changes(
    session: &mut Session,
    item: Option<syncmgr_host::ItemId>,
    before: &[syncmgr_host::Property],
) -> Result<Option<String>, SessionError> {
    let mut name = "no-such-property".to_owned();
    while before.iter().any(|property| property.name == name) {
        name.push('-');
    }
    let unknown = (name.as_str(), PropertyValue::Boolean(true));
    match session.set_properties(item, std::slice::from_ref(&unknown)).await {
        Ok(_) if before.is_empty() => {}
        Ok(_) => {
            return Ok(Some(
                "the plugin accepts a property that it does not have; return `invalid-argument`"
                    .to_owned(),
            ));
        }
        Err(error) if bad_error(&error).is_none() => {}
        Err(error) => return Err(error),
    }
    Ok(None)
}

pub(super) fn error_details(context: &Context<'_>) -> Result<Verdict, CheckError> {
    let temp = context.temp_fixture()?;
    // Without their directories, most plugins log an error.
    let options = temp.without_directories(context.plugin);
    let mut session = context.plugin.start_on_thread(&options, Discard)?;
    let asked = session.call(async |session: &mut Session| {
        if session.initialize(Trigger::MANUAL, None).await? == Participation::Declines {
            return Ok(skipped("the plugin declines manual runs"));
        }
        let list = session.enum_items().await?;
        let items: Vec<_> = list.items.iter().map(|item| item.id).collect();
        if items.is_empty() || session.prepare_for_sync(&items).await? == PrepareOutcome::NeedsUser
        {
            return Ok(skipped("the plugin has no items without its directories"));
        }
        match session.synchronize().await {
            Ok(()) => {}
            Err(error) if bad_error(&error).is_none() => {}
            Err(error) => return Err(error),
        }
        let mut errors: Vec<_> = session.log().iter().filter_map(|entry| entry.jump).collect();
        errors.truncate(MOST);
        let seen = !errors.is_empty();
        for error in errors {
            match session.show_error(error).await {
                Ok(_) => {}
                Err(SessionError::Plugin { code: ErrorCode::NotImplemented, .. }) => {
                    return Ok(failed(format!(
                        "the plugin logs an error with `enable-jump-text`, but `{}` is not \
                         implemented; implement it, or omit the flag",
                        Call::ShowError.name()
                    )));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(match seen {
            true => Verdict::Passed,
            false => skipped("the plugin logs no error with details"),
        })
    });
    Ok(verdict(asked.and_then(|answer: Result<_, SessionError>| answer)))
}

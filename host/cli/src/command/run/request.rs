//! From the command line to the request of a run.

use std::io::IsTerminal as _;
use std::time::Duration;

use syncmgr_host::{RunRequest, Selection, SyncEvent, Trigger};

use crate::args::{self, RestartPolicy, Run};
use crate::exit::UsageError;

/// The delay before a restart.
const BACKOFF: Duration = Duration::from_millis(200);

/// Returns the request. `settings` are those of the plugin, with the names of items.
pub(super) fn request(args: &Run, settings: &[(String, String)]) -> anyhow::Result<RunRequest> {
    let cookie = args.cookie.as_deref().map(bytes).transpose()?;
    let event = match (&cookie, args.trigger) {
        (Some(_), _) | (None, args::Trigger::Invoke) => SyncEvent::Invoke,
        (None, args::Trigger::Manual) => SyncEvent::Manual,
        (None, args::Trigger::Connect) => SyncEvent::Connect,
        (None, args::Trigger::PendingDisconnect) => SyncEvent::PendingDisconnect,
        (None, args::Trigger::Idle) => SyncEvent::Idle,
        (None, args::Trigger::Scheduled) => SyncEvent::Scheduled,
    };
    let on_terminal = std::io::stderr().is_terminal() && std::io::stdin().is_terminal();
    let mut request = RunRequest::default();
    let may_bother_user = on_terminal && !args.batch && !args.json;
    request.trigger = Trigger { event, settings: false, may_bother_user };
    request.cookie = cookie;
    if !args.items.is_empty() {
        request.selection = Selection::Only(selected(&args.items, settings)?);
    }
    request.retries = args.retries;
    if args.on_crash == RestartPolicy::Restart {
        request.restart_policy =
            syncmgr_host::RestartPolicy::Restart { attempts: args.restarts, backoff: BACKOFF };
    }
    Ok(request)
}

/// Parses pairs of hexadecimal digits.
fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some((digit(high)? << 4) | digit(low)?));
    let bytes = bytes.collect::<Option<_>>().filter(|_| rest.is_empty());
    bytes.ok_or_else(|| {
        UsageError(format!("invalid cookie `{hex}`: use pairs of the digits 0-9 and a-f")).into()
    })
}

/// Returns the names or ids of the selected items. A key of a job file becomes the name of its
/// item.
fn selected(items: &[String], settings: &[(String, String)]) -> anyhow::Result<Vec<String>> {
    let names: Vec<_> = settings.iter().filter(|(key, _)| key.ends_with(".name")).collect();
    let mut selected = Vec::new();
    for item in items {
        let key = format!("{item}.name");
        let given = names.iter().find(|(known, name)| *known == key && !name.is_empty());
        let is_name = names.iter().any(|(_, name)| name == item);
        let Some((_, name)) = given.filter(|_| !is_name) else {
            selected.push(item.clone());
            continue;
        };
        if names.iter().filter(|(_, other)| other == name).count() > 1 {
            return Err(UsageError(format!(
                "item `{item}` has the name `{name}` of another item; give them different names, \
                 or select by id (`syncmgr items` lists them)"
            ))
            .into());
        }
        selected.push(name.clone());
    }
    Ok(selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_pairs_of_digits() {
        for (hex, expected) in [
            ("", Some(vec![])),
            ("00ff", Some(vec![0, 255])),
            ("AbCd", Some(vec![0xAB, 0xCD])),
            ("0", None),
            ("0x", None),
            ("ä", None),
        ] {
            assert_eq!(bytes(hex).ok(), expected, "{hex:?}");
        }
    }

    #[test]
    fn an_item_is_selected_by_its_key() {
        let settings = [
            ("docs.name", "Documents"),
            ("photos.mode", "mirror"),
            ("x.name", "Twice"),
            ("y.name", "Twice"),
            ("z.name", "other"),
            ("other.name", "last"),
            ("empty.name", ""),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (item, expected) in [
            ("docs", Some("Documents")),
            ("Documents", Some("Documents")),
            ("photos", Some("photos")),
            ("x", None),
            ("Twice", Some("Twice")),
            ("other", Some("other")),
            ("empty", Some("empty")),
            ("nowhere", Some("nowhere")),
        ] {
            let found = selected(&[item.to_owned()], &settings).ok();
            assert_eq!(found, expected.map(|name| vec![name.to_owned()]), "{item}");
        }
    }
}

//! Runs the built component with the program `syncmgr`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bindings::syncmgr::plugin::statistics::{Action, ActionKind};
use crate::bindings::syncmgr::plugin::types::{LogLevel, ProgressResponse, Status};
use crate::directories::Access;
use crate::error::{Error, ErrorCode, ErrorDetail, Result};
use crate::guid::{ErrorId, ItemId};
use crate::native::http::listen;
use crate::native::outcome::{LogEntry, Report, Run};
use crate::native::script::Script;
use crate::plugin::{
    Participation, PropertiesOutcome, Property, PropertyChange, PropertyChoice, PropertyField,
    PropertyValue,
};

/// Statuses, by their names in the contract.
const STATUSES: [(&str, Status); 10] = [
    ("stopped", Status::Stopped),
    ("skipped", Status::Skipped),
    ("pending", Status::Pending),
    ("updating", Status::Updating),
    ("succeeded", Status::Succeeded),
    ("failed", Status::Failed),
    ("paused", Status::Paused),
    ("resuming", Status::Resuming),
    ("updating-indeterminate", Status::UpdatingIndeterminate),
    ("deleted", Status::Deleted),
];

const KINDS: [(&str, ActionKind); 8] = [
    ("created", ActionKind::Created),
    ("replaced", ActionKind::Replaced),
    ("attributes-set", ActionKind::AttributesSet),
    ("moved", ActionKind::Moved),
    ("deleted", ActionKind::Deleted),
    ("conflict-kept", ActionKind::ConflictKept),
    ("conflict-standing", ActionKind::ConflictStanding),
    ("skipped", ActionKind::Skipped),
];

const CODES: [(&str, ErrorCode); 16] = [
    ("failed", ErrorCode::Failed),
    ("invalid-argument", ErrorCode::InvalidArgument),
    ("unexpected", ErrorCode::Unexpected),
    ("not-implemented", ErrorCode::NotImplemented),
    ("out-of-memory", ErrorCode::OutOfMemory),
    ("access-denied", ErrorCode::AccessDenied),
    ("cancelled", ErrorCode::Cancelled),
    ("not-found", ErrorCode::NotFound),
    ("already-exists", ErrorCode::AlreadyExists),
    ("busy", ErrorCode::Busy),
    ("changed", ErrorCode::Changed),
    ("safety-stop", ErrorCode::SafetyStop),
    ("no-space", ErrorCode::NoSpace),
    ("input-output", ErrorCode::InputOutput),
    ("not-connected", ErrorCode::NotConnected),
    ("timeout", ErrorCode::Timeout),
];

fn named<T: Copy>(known: &[(&str, T)], name: &Value) -> Option<T> {
    let name = name.as_str()?;
    known.iter().find(|(one, _)| *one == name).map(|(_, value)| *value)
}

fn item(value: &Value) -> Option<ItemId> {
    value.as_str()?.parse().ok().map(ItemId::from_uuid)
}

fn error_id(value: &Value) -> Option<ErrorId> {
    value.as_str()?.parse().ok().map(ErrorId::from_uuid)
}

fn number(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

/// Returns the request for `syncmgr drive`.
fn request(script: &Script, component: &Path) -> Value {
    let directories: Vec<_> = script
        .grants
        .iter()
        .map(|granted| {
            let read_only = granted.access == Access::ReadOnly;
            json!({ "name": granted.name, "path": granted.path, "read-only": read_only })
        })
        .collect();
    let servers: Vec<_> = script
        .servers
        .iter()
        .map(|server| {
            let url = listen(server)
                .unwrap_or_else(|error| panic!("cannot serve {}: {error}", server.url));
            let read_only = server.access == Access::ReadOnly;
            json!({ "name": server.name, "url": url, "read-only": read_only })
        })
        .collect();
    let is_server = |name: &str| script.servers.iter().any(|server| server.name == name);
    let settings: Vec<_> = script.settings.iter().filter(|(name, _)| !is_server(name)).collect();
    let answers: Vec<_> = script
        .answers
        .iter()
        .map(|answer| {
            let all = answer.response == ProgressResponse::CancelAll;
            json!({
                "item": answer.item.map(|item| item.to_string()),
                "nth": answer.nth,
                "response": if all { "cancel-all" } else { "cancel-item" },
            })
        })
        .collect();
    json!({
        "component": component,
        "directories": directories,
        "storage": script.storage,
        "settings": settings,
        "servers": servers,
        "answers": answers,
        "choices": script.choices,
        "event": format!("{:?}", script.trigger.event),
        "modifiers": script.trigger.modifiers.bits(),
        "cookie": script.cookie,
        "retries": script.retries,
    })
}

/// Runs the component with `syncmgr drive`.
pub(super) fn run(script: &Script, component: &Path) -> Run {
    read(&drive(script, request(script, component)))
}

/// Returns the properties, by `syncmgr drive`.
pub(super) fn properties(
    script: &Script,
    component: &Path,
    item: Option<ItemId>,
) -> Result<Vec<Property>> {
    let mut request = request(script, component);
    request["properties"] = json!({ "item": item.map(|item| item.to_string()) });
    let answer = drive(script, request);
    failure(&answer).map_or(Ok(()), Err)?;
    Ok(list(&answer["properties"]).iter().map(property).collect())
}

/// Changes properties, by `syncmgr drive`.
pub(super) fn set_properties(
    script: &Script,
    component: &Path,
    item: Option<ItemId>,
    changes: &[PropertyChange],
) -> Result<PropertiesOutcome> {
    let change = |change: &PropertyChange| {
        let value = match &change.value {
            PropertyValue::Boolean(value) => json!({ "boolean": value }),
            PropertyValue::Integer(value) => json!({ "integer": value }),
            PropertyValue::Text(value) => json!({ "text": value }),
            PropertyValue::Choice(value) => json!({ "choice": value }),
        };
        json!({ "name": change.name, "value": value })
    };
    let mut request = request(script, component);
    let changes: Vec<_> = changes.iter().map(change).collect();
    request["properties"] =
        json!({ "item": item.map(|item| item.to_string()), "changes": changes });
    let answer = drive(script, request);
    failure(&answer).map_or(Ok(()), Err)?;
    Ok(match answer["properties-outcome"].as_str() {
        Some("item-deleted") => PropertiesOutcome::ItemDeleted,
        Some("enum-items") => PropertiesOutcome::EnumItems,
        Some(_) | None => PropertiesOutcome::Applied,
    })
}

fn property(value: &Value) -> Property {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let field = &value["field"];
    let field = if let Some(value) = field["boolean"].as_bool() {
        PropertyField::Boolean(value)
    } else if let Some(value) = field["integer"].as_i64() {
        PropertyField::Integer(value)
    } else if let Some(value) = field["text"].as_str() {
        PropertyField::Text(value.to_owned())
    } else {
        let (options, selected) = (&field["choice"]["options"], &field["choice"]["selected"]);
        let option = |option: &Value| option.as_str().unwrap_or_default().to_owned();
        PropertyField::Choice(PropertyChoice {
            options: list(options).iter().map(option).collect(),
            selected: selected.as_u64().and_then(|at| u32::try_from(at).ok()).unwrap_or(0),
        })
    };
    Property {
        name: text("name"),
        label: text("label"),
        description: value["description"].as_str().map(str::to_owned),
        field,
        read_only: value["read-only"].as_bool().unwrap_or(false),
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// Returns the error in an answer.
fn failure(answer: &Value) -> Option<Error> {
    let error = &answer["error"];
    let code = named(&CODES, &error["code"]).unwrap_or(ErrorCode::Failed);
    let message = error["message"].as_str().unwrap_or_default();
    error.is_object().then(|| Error::new(code, message))
}

/// Carries out a request with `syncmgr drive`.
fn drive(script: &Script, request: Value) -> Value {
    assert!(
        script.faults.is_empty(),
        "faults are injected only natively; leave `SYNCMGR_COMPONENT` unset for this test"
    );
    let program = std::env::var_os("SYNCMGR").unwrap_or_else(|| "syncmgr".into());
    let mut child = Command::new(&program)
        .arg("drive")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
    let written = child.stdin.take().map(|mut input| write!(input, "{request}"));
    assert!(matches!(written, Some(Ok(()))), "cannot write to `syncmgr drive`: {written:?}");
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("syncmgr: {error}"));
    assert!(output.status.success(), "`syncmgr drive` failed ({})", output.status);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("invalid answer of `syncmgr drive`: {error}"))
}

fn read(answer: &Value) -> Run {
    let mut run = Run::new();
    if answer["outcome"] == "declined" {
        run.participation = Participation::Declines;
    }
    run.error = failure(answer);
    for one in list(&answer["items"]) {
        let Some(id) = item(&one["id"]) else { continue };
        run.items.push((id, one["name"].as_str().unwrap_or_default().to_owned()));
        for (name, value) in one["counts"].as_object().into_iter().flatten() {
            run.counts.insert((id, name.clone()), value.as_u64().unwrap_or(0));
        }
    }
    for event in list(&answer["events"]) {
        let about = item(&event["item"]);
        let text = event["text"].as_str().unwrap_or_default().to_owned();
        match (event["event"].as_str(), about) {
            (Some("progress"), Some(item)) => run.reports.push(Report {
                item,
                text: event["status-text"].as_str().map(str::to_owned),
                status: named(&STATUSES, &event["status-type"]),
                value: number(&event["prog-value"]),
                max: number(&event["max-value"]),
                response: match event["response"].as_str() {
                    Some("cancel-item") => ProgressResponse::CancelItem,
                    Some("cancel-all") => ProgressResponse::CancelAll,
                    Some(_) | None => ProgressResponse::Continue,
                },
            }),
            (Some("action"), Some(item)) => {
                let text = |name: &str| event[name].as_str().map(str::to_owned);
                run.actions.extend(named(&KINDS, &event["kind"]).map(|kind| {
                    let path = text("path").unwrap_or_default();
                    let (side, size) = (text("side"), event["size"].as_u64());
                    (item, Action { kind, side, path, size, detail: text("detail") })
                }));
            }
            (Some("log-error"), item) => {
                let level = match event["level"].as_str() {
                    Some("information") => LogLevel::Information,
                    Some("warning") => LogLevel::Warning,
                    Some(_) | None => LogLevel::Error,
                };
                let (id, code) = (error_id(&event["error-id"]), named(&CODES, &event["code"]));
                run.log.push(LogEntry { level, text, item, id, code });
            }
            (Some("delete-log-error"), _) => run.delete_log(error_id(&event["error-id"])),
            (Some("establish-connection"), _) if event["failure"].is_null() => {
                run.connections.push(event["connection"].as_str().map(str::to_owned));
            }
            (Some("error-shown"), _) => {
                let retry = list(&event["retry"]).iter().filter_map(self::item).collect();
                run.details.extend(
                    error_id(&event["error-id"]).map(|id| (id, ErrorDetail { text, retry })),
                );
            }
            (Some("started"), _) => run.begin(),
            (Some(_) | None, _) => {}
        }
    }
    run
}

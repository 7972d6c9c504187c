//! The same run with the built component, by the program `syncmgr`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bindings::syncmgr::plugin::types::{LogLevel, Status};
use crate::directories::Access;
use crate::error::{Error, ErrorCode};
use crate::guid::ItemId;
use crate::plugin::Participation;
use crate::testing::{LogLine, Made, ProgressResponse, Run, SyncManager};

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

fn number(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

/// What `syncmgr drive` reads.
fn request(manager: &SyncManager, component: &Path) -> Value {
    let directories: Vec<_> = manager
        .grants
        .iter()
        .map(|granted| {
            let read_only = granted.access == Access::ReadOnly;
            json!({ "name": granted.name, "path": granted.path, "read-only": read_only })
        })
        .collect();
    let answers: Vec<_> = manager
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
        "storage": manager.storage,
        "settings": manager.settings,
        "answers": answers,
        "choices": manager.choices,
        "event": format!("{:?}", manager.trigger.event),
        "modifiers": manager.trigger.modifiers.bits(),
        "cookie": manager.cookie,
    })
}

/// Has `syncmgr drive` run it.
pub(super) fn run(manager: &SyncManager, component: &Path) -> Run {
    assert!(
        manager.faults.is_empty(),
        "faults can be had natively only; leave `SYNCMGR_COMPONENT` unset for this test"
    );
    let program = std::env::var_os("SYNCMGR").unwrap_or_else(|| "syncmgr".into());
    let mut child = Command::new(&program)
        .arg("drive")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
    let request = request(manager, component).to_string();
    let written = child.stdin.take().map(|mut input| input.write_all(request.as_bytes()));
    assert!(matches!(written, Some(Ok(()))), "`syncmgr drive` does not read: {written:?}");
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("syncmgr: {error}"));
    assert!(output.status.success(), "`syncmgr drive` failed ({})", output.status);
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("`syncmgr drive` is of another version: {error}"));
    read(&answer)
}

fn read(answer: &Value) -> Run {
    let mut run = Run::new();
    if answer["outcome"] == "declined" {
        run.participation = Participation::Declines;
    }
    let error = &answer["error"];
    if error.is_object() {
        let code = named(&CODES, &error["code"]).unwrap_or(ErrorCode::Failed);
        run.error = Some(Error::new(code, error["message"].as_str().unwrap_or_default()));
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
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
            (Some("progress"), Some(item)) => run.reports.push(Made {
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
            (Some("log-error"), item) => {
                let level = match event["level"].as_str() {
                    Some("information") => LogLevel::Information,
                    Some("warning") => LogLevel::Warning,
                    Some(_) | None => LogLevel::Error,
                };
                run.log.push(LogLine { level, text, item, code: named(&CODES, &event["code"]) });
            }
            (Some(_) | None, _) => {}
        }
    }
    run
}

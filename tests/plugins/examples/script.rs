//! A handler that executes its settings: one setting for each exported function, one command per
//! line. It logs the responses of the host as information.
//!
//! `items` contains the names of the items, separated by spaces; `name` is the name of the handler.
//! The id of an item is derived from its name. The commands are the arms of `run` and of
//! `files::run`.

#![allow(clippy::exit, clippy::print_stderr, reason = "this is what some of the tests are about")]

use std::env;
use std::str::FromStr;

use syncmgr_plugin::bindings::exports::syncmgr::plugin::synchronize as exports;
use syncmgr_plugin::bindings::syncmgr::plugin::{
    statistics, synchronize_callback as callback, types,
};
use syncmgr_plugin::{ItemId, bindings};

/// Functions that the standard library lacks, in the version of WASI that it uses.
#[allow(unsafe_code, unreachable_pub, clippy::all, reason = "wit-bindgen output")]
mod wasi_02 {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package tests:wasi;
            world wasi {
                import wasi:filesystem/preopens@0.2.12;
                import wasi:filesystem/types@0.2.12;
                import wasi:random/random@0.2.12;
            }
        ",
        world: "tests:wasi/wasi",
        generate_all,
    });
}
use wasi_02::wasi::filesystem::types as wasi;

#[path = "script/files.rs"]
mod files;
#[path = "script/names.rs"]
mod names;
#[path = "script/paths.rs"]
mod paths;

use names::{code, status};

struct Script;

type Result<T> = std::result::Result<T, types::Error>;

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn id(name: &str) -> types::Guid {
    if name == "null" {
        return types::Guid { high: 0, low: 0 };
    }
    let (high, low) = ItemId::from_name(name).as_uuid().as_u64_pair();
    types::Guid { high, low }
}

fn items() -> Vec<String> {
    setting("items").split_whitespace().map(str::to_owned).collect()
}

fn say(text: &str) {
    let info = types::LogErrorInfo { error_flags: None, error_id: None, item_id: None, code: None };
    let _ = callback::log_error(types::LogLevel::Information, text, info);
}

/// `KEY=VALUE` arguments of a command. A value ends at the next blank, and `_` stands for a blank.
struct Arguments<'a>(Vec<&'a str>);

impl Arguments<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find_map(|argument| {
            let (key, value) = argument.split_once('=')?;
            (key == name).then(|| spell(value.replace('_', " ")))
        })
    }

    fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(|text| text.parse().ok())
    }
}

/// `$token` in a text stands for the secret of that name.
fn spell(text: String) -> String {
    match env::var("token") {
        Ok(token) => text.replace("$token", &token),
        Err(_) => text,
    }
}

fn run(export: &str) -> Result<()> {
    for line in setting(export).lines() {
        let mut words = line.split_whitespace();
        let Some(command) = words.next() else { continue };
        let arguments = Arguments(words.collect());
        let item = arguments.get("item").map(|name| id(&name));
        let text = arguments.get("text").unwrap_or_default();
        match command {
            "progress" => {
                let report = types::ProgressItem {
                    status_text: arguments.get("text"),
                    status_type: arguments.get("status").map(|name| status(&name)),
                    prog_value: arguments.number("value"),
                    max_value: arguments.number("max"),
                };
                let times = arguments.number("times").unwrap_or(1_u32);
                let (item, quiet) = (item.unwrap_or(id("null")), arguments.get("quiet").is_some());
                for _ in 0..times {
                    let response = callback::progress(item, &report);
                    if !quiet {
                        say(&format!("progress: {response:?}"));
                    }
                }
            }
            "log" => {
                let level = match arguments.get("level").as_deref() {
                    Some("error") => types::LogLevel::Error,
                    Some("warning") => types::LogLevel::Warning,
                    _ => types::LogLevel::Information,
                };
                let error_id = arguments.get("id").map(|name| id(&name));
                let jump = arguments.get("jump").map(|_| types::ErrorFlags::ENABLE_JUMP_TEXT);
                let info = types::LogErrorInfo {
                    error_flags: jump,
                    error_id,
                    item_id: item,
                    code: arguments.get("code").map(|name| code(&name)),
                };
                for _ in 0..arguments.number("times").unwrap_or(1_u32) {
                    if let Err(error) = callback::log_error(level, &text, info) {
                        say(&format!("log-error: {:?}", error.code));
                    }
                }
            }
            "delete-log" => callback::delete_log_error(arguments.get("id").map(|name| id(&name))),
            "question" => {
                let question = callback::UserQuestion {
                    item_id: item,
                    text,
                    choices: arguments
                        .get("choices")
                        .unwrap_or_default()
                        .split(',')
                        .filter(|choice| !choice.is_empty())
                        .map(str::to_owned)
                        .collect(),
                    default_choice: arguments.number("default").unwrap_or(0),
                };
                match callback::question(&question) {
                    Ok(choice) => say(&format!("question: {choice}")),
                    Err(error) => say(&format!("question: {:?}", error.code)),
                }
            }
            "connect" => match callback::establish_connection(arguments.get("to").as_deref()) {
                Ok(()) => say("connect: ok"),
                Err(error) => say(&format!("connect: {:?}", error.code)),
            },
            "is-cancelled" => say(&format!("is-cancelled: {}", callback::is_cancelled(item))),
            "wait-cancelled" => {
                callback::subscribe_cancelled(item).block();
                say("wait-cancelled: ready");
            }
            "work" => {
                let item = item.unwrap_or(id("null"));
                let report = |status, value| types::ProgressItem {
                    status_text: None,
                    status_type: Some(status),
                    prog_value: Some(value),
                    max_value: None,
                };
                let steps = arguments.number("steps").unwrap_or(i32::MAX);
                let burst = arguments.number("burst").unwrap_or(i32::MAX);
                let pause = arguments.number("pause").unwrap_or(0);
                let cancelled = (0..steps).find(|&step| {
                    if step % burst == burst - 1 {
                        std::thread::sleep(std::time::Duration::from_millis(pause));
                    }
                    let response = callback::progress(item, &report(types::Status::Updating, step));
                    response != types::ProgressResponse::Continue
                });
                let end = match cancelled {
                    Some(_) => types::Status::Skipped,
                    None => types::Status::Succeeded,
                };
                callback::progress(item, &report(end, 0));
            }
            "clock" => {
                let now = std::time::SystemTime::now();
                let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                say(&format!("clock: {}", since.as_secs()));
            }
            "random" => {
                let numbers = wasi_02::wasi::random::random::get_random_bytes(8);
                say(&format!("random: {} bytes", numbers.len()));
            }
            "fill" | "append" | "resize" | "truncate" | "rewrite" | "rename" | "link"
            | "nameless" | "names" | "streams" | "listings" | "locks" | "remove" | "rmdir"
            | "mkdir" | "touch" | "hoard" | "flush" | "flush-directories" | "copies" | "lock" => {
                let outcome = files::run(command, &arguments);
                let outcome = outcome.unwrap_or_else(|error| format!("{:?}", error.kind()));
                say(&format!("{command}: {outcome}"));
            }
            "paths" => {
                let path = arguments.get("path").unwrap_or_default();
                for (function, answer) in paths::through_wasi(&path) {
                    let answer = answer.map_err(|code| code.name());
                    say(&format!("{function}: {answer:?}"));
                }
                let answer = paths::link_to(&path).map_err(|code| code.name());
                say(&format!("link to it: {answer:?}"));
            }
            "reach" => {
                let path = arguments.get("path").unwrap_or_default();
                say(&format!("reach: {:?}", paths::through_directories(&path)));
            }
            "pollables" => {
                let count = arguments.number("count").unwrap_or(0_u32);
                let held: Vec<_> =
                    (0..count).map(|_| callback::subscribe_cancelled(item)).collect();
                say(&format!("pollables: {}", held.len()));
            }
            "crash-once" => {
                if !std::path::Path::new("/storage/crashed").exists() {
                    std::fs::write("/storage/crashed", "").expect("the storage is writable");
                    panic!("once");
                }
            }
            "bytes-per-step" => statistics::set_bytes_per_step(
                item.unwrap_or(id("null")),
                arguments.number("bytes").unwrap_or(0),
            ),
            "count" => statistics::set_count(
                item.unwrap_or(id("null")),
                &arguments.get("name").unwrap_or_default(),
                arguments.number("value").unwrap_or(0),
            ),
            "actions" => {
                let action = |number| statistics::Action {
                    kind: statistics::ActionKind::Deleted,
                    side: arguments.get("side"),
                    path: format!("{}{number}", arguments.get("path").unwrap_or_default()),
                    size: Some(number),
                    detail: None,
                };
                let actions: Vec<_> =
                    (0..arguments.number("count").unwrap_or(1)).map(action).collect();
                statistics::report_actions(item.unwrap_or(id("null")), &actions);
            }
            "sleep" => std::thread::sleep(std::time::Duration::from_millis(
                arguments.number("ms").unwrap_or(0),
            )),
            "spin" => loop {
                std::hint::black_box(0);
            },
            "panic" => panic!("{text}"),
            "exit" => std::process::exit(arguments.number("status").unwrap_or(1)),
            "print" => eprintln!("{text}"),
            "allocate" => {
                let bytes = arguments.number("bytes").unwrap_or(0);
                std::hint::black_box(vec![1_u8; bytes]);
            }
            "read" => {
                let path = arguments.get("path").unwrap_or_default();
                match std::fs::read(&path) {
                    Ok(bytes) => say(&format!("read: {} bytes", bytes.len())),
                    Err(error) => say(&format!("read: {:?}", error.kind())),
                }
            }
            "write" => {
                let path = arguments.get("path").unwrap_or_default();
                match std::fs::write(&path, &text) {
                    Ok(()) => say("write: ok"),
                    Err(error) => say(&format!("write: {:?}", error.kind())),
                }
            }
            "fail" => {
                let code = code(&arguments.get("code").unwrap_or_default());
                return Err(types::Error { code, message: text });
            }
            other => panic!("there is no command {other}"),
        }
    }
    Ok(())
}

impl exports::Guest for Script {
    fn initialize(
        trigger: types::Trigger,
        cookie: Option<Vec<u8>>,
    ) -> Result<exports::Participation> {
        let modifiers = trigger.modifiers.bits();
        say(&format!("initialize: {:?} {modifiers} {cookie:?}", trigger.event));
        run("initialize")?;
        Ok(match setting("declines").is_empty() {
            true => exports::Participation::Participates,
            false => exports::Participation::Declines,
        })
    }

    fn get_handler_info() -> Result<types::HandlerInfo> {
        run("get-handler-info")?;
        let name = env::var("name").unwrap_or_else(|_| "Script".to_owned());
        Ok(types::HandlerInfo { name, flags: types::HandlerFlags::empty() })
    }

    fn enum_items() -> Result<exports::ItemList> {
        run("enum-items")?;
        let unchecked = setting("unchecked");
        let item = |name: String| types::Item {
            id: id(&name),
            flags: types::ItemFlags::empty(),
            state: match unchecked.split_whitespace().any(|one| one == name) {
                true => types::ItemState::Unchecked,
                false => types::ItemState::Checked,
            },
            name,
            last_update_time: None,
        };
        Ok(exports::ItemList {
            items: items().into_iter().map(item).collect(),
            missing_items: !setting("missing").is_empty(),
        })
    }

    fn prepare_for_sync(item_ids: Vec<types::Guid>) -> Result<exports::PrepareOutcome> {
        say(&format!("prepare-for-sync: {} items", item_ids.len()));
        run("prepare-for-sync")?;
        Ok(match setting("needs-user").is_empty() {
            true => exports::PrepareOutcome::Prepared,
            false => exports::PrepareOutcome::NeedsUser,
        })
    }

    fn synchronize() -> Result<()> {
        say("synchronize");
        run("synchronize")
    }

    fn set_item_status(item_id: Option<types::Guid>, status: types::Status) -> Result<()> {
        say(&format!("set-item-status: {} {status:?}", item_id.is_some()));
        run("set-item-status")
    }

    fn show_error(_error_id: types::Guid) -> Result<exports::ErrorDetail> {
        run("show-error")?;
        Ok(exports::ErrorDetail {
            text: setting("detail"),
            retry: setting("retry").split_whitespace().map(id).collect(),
        })
    }

    fn get_properties(_item_id: Option<types::Guid>) -> Result<Vec<exports::Property>> {
        run("get-properties")?;
        Ok(vec![exports::Property {
            name: "speed".to_owned(),
            label: "Speed".to_owned(),
            description: None,
            field: exports::PropertyField::Choice(exports::PropertyChoice {
                options: vec!["slow".to_owned(), "fast".to_owned()],
                selected: 1,
            }),
            read_only: false,
        }])
    }

    fn set_properties(
        _item_id: Option<types::Guid>,
        changes: Vec<exports::PropertyChange>,
    ) -> Result<exports::PropertiesOutcome> {
        if let Some(unknown) = changes.iter().find(|change| change.name != "speed") {
            let message = format!("there is no property {}", unknown.name);
            return Err(types::Error { code: types::ErrorCode::InvalidArgument, message });
        }
        for change in changes {
            say(&format!("set {} to {:?}", change.name, change.value));
        }
        Ok(exports::PropertiesOutcome::EnumItems)
    }
}

bindings::export_synchronize!(Script with_types_in syncmgr_plugin::bindings);

syncmgr_plugin::request!(
    r#"
    [directories]
    "*" = { access = "read-write", why = "for tests" }
    reading = { access = "read-only", why = "for tests" }
    [settings]
    "*" = "for tests"
    [secrets]
    "*" = "for tests"
    [allow]
    wall-clock = "for tests"
    randomness = "for tests"
    "#
);

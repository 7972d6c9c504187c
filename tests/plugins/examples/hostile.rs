//! A nonconforming handler. The setting `behavior` selects its behavior, `at` the export (default
//! `synchronize`), and `much` the amount. Without `behavior` it is a conforming handler.
//!
//! A successful attack is logged as `SUCCEEDED`, followed by its description.

#![allow(
    clippy::exit,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is what some of the tests are about"
)]

use std::{env, hint, thread, time::Duration};

use syncmgr_plugin::bindings;
use syncmgr_plugin::bindings::exports::syncmgr::plugin::synchronize as exports;
use syncmgr_plugin::bindings::syncmgr::plugin::{
    statistics, synchronize_callback as callback, types,
};
use types::{Guid, LogLevel, ProgressItem, ProgressResponse, Status};

#[path = "hostile/files.rs"]
mod files;
#[path = "hostile/handles.rs"]
mod handles;
#[path = "hostile/quotas.rs"]
mod quotas;
#[allow(missing_docs, unsafe_code, unused, clippy::all, reason = "wit-bindgen output")]
#[path = "hostile/system.rs"]
mod system;

struct Hostile;

type Result<T> = std::result::Result<T, types::Error>;

const A: Guid = Guid { high: 10, low: 1 };
const B: Guid = Guid { high: 10, low: 2 };
const NULL: Guid = Guid { high: 0, low: 0 };
const STRANGER: Guid = Guid { high: 99, low: 99 };
const ERROR: Guid = Guid { high: 20, low: 1 };

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn much() -> usize {
    setting("much").parse().unwrap_or(0)
}

fn nap(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

fn report(item: Guid, report: ProgressItem) -> ProgressResponse {
    callback::progress(item, &report)
}

fn quiet() -> ProgressItem {
    ProgressItem { status_text: None, status_type: None, prog_value: None, max_value: None }
}

fn status(item: Guid, status: Status) -> ProgressResponse {
    report(item, ProgressItem { status_type: Some(status), ..quiet() })
}

fn value(item: Guid, value: i32, max: i32) -> ProgressResponse {
    report(item, ProgressItem { prog_value: Some(value), max_value: Some(max), ..quiet() })
}

fn text(item: Guid, text: &str) -> ProgressResponse {
    report(item, ProgressItem { status_text: Some(text.to_owned()), ..quiet() })
}

fn no_info() -> types::LogErrorInfo {
    types::LogErrorInfo { error_flags: None, error_id: None, item_id: None, code: None }
}

fn log(text: &str) {
    let _ = callback::log_error(LogLevel::Information, text, no_info());
}

/// Logs the result of an attack.
fn attack<T, E: std::fmt::Debug>(what: &str, result: std::result::Result<T, E>) {
    match result {
        Ok(_) => log(&format!("SUCCEEDED {what}")),
        Err(error) => log(&format!("{what}: {error:?}")),
    }
}

fn failure(message: String) -> types::Error {
    types::Error { code: types::ErrorCode::Failed, message }
}

fn spin() -> ! {
    loop {
        hint::black_box(0);
    }
}

fn wait_for_cancel() {
    status(A, Status::Updating);
    while !callback::is_cancelled(None) {
        nap(5);
    }
}

fn bad_text() -> String {
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}evil\u{2066}\u{0}\r\nfake: ok\u{9b}31m".to_owned()
}

/// Performs the behavior if this is its export.
fn behavior(export: &str) -> Result<()> {
    let at = match setting("at") {
        at if at.is_empty() => "synchronize".to_owned(),
        at => at,
    };
    if at != export {
        return Ok(());
    }
    let much = much();
    match setting("behavior").as_str() {
        "spin" => spin(),
        "storm" => {
            for step in 0.. {
                value(A, step % 1000, 1000);
            }
        }
        "spin-in-storm" => {
            for step in 0..5_000 {
                value(A, step, 5_000);
            }
            spin();
        }
        "sleep" => nap(much as u64),
        "sleep-and-report" => loop {
            nap(10);
            value(A, 1, 2);
        },
        "late" => {
            wait_for_cancel();
            nap(much as u64);
        }
        "as-if-nothing" => {
            wait_for_cancel();
            for step in 0..100 {
                value(A, step, 100);
            }
        }
        "go-on" => loop {
            status(A, Status::Updating);
            nap(5);
        },
        "neighbour" => {
            status(A, Status::Updating);
            for step in 0.. {
                if value(A, step % 1000, 1000) != ProgressResponse::Continue {
                    break;
                }
                nap(5);
            }
        }
        "allocate" => {
            let mut all = Vec::new();
            loop {
                // Only its first page is used: a machine that provides pages slowly would otherwise
                // reach the limit of compute time first.
                let mut piece = Vec::with_capacity(1 << 20);
                piece.push(1_u8);
                all.push(hint::black_box(piece));
            }
        }
        "allocate-once" => drop(hint::black_box(vec![1_u8; much])),
        "text" => drop(text(A, &"x".repeat(much))),
        "log-text" => log(&"x".repeat(much)),
        "log-flood" => (0..much).for_each(|n| log(&format!("{n:0>100}"))),
        "log-and-delete" => loop {
            log("again");
            callback::delete_log_error(None);
        },
        "choices" => {
            let question = callback::UserQuestion {
                item_id: None,
                text: String::new(),
                choices: vec![String::new(); much],
                default_choice: 0,
            };
            attack("many choices", callback::question(&question));
        }
        "stdout" => (0..much).for_each(|_| println!("{}", "x".repeat(1023))),
        "stderr" => (0..much).for_each(|_| eprintln!("{}", "x".repeat(1023))),
        "counts" => {
            (0..much).for_each(|n| statistics::set_count(A, &format!("count-{n}"), n as u64))
        }
        "fill-items" => {
            let name = |number: usize| format!("{number:0>64}");
            for item in items() {
                (0..64).for_each(|number| statistics::set_count(item.id, &name(number), 1));
                text(item.id, &"x".repeat(4096));
            }
        }
        "long-texts" => loop {
            text(A, &"\u{1}".repeat(4096));
        },
        "count-names" => {
            for name in ["", "Ä", "a b", "\u{1b}[2J", &"x".repeat(65), &"x".repeat(much)] {
                statistics::set_count(A, name, u64::MAX);
            }
        }
        "strangers" => {
            for id in [NULL, STRANGER] {
                status(id, Status::Succeeded);
                statistics::set_count(id, "one", 1);
                statistics::set_bytes_per_step(id, 1);
                let info = types::LogErrorInfo { item_id: Some(id), ..no_info() };
                attack("log", callback::log_error(LogLevel::Error, "x", info));
            }
        }
        "after-terminal" => {
            status(A, Status::Succeeded);
            status(A, Status::Updating);
            value(A, 1, 2);
            text(A, "not over");
            status(B, Status::Failed);
            status(B, Status::Succeeded);
        }
        "failed-after-all" => {
            status(A, Status::Succeeded);
            status(A, Status::Failed);
        }
        "values" => {
            for (now, max) in [
                (i32::MAX, i32::MIN),
                (-1, 10),
                (11, 10),
                (5, 10),
                (1, 10),
                (i32::MAX, i32::MAX),
                (i32::MIN, 0),
            ] {
                value(A, now, max);
            }
            statistics::set_bytes_per_step(A, u64::MAX);
            value(A, i32::MAX, i32::MAX);
        }
        "bad-texts" => {
            text(A, &bad_text());
            log(&bad_text());
            return Err(failure(bad_text()));
        }
        "panic" => panic!("{}", setting("words")),
        "panic-badly" => panic!("{}", bad_text()),
        "exit" => std::process::exit(i32::try_from(much).unwrap_or(1)),
        "error" => return Err(failure("x".repeat(much))),
        "wall-clock" => log(&format!("{:?}", std::time::SystemTime::now())),
        "network" => drop(system::network()),
        "random" => log(&format!("{:?}", system::random())),
        "disclose" => {
            let secret = setting("token");
            text(A, &secret);
            log(&format!("it is {secret}!"));
            statistics::set_count(A, &secret, 1);
            println!("{secret}");
            eprintln!("{secret}");
            return Err(failure(format!("no {secret}")));
        }
        "disclose-and-panic" => panic!("{}", setting("token")),
        "" => {}
        other => {
            return match handles::behavior(other, much).or_else(|()| quotas::behavior(other, much))
            {
                Ok(done) => done,
                Err(()) => files::behavior(other, much),
            };
        }
    }
    Ok(())
}

fn item(id: Guid, name: &str) -> types::Item {
    types::Item {
        id,
        name: name.to_owned(),
        flags: types::ItemFlags::empty(),
        state: types::ItemState::Checked,
        last_update_time: None,
    }
}

fn items() -> Vec<types::Item> {
    let (a, b) = (item(A, "a"), item(B, "b"));
    match setting("items").as_str() {
        "doubled" => vec![a.clone(), a],
        "null" => vec![item(NULL, "a")],
        "many" => (1..=much()).map(|n| item(Guid { high: 1, low: n as u64 }, "x")).collect(),
        "nameless" => vec![item(A, ""), b],
        "long" => vec![item(A, &"n".repeat(much())), b],
        "bad-names" => vec![item(A, &bad_text()), item(B, "\u{0}")],
        "secret" => vec![item(A, &setting("token")), b],
        _ => vec![a, b],
    }
}

impl exports::Guest for Hostile {
    fn initialize(_: types::Trigger, _: Option<Vec<u8>>) -> Result<exports::Participation> {
        behavior("initialize")?;
        Ok(exports::Participation::Participates)
    }

    fn get_handler_info() -> Result<types::HandlerInfo> {
        behavior("get-handler-info")?;
        let name = match setting("handler").as_str() {
            "bad" => bad_text(),
            "nameless" => String::new(),
            "long" => "h".repeat(much()),
            "secret" => setting("token"),
            _ => "Hostile".to_owned(),
        };
        Ok(types::HandlerInfo { name, flags: types::HandlerFlags::empty() })
    }

    fn enum_items() -> Result<exports::ItemList> {
        behavior("enum-items")?;
        Ok(exports::ItemList { items: items(), missing_items: false })
    }

    fn prepare_for_sync(_: Vec<Guid>) -> Result<exports::PrepareOutcome> {
        behavior("prepare-for-sync")?;
        Ok(exports::PrepareOutcome::Prepared)
    }

    fn synchronize() -> Result<()> {
        behavior("synchronize")?;
        if setting("jump") == "yes" {
            let info = types::LogErrorInfo {
                error_flags: Some(types::ErrorFlags::ENABLE_JUMP_TEXT),
                error_id: Some(ERROR),
                ..no_info()
            };
            let _ = callback::log_error(LogLevel::Error, "see there", info);
        }
        // Cancelled items are left to the host, and so are all items of a silent handler.
        if setting("silent").is_empty() && !callback::is_cancelled(None) {
            for item in items() {
                status(item.id, Status::Succeeded);
            }
        }
        Ok(())
    }

    fn set_item_status(_: Option<Guid>, _: Status) -> Result<()> {
        behavior("set-item-status")
    }

    fn show_error(_: Guid) -> Result<exports::ErrorDetail> {
        behavior("show-error")?;
        let retry = match setting("retry").as_str() {
            "many" => vec![A; much()],
            "strangers" => vec![A, STRANGER],
            "always" => vec![A],
            _ => Vec::new(),
        };
        let text = if setting("retry") == "text" { "x".repeat(much()) } else { String::new() };
        Ok(exports::ErrorDetail { text, retry })
    }

    fn get_properties(_: Option<Guid>) -> Result<Vec<exports::Property>> {
        behavior("get-properties")?;
        Ok(vec![exports::Property {
            name: "token".to_owned(),
            label: setting("token"),
            description: Some(setting("token")),
            field: exports::PropertyField::Text(setting("token")),
            read_only: true,
        }])
    }

    fn set_properties(
        _: Option<Guid>,
        _: Vec<exports::PropertyChange>,
    ) -> Result<exports::PropertiesOutcome> {
        behavior("set-properties")?;
        Ok(exports::PropertiesOutcome::Applied)
    }
}

bindings::export_synchronize!(Hostile with_types_in syncmgr_plugin::bindings);

syncmgr_plugin::request!(
    r#"
    [directories]
    left = { access = "read-write", why = "for tests" }
    reading = { access = "read-only", why = "for tests" }
    locked = { access = "read-write", why = "for tests" }
    [settings]
    "*" = "for tests"
    [secrets]
    token = "for tests"
    [allow]
    wall-clock = "for tests"
    "#
);

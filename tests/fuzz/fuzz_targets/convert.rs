//! Values of a plugin, in any order: bounded, stored correctly, and without secrets.
#![no_main]

use std::collections::{HashMap, HashSet};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use syncmgr_fuzz::{
    LABEL_BYTES, SECRET, Shared, TEXT_BYTES, check_report, is_masked, is_within, status,
};
use syncmgr_host::fuzzing::{self, Callbacks};
use syncmgr_host::{
    CancelHandle, ErrorCode, ErrorDetail, ErrorId, HandlerInfo, Item, ItemId, ItemList, Limits,
    LogEntry, LogLevel, ProgressItem, ProgressResponse, Property, PropertyField, Question, Status,
};
use uuid::Uuid;

const ITEMS: u8 = 4;

/// A text of a plugin, which may be repeated and may contain secrets.
#[derive(Clone, Debug, Arbitrary)]
struct Text {
    pieces: Vec<Piece>,
    times: u16,
}

#[derive(Clone, Debug, Arbitrary)]
enum Piece {
    Plain(String),
    Secret(u8),
}

#[derive(Debug, Arbitrary)]
enum Call {
    Start(Vec<u8>),
    Progress {
        item: u8,
        text: Option<Text>,
        status: Option<u8>,
        value: Option<i32>,
        max: Option<i32>,
    },
    Log {
        level: u8,
        text: Text,
        item: Option<u8>,
        id: Option<u8>,
        jump: bool,
        code: Option<u8>,
    },
    DeleteLog(Option<u8>),
    Question {
        item: Option<u8>,
        text: Text,
        choices: Vec<Text>,
        default: u32,
    },
    Connect(Option<Text>),
    IsCancelled(Option<u8>),
    BytesPerStep(u8, u64),
    Count(u8, Text, u64),
    Action(u8, u8, Text, Option<Text>),
    Cancel(Option<u8>),
    End,
    Skip,
}

#[derive(Debug, Arbitrary)]
enum Answer {
    HandlerInfo(Text, u32),
    ItemList(Vec<(u8, Text, u32)>, u8),
    ErrorDetail(Text, Vec<u8>),
    Properties(Vec<(Text, Text, Option<Text>, Field)>),
    Printed(Vec<Text>, u8),
}

#[derive(Debug, Arbitrary)]
enum Field {
    Boolean(bool),
    Integer(i64),
    Text(Text),
    Choice(Vec<Text>, u32),
}

#[derive(Debug, Arbitrary)]
struct Input {
    /// Each consists of characters that appear in no other text.
    secrets: Vec<Vec<u8>>,
    log_entries: u8,
    log_bytes: u16,
    progress_per_second: u8,
    may_ask: bool,
    responses: Vec<u8>,
    calls: Vec<Call>,
    answers: Vec<Answer>,
}

impl Input {
    fn secrets(&self) -> Vec<String> {
        let character = |at: &u8| SECRET[usize::from(*at) % SECRET.len()];
        let secret = |text: &Vec<u8>| text.iter().take(8).map(character).collect();
        self.secrets.iter().take(4).map(secret).collect()
    }
}

impl Text {
    fn of(&self, secrets: &[String]) -> String {
        let one: String = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Plain(text) => text.replace(SECRET, "?"),
                Piece::Secret(at) => match secrets.len() {
                    0 => String::new(),
                    count => secrets[usize::from(*at) % count].clone(),
                },
            })
            .collect();
        let times = 1 + usize::from(self.times) % (1 + 80_000 / one.len().max(1));
        one.repeat(times)
    }
}

fn item_id(number: u8) -> ItemId {
    // One more than the number of items, for an unknown one; 0 is `GUID_NULL`.
    ItemId::from_uuid(Uuid::from_u128((number % (ITEMS + 2)).into()))
}

fn error_id(number: u8) -> ErrorId {
    ErrorId::from_uuid(Uuid::from_u128((number % 3).into()))
}

fn item(number: u8) -> Item {
    let name = format!("item {number}");
    Item { id: item_id(number), name, flags: 0, checked: true, last_update_time: None }
}

fn code(number: u8) -> ErrorCode {
    ErrorCode::ALL[usize::from(number) % ErrorCode::ALL.len()]
}

fn level(number: u8) -> LogLevel {
    [LogLevel::Information, LogLevel::Warning, LogLevel::Error][usize::from(number) % 3]
}

/// The expected counts.
#[derive(Debug, Default)]
struct Counted {
    calls: u64,
    progress: u64,
    refused: u64,
    /// Whether an attempt is in progress.
    open: bool,
    started: HashSet<ItemId>,
    counts: HashMap<ItemId, HashSet<String>>,
}

fn call(
    call: &Call,
    callbacks: &mut Callbacks,
    cancel: &CancelHandle,
    sink: &Shared,
    secrets: &[String],
    counted: &mut Counted,
) {
    counted.calls += 1;
    match call {
        Call::Start(numbers) => {
            counted.calls -= 1;
            let mut seen = HashSet::new();
            let numbers = numbers.iter().map(|number| 1 + number % ITEMS);
            let items: Vec<_> = numbers.filter(|number| seen.insert(*number)).map(item).collect();
            counted.started.extend(items.iter().map(|item| item.id));
            counted.open = true;
            callbacks.start(&items);
        }
        Call::Progress { item, text, status: number, value, max } => {
            let item = item_id(*item);
            let report = ProgressItem {
                status_text: text.as_ref().map(|text| text.of(secrets)),
                status_type: number.map(status),
                prog_value: *value,
                max_value: *max,
            };
            let has_ended = sink.heard().has_ended(item);
            let is_refused = !counted.open
                || !counted.started.contains(&item)
                || (has_ended && report.status_type != Some(Status::Failed));
            let was_cancelled = sink.heard().has_cancelled(item);
            let response = callbacks.progress(item, &report);
            counted.progress += 1;
            counted.refused += u64::from(is_refused);
            assert!(!is_refused || response == ProgressResponse::CancelItem);
            assert!(!was_cancelled || response != ProgressResponse::Continue);
        }
        Call::Log { level: number, text, item, id, jump, code: error } => {
            let id = id.map(error_id);
            let entry = LogEntry {
                level: level(*number),
                text: text.of(secrets),
                item: item.map(item_id),
                jump: id.filter(|_| *jump),
                id,
                code: error.map(code),
            };
            let taken = callbacks.log_error(&entry);
            let known = entry.item.is_none_or(|item| counted.started.contains(&item));
            assert_eq!(taken, known);
            counted.refused += u64::from(!known);
        }
        Call::DeleteLog(id) => callbacks.delete_log_error(id.map(error_id)),
        Call::Question { item, text, choices, default } => {
            let question = Question {
                item: item.map(item_id),
                text: text.of(secrets),
                choices: choices.iter().map(|choice| choice.of(secrets)).collect(),
                default_choice: usize::try_from(*default).unwrap_or(usize::MAX),
            };
            let possible = (1..=16).contains(&question.choices.len())
                && question.default_choice < question.choices.len();
            match callbacks.question(&question) {
                Ok(choice) => {
                    let choice = usize::try_from(choice).unwrap_or(usize::MAX);
                    assert!(possible && choice < question.choices.len());
                }
                Err(refusal) => assert!(!possible && is_masked(&refusal), "{refusal}"),
            }
        }
        Call::Connect(connection) => {
            let connection = connection.as_ref().map(|text| text.of(secrets));
            if let Err(message) = callbacks.establish_connection(connection) {
                assert!(is_masked(&message), "{message}");
            }
        }
        Call::IsCancelled(item) => {
            let _ = callbacks.is_cancelled(item.map(item_id));
        }
        Call::BytesPerStep(item, bytes) => callbacks.set_bytes_per_step(item_id(*item), *bytes),
        Call::Count(item, name, value) => {
            let (item, name) = (item_id(*item), name.of(secrets));
            counted.counts.entry(item).or_default().insert(name.clone());
            callbacks.set_count(item, name, *value);
        }
        Call::Action(item, kind, path, detail) => {
            let detail = detail.as_ref().map(|detail| detail.of(secrets));
            callbacks.report_action(item_id(*item), *kind, path.of(secrets), detail);
        }
        Call::Cancel(item) => {
            counted.calls -= 1;
            match item {
                Some(item) => cancel.cancel_item(item_id(*item)),
                None => cancel.cancel_all(),
            }
            assert!(callbacks.is_cancelled(item.map(item_id)));
            counted.calls += 1;
        }
        Call::End | Call::Skip => {
            counted.calls -= 1;
            counted.open = false;
            match call {
                Call::Skip => callbacks.skip_items(),
                _ => callbacks.end_items(),
            }
            for item in &counted.started {
                assert!(sink.heard().has_ended(*item), "{item} has no end");
            }
        }
    }
}

fn calls(input: &Input, secrets: &[String]) {
    let mut limits = Limits::default();
    limits.log_entries = input.log_entries.into();
    limits.log_bytes = input.log_bytes.into();
    limits.progress_per_second = input.progress_per_second.into();
    let sink = Shared::new(input.responses.clone());
    let cancel = CancelHandle::new();
    let listener = Box::new(sink.clone());
    let mut callbacks = Callbacks::new(listener, secrets, &limits, input.may_ask, cancel.clone());
    let mut counted = Counted::default();
    for one in input.calls.iter().take(200) {
        call(one, &mut callbacks, &cancel, &sink, secrets, &mut counted);
    }
    call(&Call::End, &mut callbacks, &cancel, &sink, secrets, &mut counted);
    let report = callbacks.report().expect("a report");
    check_report(&report, &limits);
    assert!(report.items.iter().all(|item| item.status.is_terminal()), "{report:?}");
    assert_eq!(report.items.len(), counted.started.len());
    assert_eq!(report.progress_calls, counted.progress);
    assert_eq!(report.refused_calls, counted.refused);
    assert_eq!(report.host_calls, counted.calls);
    for item in &report.items {
        assert_eq!(Some(item.status), sink.heard().status(item.id));
        let given = counted.counts.get(&item.id);
        assert!(item.counts.keys().all(|name| given.is_some_and(|given| given.contains(name))));
    }
}

fn is_name(name: &str, units: usize) -> bool {
    (1..=units).contains(&name.encode_utf16().count()) && is_masked(name)
}

fn refused(refusal: &str) {
    assert!(is_within(refusal, 4096), "{refusal}");
}

fn answer(answer: &Answer, secrets: &[String]) {
    let text = |text: &Text| text.of(secrets);
    match answer {
        Answer::HandlerInfo(name, flags) => {
            let info = HandlerInfo { name: text(name), flags: *flags };
            match fuzzing::handler_info(info, secrets) {
                Ok(info) => {
                    assert!(is_name(&info.name, 31), "{info:?}");
                    assert_eq!(info.flags, flags & 0x0F);
                }
                Err(refusal) => refused(&refusal),
            }
        }
        Answer::ItemList(items, limit) => {
            let item = |(id, name, flags): &(u8, Text, u32)| Item {
                name: text(name),
                flags: *flags,
                last_update_time: (flags & 8 != 0).then_some(1),
                ..item(*id)
            };
            let given = ItemList { items: items.iter().map(item).collect(), missing_items: true };
            match fuzzing::item_list(given, (*limit).into(), secrets) {
                Ok(list) => {
                    assert!(list.items.len() == items.len() && items.len() <= (*limit).into());
                    let ids: HashSet<_> = list.items.iter().map(|item| item.id).collect();
                    assert_eq!(ids.len(), items.len());
                    for (item, (_, _, flags)) in list.items.iter().zip(items) {
                        assert!(is_name(&item.name, 127) && !item.id.as_uuid().is_nil());
                        assert_eq!(item.flags, flags & 0x3F);
                    }
                }
                Err(refusal) => refused(&refusal),
            }
        }
        Answer::ErrorDetail(detail, retry) => {
            let known = [item_id(1), item_id(2)];
            let retry: Vec<_> = retry.iter().map(|id| item_id(*id)).collect();
            let detail = ErrorDetail { text: text(detail), retry: retry.clone() };
            match fuzzing::error_detail(detail, &known, secrets) {
                Ok(detail) => {
                    assert!(is_within(&detail.text, 65_536));
                    assert!(detail.retry.iter().all(|id| known.contains(id)));
                    assert!(detail.retry.len() <= known.len());
                    assert!(retry.iter().all(|id| detail.retry.contains(id)));
                }
                Err(refusal) => refused(&refusal),
            }
        }
        Answer::Properties(properties) => {
            let property =
                |(name, label, description, field): &(Text, Text, Option<Text>, Field)| {
                    let field = match field {
                        Field::Boolean(value) => PropertyField::Boolean(*value),
                        Field::Integer(value) => PropertyField::Integer(*value),
                        Field::Text(value) => PropertyField::Text(text(value)),
                        Field::Choice(options, selected) => PropertyField::Choice {
                            options: options.iter().map(text).collect(),
                            selected: usize::try_from(*selected).unwrap_or(usize::MAX),
                        },
                    };
                    let (name, label) = (text(name), text(label));
                    let description = description.as_ref().map(text);
                    Property { name, label, description, field, read_only: false }
                };
            match fuzzing::properties(properties.iter().map(property).collect(), secrets) {
                Ok(properties) => properties.iter().for_each(check_property),
                Err(refusal) => refused(&refusal),
            }
        }
        Answer::Printed(pieces, limit) => {
            let pieces: Vec<_> = pieces.iter().map(|piece| text(piece).into_bytes()).collect();
            let limit = usize::from(*limit);
            let printed = fuzzing::printed(&pieces, limit, secrets);
            assert!(is_masked(&printed), "{printed:?} of {secrets:?}");
            let longest = secrets.iter().map(String::len).max().unwrap_or(0);
            assert!(printed.len() <= 8 * (limit + longest), "{printed}");
        }
    }
}

fn check_property(property: &Property) {
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!((1..=64).contains(&property.name.len()) && property.name.chars().all(named));
    assert!(is_within(&property.label, LABEL_BYTES));
    assert!(property.description.iter().all(|text| is_within(text, TEXT_BYTES)));
    match &property.field {
        PropertyField::Boolean(_) | PropertyField::Integer(_) => {}
        PropertyField::Text(text) => assert!(is_within(text, TEXT_BYTES)),
        PropertyField::Choice { options, selected } => {
            assert!(options.len() <= 256 && *selected < options.len());
            assert!(options.iter().all(|text| is_within(text, LABEL_BYTES)));
        }
    }
}

fuzz_target!(|input: Input| {
    let secrets = input.secrets();
    calls(&input, &secrets);
    input.answers.iter().take(20).for_each(|one| answer(one, &secrets));
});

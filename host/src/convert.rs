//! Converts between the generated types and the types of this library. All data from a plugin is
//! bounded here: clamped if a reasonable reading exists, refused otherwise.

mod properties;

use std::collections::HashSet;

use uuid::Uuid;

use crate::bindings::{exports, statistics, synchronize_callback as callback, types as wit};
use crate::id::{ErrorId, ItemId};
use crate::redact::Secrets;
use crate::types::ErrorCode;
use crate::types::{
    Action, ActionKind, ErrorDetail, HandlerInfo, Item, ItemList, LogEntry, LogLevel,
    Participation, PrepareOutcome, ProgressItem, ProgressResponse, Question, Status, SyncEvent,
    Trigger,
};

pub(crate) use properties::{properties, properties_outcome, property_change};

/// `MAX_SYNCMGRHANDLERNAME` without the NUL, in UTF-16 code units.
const HANDLER_NAME_UNITS: usize = 31;
/// `MAX_SYNCMGRITEMNAME` without the NUL, in UTF-16 code units.
const ITEM_NAME_UNITS: usize = 127;
/// The maximum length of texts of progress, log entries and questions, in bytes.
pub(crate) const TEXT_BYTES: usize = 4096;
/// The maximum length of labels, descriptions and choices, in bytes.
const LABEL_BYTES: usize = 256;
/// The maximum length of error details, in bytes.
const DETAIL_BYTES: usize = 65_536;
const MAX_CHOICES: usize = 16;
/// The maximum length of the side of an action, in bytes.
const SIDE_BYTES: usize = 64;

/// The violated rule of the contract.
pub(crate) type Refusal = String;

/// Truncates a text to a number of bytes, at a character boundary.
pub(crate) fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// Truncates a name to a number of UTF-16 code units, at a character boundary.
fn cut_units(mut name: String, limit: usize) -> String {
    let mut units = 0;
    for (at, character) in name.char_indices() {
        units += character.len_utf16();
        if units > limit {
            name.truncate(at);
            break;
        }
    }
    name
}

#[inline]
pub(crate) const fn item_id(guid: wit::Guid) -> ItemId {
    ItemId::from_uuid(Uuid::from_u64_pair(guid.high, guid.low))
}

pub(crate) const fn error_id(guid: wit::Guid) -> ErrorId {
    ErrorId::from_uuid(Uuid::from_u64_pair(guid.high, guid.low))
}

pub(crate) const fn guid(uuid: Uuid) -> wit::Guid {
    let (high, low) = uuid.as_u64_pair();
    wit::Guid { high, low }
}

pub(crate) fn trigger(trigger: Trigger) -> wit::Trigger {
    let mut modifiers = wit::SyncModifiers::empty();
    if trigger.settings {
        modifiers |= wit::SyncModifiers::SETTINGS;
    }
    if trigger.may_bother_user {
        modifiers |= wit::SyncModifiers::MAY_BOTHER_USER;
    }
    let event = match trigger.event {
        SyncEvent::Connect => wit::SyncEvent::Connect,
        SyncEvent::PendingDisconnect => wit::SyncEvent::PendingDisconnect,
        SyncEvent::Manual => wit::SyncEvent::Manual,
        SyncEvent::Idle => wit::SyncEvent::Idle,
        SyncEvent::Invoke => wit::SyncEvent::Invoke,
        SyncEvent::Scheduled => wit::SyncEvent::Scheduled,
    };
    wit::Trigger { event, modifiers }
}

pub(crate) const fn participation(participation: exports::Participation) -> Participation {
    match participation {
        exports::Participation::Participates => Participation::Participates,
        exports::Participation::Declines => Participation::Declines,
    }
}

pub(crate) const fn prepare_outcome(outcome: exports::PrepareOutcome) -> PrepareOutcome {
    match outcome {
        exports::PrepareOutcome::Prepared => PrepareOutcome::Prepared,
        exports::PrepareOutcome::NeedsUser => PrepareOutcome::NeedsUser,
    }
}

pub(crate) const fn error_code(code: wit::ErrorCode) -> ErrorCode {
    match code {
        wit::ErrorCode::Failed => ErrorCode::Failed,
        wit::ErrorCode::InvalidArgument => ErrorCode::InvalidArgument,
        wit::ErrorCode::Unexpected => ErrorCode::Unexpected,
        wit::ErrorCode::NotImplemented => ErrorCode::NotImplemented,
        wit::ErrorCode::OutOfMemory => ErrorCode::OutOfMemory,
        wit::ErrorCode::AccessDenied => ErrorCode::AccessDenied,
        wit::ErrorCode::Cancelled => ErrorCode::Cancelled,
        wit::ErrorCode::NotFound => ErrorCode::NotFound,
        wit::ErrorCode::AlreadyExists => ErrorCode::AlreadyExists,
        wit::ErrorCode::Busy => ErrorCode::Busy,
        wit::ErrorCode::Changed => ErrorCode::Changed,
        wit::ErrorCode::SafetyStop => ErrorCode::SafetyStop,
        wit::ErrorCode::NoSpace => ErrorCode::NoSpace,
        wit::ErrorCode::InputOutput => ErrorCode::InputOutput,
        wit::ErrorCode::NotConnected => ErrorCode::NotConnected,
        wit::ErrorCode::Timeout => ErrorCode::Timeout,
    }
}

pub(crate) const fn wit_error_code(code: ErrorCode) -> wit::ErrorCode {
    match code {
        ErrorCode::Failed => wit::ErrorCode::Failed,
        ErrorCode::InvalidArgument => wit::ErrorCode::InvalidArgument,
        ErrorCode::Unexpected => wit::ErrorCode::Unexpected,
        ErrorCode::NotImplemented => wit::ErrorCode::NotImplemented,
        ErrorCode::OutOfMemory => wit::ErrorCode::OutOfMemory,
        ErrorCode::AccessDenied => wit::ErrorCode::AccessDenied,
        ErrorCode::Cancelled => wit::ErrorCode::Cancelled,
        ErrorCode::NotFound => wit::ErrorCode::NotFound,
        ErrorCode::AlreadyExists => wit::ErrorCode::AlreadyExists,
        ErrorCode::Busy => wit::ErrorCode::Busy,
        ErrorCode::Changed => wit::ErrorCode::Changed,
        ErrorCode::SafetyStop => wit::ErrorCode::SafetyStop,
        ErrorCode::NoSpace => wit::ErrorCode::NoSpace,
        ErrorCode::InputOutput => wit::ErrorCode::InputOutput,
        ErrorCode::NotConnected => wit::ErrorCode::NotConnected,
        ErrorCode::Timeout => wit::ErrorCode::Timeout,
    }
}

pub(crate) fn wit_error(code: ErrorCode, message: impl Into<String>) -> wit::Error {
    wit::Error { code: wit_error_code(code), message: message.into() }
}

#[inline]
pub(crate) const fn status(status: wit::Status) -> Status {
    match status {
        wit::Status::Stopped => Status::Stopped,
        wit::Status::Skipped => Status::Skipped,
        wit::Status::Pending => Status::Pending,
        wit::Status::Updating => Status::Updating,
        wit::Status::Succeeded => Status::Succeeded,
        wit::Status::Failed => Status::Failed,
        wit::Status::Paused => Status::Paused,
        wit::Status::Resuming => Status::Resuming,
        wit::Status::UpdatingIndeterminate => Status::UpdatingIndeterminate,
        wit::Status::Deleted => Status::Deleted,
    }
}

pub(crate) const fn wit_status(status: Status) -> wit::Status {
    match status {
        Status::Stopped => wit::Status::Stopped,
        Status::Skipped => wit::Status::Skipped,
        Status::Pending => wit::Status::Pending,
        Status::Updating => wit::Status::Updating,
        Status::Succeeded => wit::Status::Succeeded,
        Status::Failed => wit::Status::Failed,
        Status::Paused => wit::Status::Paused,
        Status::Resuming => wit::Status::Resuming,
        Status::UpdatingIndeterminate => wit::Status::UpdatingIndeterminate,
        Status::Deleted => wit::Status::Deleted,
    }
}

#[inline]
pub(crate) const fn wit_response(response: ProgressResponse) -> wit::ProgressResponse {
    match response {
        ProgressResponse::Continue => wit::ProgressResponse::Continue,
        ProgressResponse::CancelItem => wit::ProgressResponse::CancelItem,
        ProgressResponse::CancelAll => wit::ProgressResponse::CancelAll,
    }
}

/// Redacts and truncates a text.
fn seen(text: String, bytes: usize, secrets: &Secrets) -> String {
    cut(secrets.redact(text), bytes)
}

#[inline]
pub(crate) fn progress_item(item: wit::ProgressItem, secrets: &Secrets) -> ProgressItem {
    bounded(ProgressItem {
        status_text: item.status_text.map(|text| secrets.redact(text)),
        status_type: item.status_type.map(status),
        prog_value: item.prog_value,
        max_value: item.max_value,
    })
}

/// Clamps every field of a report to its range.
#[inline]
pub(crate) fn bounded(item: ProgressItem) -> ProgressItem {
    ProgressItem {
        status_text: item.status_text.map(|text| cut(text, TEXT_BYTES)),
        status_type: item.status_type,
        prog_value: item.prog_value.map(|value| value.max(0)),
        max_value: item.max_value.map(|value| value.max(0)),
    }
}

const fn action_kind(kind: statistics::ActionKind) -> ActionKind {
    match kind {
        statistics::ActionKind::Created => ActionKind::Created,
        statistics::ActionKind::Replaced => ActionKind::Replaced,
        statistics::ActionKind::AttributesSet => ActionKind::AttributesSet,
        statistics::ActionKind::Moved => ActionKind::Moved,
        statistics::ActionKind::Deleted => ActionKind::Deleted,
        statistics::ActionKind::ConflictKept => ActionKind::ConflictKept,
        statistics::ActionKind::ConflictStanding => ActionKind::ConflictStanding,
        statistics::ActionKind::Skipped => ActionKind::Skipped,
    }
}

pub(crate) fn action(action: statistics::Action, secrets: &Secrets) -> Action {
    Action {
        kind: action_kind(action.kind),
        side: action.side.map(|side| seen(side, SIDE_BYTES, secrets)),
        path: seen(action.path, TEXT_BYTES, secrets),
        size: action.size,
        detail: action.detail.map(|detail| seen(detail, TEXT_BYTES, secrets)),
    }
}

pub(crate) fn log_entry(
    level: wit::LogLevel,
    text: String,
    info: &wit::LogErrorInfo,
    secrets: &Secrets,
) -> LogEntry {
    let id = info.error_id.map(error_id);
    let jumps =
        info.error_flags.is_some_and(|flags| flags.contains(wit::ErrorFlags::ENABLE_JUMP_TEXT));
    LogEntry {
        level: match level {
            wit::LogLevel::Information => LogLevel::Information,
            wit::LogLevel::Warning => LogLevel::Warning,
            wit::LogLevel::Error => LogLevel::Error,
        },
        text: seen(text, TEXT_BYTES, secrets),
        item: info.item_id.map(item_id),
        jump: id.filter(|_| jumps),
        id,
        code: info.code.map(error_code),
    }
}

pub(crate) fn question(
    question: callback::UserQuestion,
    secrets: &Secrets,
) -> Result<Question, Refusal> {
    let count = question.choices.len();
    if !(1..=MAX_CHOICES).contains(&count) {
        return Err(format!("a question has 1 to {MAX_CHOICES} choices, not {count}"));
    }
    let default_choice = index(question.default_choice, count).ok_or_else(|| {
        format!("default-choice {} is not the index of a choice", question.default_choice)
    })?;
    Ok(Question {
        item: question.item_id.map(item_id),
        text: seen(question.text, TEXT_BYTES, secrets),
        choices: question
            .choices
            .into_iter()
            .map(|text| seen(text, LABEL_BYTES, secrets))
            .collect(),
        default_choice,
    })
}

fn index(index: u32, count: usize) -> Option<usize> {
    usize::try_from(index).ok().filter(|&index| index < count)
}

pub(crate) fn handler_info(
    info: wit::HandlerInfo,
    secrets: &Secrets,
) -> Result<HandlerInfo, Refusal> {
    let name = cut_units(secrets.redact(info.name), HANDLER_NAME_UNITS);
    if name.is_empty() {
        return Err("the handler's name is empty".to_owned());
    }
    let flags = [
        (wit::HandlerFlags::HAS_PROPERTIES, 1),
        (wit::HandlerFlags::MAY_ESTABLISH_CONNECTION, 2),
        (wit::HandlerFlags::ALWAYS_LIST_HANDLER, 4),
        (wit::HandlerFlags::HIDDEN, 8),
    ]
    .into_iter()
    .filter(|&(flag, _)| info.flags.contains(flag))
    .fold(0, |bits, (_, bit)| bits | bit);
    Ok(HandlerInfo { name, flags })
}

pub(crate) fn item_list(
    list: exports::ItemList,
    max_items: u64,
    secrets: &Secrets,
) -> Result<ItemList, Refusal> {
    if list.items.len() as u64 > max_items {
        return Err(format!(
            "{} items exceed the limit of {max_items}; raise `items` to allow it",
            list.items.len()
        ));
    }
    let mut seen = HashSet::with_capacity(list.items.len());
    let items = list.items.into_iter().map(|one| {
        let item = item(one, secrets)?;
        match seen.insert(item.id) {
            true => Ok(item),
            false => Err(format!("duplicate item id {}", item.id)),
        }
    });
    Ok(ItemList {
        items: items.collect::<Result<_, Refusal>>()?,
        missing_items: list.missing_items,
    })
}

fn item(item: wit::Item, secrets: &Secrets) -> Result<Item, Refusal> {
    let id = item_id(item.id);
    if id.as_uuid().is_nil() {
        return Err("an item has the id GUID_NULL".to_owned());
    }
    let name = cut_units(secrets.redact(item.name), ITEM_NAME_UNITS);
    if name.is_empty() {
        return Err(format!("the name of the item {id} is empty"));
    }
    let mut flags = [
        (wit::ItemFlags::HAS_PROPERTIES, 1),
        (wit::ItemFlags::TEMPORARY, 2),
        (wit::ItemFlags::ROAMING_USER, 4),
        (wit::ItemFlags::MAY_DELETE_ITEM, 0x10),
        (wit::ItemFlags::HIDDEN, 0x20),
    ]
    .into_iter()
    .filter(|&(flag, _)| item.flags.contains(flag))
    .fold(0, |bits, (_, bit)| bits | bit);
    if item.last_update_time.is_some() {
        flags |= 8;
    }
    let checked = match item.state {
        wit::ItemState::Unchecked => false,
        wit::ItemState::Checked => true,
    };
    Ok(Item { id, name, flags, checked, last_update_time: item.last_update_time })
}

pub(crate) fn error_detail(
    detail: exports::ErrorDetail,
    known: impl Fn(ItemId) -> bool,
    secrets: &Secrets,
) -> Result<ErrorDetail, Refusal> {
    let mut retry: Vec<ItemId> = Vec::new();
    let mut seen_before = HashSet::new();
    for id in detail.retry.into_iter().map(item_id) {
        if !known(id) {
            return Err(format!("the item {id} to retry is not part of the run"));
        }
        if seen_before.insert(id) {
            retry.push(id);
        }
    }
    Ok(ErrorDetail { text: seen(detail.text, DETAIL_BYTES, secrets), retry })
}

#[cfg(test)]
mod tests;

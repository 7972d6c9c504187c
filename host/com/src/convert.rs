//! Conversions between the host's data and the native structures.

#![allow(unsafe_code, reason = "native structures hold pointers")]

use std::ptr::{null, null_mut};

use syncmgr_host::{
    ErrorId, HandlerInfo, Item, ItemId, LogEntry, LogLevel, ProgressItem, Status, SyncEvent,
    Trigger,
};
use uuid::Uuid;
use windows_core::GUID;

use crate::interfaces::{
    FILETIME, GUID_NULL, MAX_SYNCMGRHANDLERNAME, MAX_SYNCMGRITEMNAME,
    SYNCMGRERRORFLAG_ENABLEJUMPTEXT, SYNCMGRFLAG_EVENTMASK, SYNCMGRFLAG_MAYBOTHERUSER,
    SYNCMGRFLAG_SETTINGS, SYNCMGRHANDLERINFO, SYNCMGRITEM, SYNCMGRITEM_LASTUPDATETIME,
    SYNCMGRITEMSTATE_CHECKED, SYNCMGRITEMSTATE_UNCHECKED, SYNCMGRLOGERROR_ERRORFLAGS,
    SYNCMGRLOGERROR_ERRORID, SYNCMGRLOGERROR_ITEMID, SYNCMGRLOGERRORINFO, SYNCMGRPROGRESSITEM,
    SYNCMGRPROGRESSITEM_MAXVALUE, SYNCMGRPROGRESSITEM_PROGVALUE, SYNCMGRPROGRESSITEM_STATUSTEXT,
    SYNCMGRPROGRESSITEM_STATUSTYPE, size_of_structure,
};

/// The maximum number of UTF-16 code units read from a native handler's text.
const TEXT_UNITS: usize = 64 << 10;

pub(crate) const fn guid(uuid: Uuid) -> GUID {
    GUID::from_u128(uuid.as_u128())
}

pub(crate) const fn uuid(guid: GUID) -> Uuid {
    Uuid::from_u128(guid.to_u128())
}

/// Returns `None` for `GUID_NULL`.
pub(crate) fn item_id(guid: GUID) -> Option<ItemId> {
    (guid != GUID_NULL).then(|| ItemId::from_uuid(uuid(guid)))
}

/// Returns `None` for `GUID_NULL`.
pub(crate) fn error_id(guid: GUID) -> Option<ErrorId> {
    (guid != GUID_NULL).then(|| ErrorId::from_uuid(uuid(guid)))
}

/// Converts `dwSyncMgrFlags` to a trigger. An unknown event counts as manual.
pub(crate) const fn trigger(flags: u32) -> Trigger {
    let event = match flags & SYNCMGRFLAG_EVENTMASK {
        1 => SyncEvent::Connect,
        2 => SyncEvent::PendingDisconnect,
        4 => SyncEvent::Idle,
        5 => SyncEvent::Invoke,
        6 => SyncEvent::Scheduled,
        _manual_or_unknown => SyncEvent::Manual,
    };
    Trigger {
        event,
        settings: flags & SYNCMGRFLAG_SETTINGS != 0,
        may_bother_user: flags & SYNCMGRFLAG_MAYBOTHERUSER != 0,
    }
}

/// Converts a trigger to `dwSyncMgrFlags`.
pub(crate) const fn flags(trigger: Trigger) -> u32 {
    let event = match trigger.event {
        SyncEvent::Connect => 1,
        SyncEvent::PendingDisconnect => 2,
        SyncEvent::Manual => 3,
        SyncEvent::Idle => 4,
        SyncEvent::Invoke => 5,
        SyncEvent::Scheduled => 6,
    };
    let settings = if trigger.settings { SYNCMGRFLAG_SETTINGS } else { 0 };
    let user = if trigger.may_bother_user { SYNCMGRFLAG_MAYBOTHERUSER } else { 0 };
    event | settings | user
}

/// Converts a `SYNCMGRSTATUS`, which is an ordinal and not a bit.
pub(crate) const fn status(number: u32) -> Option<Status> {
    Some(match number {
        0 => Status::Stopped,
        1 => Status::Skipped,
        2 => Status::Pending,
        3 => Status::Updating,
        4 => Status::Succeeded,
        5 => Status::Failed,
        6 => Status::Paused,
        7 => Status::Resuming,
        8 => Status::UpdatingIndeterminate,
        0x100 => Status::Deleted,
        _unknown => return None,
    })
}

pub(crate) fn handler_info(info: &HandlerInfo) -> SYNCMGRHANDLERINFO {
    SYNCMGRHANDLERINFO {
        cbSize: size_of_structure::<SYNCMGRHANDLERINFO>(),
        hIcon: null_mut(),
        SyncMgrHandlerFlags: info.flags,
        wszHandlerName: name::<MAX_SYNCMGRHANDLERNAME>(&info.name),
    }
}

pub(crate) fn item(item: &Item) -> SYNCMGRITEM {
    let time = item.last_update_time.unwrap_or(0);
    SYNCMGRITEM {
        cbSize: size_of_structure::<SYNCMGRITEM>(),
        dwFlags: item.flags,
        ItemID: guid(item.id.as_uuid()),
        dwItemState: match item.checked {
            true => SYNCMGRITEMSTATE_CHECKED,
            false => SYNCMGRITEMSTATE_UNCHECKED,
        },
        hIcon: null_mut(),
        wszItemName: name::<MAX_SYNCMGRITEMNAME>(&item.name),
        ftLastUpdate: FILETIME {
            dwLowDateTime: u32::try_from(time & u64::from(u32::MAX)).unwrap_or(0),
            dwHighDateTime: u32::try_from(time >> 32).unwrap_or(0),
        },
    }
}

/// Converts an item of a native handler. Returns `None` if it has no id or no name.
pub(crate) fn item_from_native(item: &SYNCMGRITEM) -> Option<Item> {
    let FILETIME { dwLowDateTime, dwHighDateTime } = item.ftLastUpdate;
    let time = u64::from(dwHighDateTime) << 32 | u64::from(dwLowDateTime);
    Some(Item {
        id: item_id(item.ItemID)?,
        name: name_from_native(&item.wszItemName)?,
        flags: item.dwFlags,
        checked: item.dwItemState == SYNCMGRITEMSTATE_CHECKED,
        last_update_time: (item.dwFlags & SYNCMGRITEM_LASTUPDATETIME != 0).then_some(time),
    })
}

/// Reads a name from an array; the terminating NUL is optional. Returns `None` for an empty name.
pub(crate) fn name_from_native(units: &[u16]) -> Option<String> {
    let name = units.split(|&unit| unit == 0).next().filter(|name| !name.is_empty());
    name.map(String::from_utf16_lossy)
}

/// Converts to a NUL-terminated name, truncated at a character boundary if it is too long.
fn name<const UNITS: usize>(text: &str) -> [u16; UNITS] {
    let mut units = [0; UNITS];
    let mut at = 0;
    let mut encoded = [0; 2];
    for character in text.chars() {
        let encoded = character.encode_utf16(&mut encoded);
        if at + encoded.len() >= UNITS {
            break;
        }
        for unit in encoded {
            units[at] = visible(*unit);
            at += 1;
        }
    }
    units
}

/// Encodes a text as NUL-terminated UTF-16.
pub(crate) fn utf16(text: &str) -> Vec<u16> {
    let mut units = Vec::new();
    encode(text, &mut units);
    units
}

/// Encodes a text as NUL-terminated UTF-16 in a reusable buffer.
pub(crate) fn encode(text: &str, buffer: &mut Vec<u16>) {
    buffer.clear();
    buffer.extend(text.encode_utf16().map(visible));
    buffer.push(0);
}

/// Replaces NUL, which would end the text too early.
const fn visible(unit: u16) -> u16 {
    const REPLACEMENT_CHARACTER: u16 = 0xFFFD;
    if unit == 0 { REPLACEMENT_CHARACTER } else { unit }
}

/// Reads NUL-terminated text. Returns `None` for NULL. Text longer than [`TEXT_UNITS`] is
/// truncated.
///
/// # Safety
/// The pointer is NULL or to NUL-terminated UTF-16.
pub(crate) unsafe fn text(pointer: *const u16) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    let mut units = Vec::new();
    while units.len() < TEXT_UNITS {
        // SAFETY: no earlier unit is the NUL, so this one belongs to the text.
        let unit = unsafe { pointer.add(units.len()) };
        // SAFETY: as above.
        let unit = unsafe { unit.read_unaligned() };
        if unit == 0 {
            break;
        }
        units.push(unit);
    }
    Some(String::from_utf16_lossy(&units))
}

/// Converts the report of a native `Progress` call. NULL is an empty report.
///
/// # Safety
/// The pointer is NULL or to a `SYNCMGRPROGRESSITEM` whose text is valid if its bit is set.
pub(crate) unsafe fn progress_item(pointer: *const SYNCMGRPROGRESSITEM) -> ProgressItem {
    if pointer.is_null() {
        return ProgressItem::default();
    }
    // SAFETY: the caller guarantees that the structure is valid.
    let native = unsafe { pointer.read_unaligned() };
    let given = |bit: u32| native.mask & bit != 0;
    let status_text = match given(SYNCMGRPROGRESSITEM_STATUSTEXT) {
        // SAFETY: the text is valid if its bit is set. Otherwise the pointer may be anything.
        true => unsafe { text(native.lpcStatusText) },
        false => None,
    };
    ProgressItem {
        status_text,
        status_type: Some(native.dwStatusType)
            .filter(|_| given(SYNCMGRPROGRESSITEM_STATUSTYPE))
            .and_then(status),
        prog_value: given(SYNCMGRPROGRESSITEM_PROGVALUE).then_some(native.iProgValue),
        max_value: given(SYNCMGRPROGRESSITEM_MAXVALUE).then_some(native.iMaxValue),
    }
}

/// Returns the structure passed to `LogError` along with the level and the text.
pub(crate) fn log_error_info(entry: &LogEntry) -> SYNCMGRLOGERRORINFO {
    let id = entry.jump.or(entry.id);
    let mut mask = 0;
    if entry.jump.is_some() {
        mask |= SYNCMGRLOGERROR_ERRORFLAGS;
    }
    if id.is_some() {
        mask |= SYNCMGRLOGERROR_ERRORID;
    }
    if entry.item.is_some() {
        mask |= SYNCMGRLOGERROR_ITEMID;
    }
    SYNCMGRLOGERRORINFO {
        cbSize: size_of_structure::<SYNCMGRLOGERRORINFO>(),
        mask,
        dwSyncMgrErrorFlags: match entry.jump {
            Some(_) => SYNCMGRERRORFLAG_ENABLEJUMPTEXT,
            None => 0,
        },
        ErrorID: id.map_or(GUID_NULL, |id| guid(id.as_uuid())),
        ItemID: entry.item.map_or(GUID_NULL, |item| guid(item.as_uuid())),
    }
}

/// Converts the entry of a native `LogError` call. An unknown level counts as the highest.
///
/// # Safety
/// The text and the structure are NULL or valid.
pub(crate) unsafe fn log_entry(
    level: u32,
    message: *const u16,
    info: *const SYNCMGRLOGERRORINFO,
) -> LogEntry {
    let info = match info.is_null() {
        true => None,
        // SAFETY: the caller guarantees that the structure is valid.
        false => Some(unsafe { info.read_unaligned() }),
    };
    let given = |bit: u32| info.filter(|info| info.mask & bit != 0);
    let id = given(SYNCMGRLOGERROR_ERRORID).and_then(|info| error_id(info.ErrorID));
    let jumps = given(SYNCMGRLOGERROR_ERRORFLAGS)
        .is_some_and(|info| info.dwSyncMgrErrorFlags & SYNCMGRERRORFLAG_ENABLEJUMPTEXT != 0);
    LogEntry {
        level: match level {
            1 => LogLevel::Information,
            2 => LogLevel::Warning,
            _error_or_unknown => LogLevel::Error,
        },
        // SAFETY: the caller guarantees that the text is valid.
        text: unsafe { text(message) }.unwrap_or_default(),
        item: given(SYNCMGRLOGERROR_ITEMID).and_then(|info| item_id(info.ItemID)),
        jump: id.filter(|_| jumps),
        id,
        code: None,
    }
}

/// Returns a report without valid fields.
pub(crate) const fn empty_progress_item() -> SYNCMGRPROGRESSITEM {
    SYNCMGRPROGRESSITEM {
        cbSize: size_of_structure::<SYNCMGRPROGRESSITEM>(),
        mask: 0,
        lpcStatusText: null(),
        dwStatusType: 0,
        iProgValue: 0,
        iMaxValue: 0,
    }
}

#[cfg(test)]
mod tests;

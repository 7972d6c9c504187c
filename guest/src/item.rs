use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bindings::exports::syncmgr::plugin::synchronize as exports;
use crate::bindings::syncmgr::plugin::types as wit;
use crate::guid::ItemId;

pub use crate::bindings::syncmgr::plugin::types::{
    HandlerFlags, ItemFlags, ItemState, SyncEvent, SyncModifiers, Trigger,
};

/// 1601-01-01 to 1970-01-01, in the 100 nanosecond steps of a `FILETIME`.
const UNIX_EPOCH_AS_FILE_TIME: u64 = 116_444_736_000_000_000;

/// The description of a handler: `SYNCMGRHANDLERINFO`.
#[derive(Clone, Debug)]
pub struct HandlerInfo {
    /// The display name, 1 to 31 UTF-16 code units.
    pub name: String,
    /// The capabilities of the handler.
    pub flags: HandlerFlags,
}

impl HandlerInfo {
    /// Creates a description with a name and no flags.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), flags: HandlerFlags::empty() }
    }

    /// Sets the flags.
    #[must_use]
    pub fn flags(mut self, flags: HandlerFlags) -> Self {
        self.flags = flags;
        self
    }
}

/// An item that can be synchronized: `SYNCMGRITEM`.
#[derive(Clone, Debug)]
pub struct Item {
    /// The stable id.
    pub id: ItemId,
    /// The display name, 1 to 127 UTF-16 code units.
    pub name: String,
    /// The capabilities of the item.
    pub flags: ItemFlags,
    /// Whether the item takes part by default.
    pub state: ItemState,
    /// The time when it was last in sync; `None` is never or unknown.
    pub last_update_time: Option<SystemTime>,
}

impl Item {
    /// Creates an item that takes part by default and has no flags.
    pub fn new(id: ItemId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            flags: ItemFlags::empty(),
            state: ItemState::Checked,
            last_update_time: None,
        }
    }

    /// Sets the time when the item was last in sync.
    #[must_use]
    pub fn last_update_time(mut self, time: impl Into<Option<SystemTime>>) -> Self {
        self.last_update_time = time.into();
        self
    }

    /// Sets the flags.
    #[must_use]
    pub fn flags(mut self, flags: ItemFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Makes the item take part only if the user selects it.
    #[must_use]
    pub fn unchecked(mut self) -> Self {
        self.state = ItemState::Unchecked;
        self
    }
}

/// The items of a handler.
#[derive(Clone, Debug, Default)]
pub struct ItemList {
    /// The items, in display order.
    pub items: Vec<Item>,
    /// Whether there are more items that cannot be listed now (`S_SYNCMGR_MISSINGITEMS`).
    pub missing_items: bool,
}

impl From<Vec<Item>> for ItemList {
    fn from(items: Vec<Item>) -> Self {
        Self { items, missing_items: false }
    }
}

impl<const N: usize> From<[Item; N]> for ItemList {
    fn from(items: [Item; N]) -> Self {
        Vec::from(items).into()
    }
}

pub(crate) fn file_time(time: SystemTime) -> wit::FileTime {
    let steps = |duration: Duration| u64::try_from(duration.as_nanos() / 100).unwrap_or(u64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => UNIX_EPOCH_AS_FILE_TIME.saturating_add(steps(after)),
        Err(before) => UNIX_EPOCH_AS_FILE_TIME.saturating_sub(steps(before.duration())),
    }
}

impl From<HandlerInfo> for wit::HandlerInfo {
    fn from(info: HandlerInfo) -> Self {
        Self { name: info.name, flags: info.flags }
    }
}

impl From<Item> for wit::Item {
    fn from(item: Item) -> Self {
        Self {
            id: item.id.to_wit(),
            name: item.name,
            flags: item.flags,
            state: item.state,
            last_update_time: item.last_update_time.map(file_time),
        }
    }
}

impl From<ItemList> for exports::ItemList {
    fn from(list: ItemList) -> Self {
        Self {
            items: list.items.into_iter().map(wit::Item::from).collect(),
            missing_items: list.missing_items,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_times_count_from_1601_in_100_ns() {
        for (time, expected) in [
            (UNIX_EPOCH, 116_444_736_000_000_000),
            (UNIX_EPOCH + Duration::from_nanos(1_234), 116_444_736_000_000_012),
            (UNIX_EPOCH - Duration::from_secs(1), 116_444_735_990_000_000),
            (UNIX_EPOCH - Duration::from_secs(11_644_473_600), 0),
        ] {
            assert_eq!(file_time(time), expected, "{time:?}");
        }
    }
}

//! What the sync manager remembers about the items of a run.

use std::collections::{BTreeMap, HashMap};

use crate::event::{Item, LogEntry, LogLevel, ProgressItem, Status};
use crate::hresult::ErrorCode;
use crate::id::{ErrorId, ItemId};
use crate::sink::Standing;

/// Named totals of one item at most; more are ignored.
const MAX_COUNTS: usize = 64;

/// The room that a count takes in addition to its name.
const COUNT_BYTES: u64 = 64;
/// The room that an item takes in addition to its name, its text and its counts.
const ITEM_BYTES: u64 = 256;

/// The items that were prepared, and everything that was said about them.
#[derive(Debug)]
pub(crate) struct Ledger {
    rows: Vec<Row>,
    /// What they take in memory, texts with the room that was made for them.
    item_bytes: u64,
    by_id: HashMap<ItemId, usize>,
    /// Whether reports are taken: from the start of an attempt to its end.
    open: bool,
    /// The row that was reported on last.
    last: usize,
    log: Vec<LogEntry>,
    /// Entries that were kept, with those that were taken back: whoever hears of entries as they
    /// come has heard of these, too.
    log_entries: u64,
    log_bytes: u64,
    max_log_entries: u64,
    max_log_bytes: u64,
    /// Log entries that were left out, by level.
    dropped: BTreeMap<LogLevel, u64>,
    /// Which failure an item had, by the last log entry that was left out.
    dropped_codes: HashMap<ItemId, ErrorCode>,
    pub(crate) progress_calls: u64,
    pub(crate) refused_calls: u64,
}

/// One item.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) item: Item,
    pub(crate) standing: Standing,
    pub(crate) counts: BTreeMap<String, u64>,
    /// Whether it had no end, and the host gave it one.
    pub(crate) ended_by_host: bool,
}

impl Row {
    fn bytes(&self) -> u64 {
        let texts = self.item.name.capacity() + self.standing.status_text.capacity();
        let counts = self.counts.keys().map(|name| COUNT_BYTES + name.capacity() as u64);
        ITEM_BYTES + texts as u64 + counts.sum::<u64>()
    }
}

/// What a report did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The item's place in [`Ledger::rows`].
    pub(crate) row: usize,
    /// The status, if it is another one now.
    pub(crate) moved: Option<Status>,
}

impl Ledger {
    pub(crate) fn new(max_log_entries: u64, max_log_bytes: u64) -> Self {
        Self {
            rows: Vec::new(),
            item_bytes: 0,
            by_id: HashMap::new(),
            open: false,
            last: 0,
            log: Vec::new(),
            log_entries: 0,
            log_bytes: 0,
            max_log_entries,
            max_log_bytes,
            dropped: BTreeMap::new(),
            dropped_codes: HashMap::new(),
            progress_calls: 0,
            refused_calls: 0,
        }
    }

    /// Takes these items up, each from its start. Those already here start once more.
    pub(crate) fn start(&mut self, items: &[Item]) {
        self.open = true;
        for item in items {
            let row = Row {
                item: item.clone(),
                standing: Standing::default(),
                counts: BTreeMap::new(),
                ended_by_host: false,
            };
            self.item_bytes += row.bytes();
            match self.by_id.get(&item.id) {
                Some(&index) => {
                    let before = std::mem::replace(&mut self.rows[index], row);
                    self.item_bytes -= before.bytes();
                }
                None => {
                    self.by_id.insert(item.id, self.rows.len());
                    self.rows.push(row);
                }
            }
        }
    }

    /// Ends the attempt: every item has its end, and a report that still comes changes nothing.
    pub(crate) fn close(&mut self) {
        self.open = false;
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The items that have no end.
    pub(crate) fn unended(&self) -> Vec<ItemId> {
        let ended = |row: &Row| row.standing.status_type.is_some_and(Status::is_terminal);
        self.rows.iter().filter(|row| !ended(row)).map(|row| row.item.id).collect()
    }

    pub(crate) fn contains(&self, id: ItemId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// The place of an item. Most reports are about the item of the one before.
    #[inline]
    fn find(&mut self, id: ItemId) -> Option<usize> {
        if self.rows.get(self.last).is_none_or(|row| row.item.id != id) {
            self.last = *self.by_id.get(&id)?;
        }
        Some(self.last)
    }

    /// Records a report; `None`: it is refused, because the item is unknown or has ended, or the
    /// attempt has.
    #[inline]
    pub(crate) fn report(&mut self, id: ItemId, reported: &ProgressItem) -> Option<Taken> {
        self.progress_calls += 1;
        let Some(index) = self.find(id).filter(|_| self.open) else {
            self.refused_calls += 1;
            return None;
        };
        let standing = &mut self.rows[index].standing;
        let ended = standing.status_type.is_some_and(Status::is_terminal);
        if ended && reported.status_type != Some(Status::Failed) {
            self.refused_calls += 1;
            return None;
        }
        if let Some(text) = &reported.status_text {
            // It keeps the room that it once had.
            let before = standing.status_text.capacity();
            standing.status_text.clone_from(text);
            self.item_bytes += (standing.status_text.capacity() - before) as u64;
        }
        let moved = reported.status_type.filter(|&status| standing.status_type != Some(status));
        standing.status_type = reported.status_type.or(standing.status_type);
        if let Some(max) = reported.max_value {
            standing.max_value = max;
        }
        if let Some(value) = reported.prog_value {
            standing.prog_value = value;
        }
        if standing.max_value > 0 {
            standing.prog_value = standing.prog_value.min(standing.max_value);
        }
        Some(Taken { row: index, moved })
    }

    /// The host gives an item its end.
    pub(crate) fn end_by_host(&mut self, id: ItemId) {
        if let Some(&index) = self.by_id.get(&id) {
            self.rows[index].ended_by_host = true;
        }
    }

    pub(crate) fn set_bytes_per_step(&mut self, id: ItemId, bytes: u64) {
        if let Some(&index) = self.by_id.get(&id) {
            self.rows[index].standing.bytes_per_step = bytes;
        }
    }

    pub(crate) fn set_count(&mut self, id: ItemId, name: String, value: u64) {
        let Some(&index) = self.by_id.get(&id) else { return };
        let counts = &mut self.rows[index].counts;
        let nameable = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if nameable && (counts.len() < MAX_COUNTS || counts.contains_key(&name)) {
            let bytes = COUNT_BYTES + name.capacity() as u64;
            if counts.insert(name, value).is_none() {
                self.item_bytes += bytes;
            }
        }
    }

    /// What the items take in memory.
    #[inline]
    pub(crate) const fn item_bytes(&self) -> u64 {
        self.item_bytes
    }

    /// Keeps a log entry, unless there is no room for it. Whether it was kept.
    pub(crate) fn log(&mut self, entry: &LogEntry) -> bool {
        let bytes = self.log_bytes.saturating_add(entry.text.len() as u64);
        if self.log_entries >= self.max_log_entries || bytes > self.max_log_bytes {
            *self.dropped.entry(entry.level).or_default() += 1;
            if let (Some(item), Some(code), LogLevel::Error) = (entry.item, entry.code, entry.level)
            {
                self.dropped_codes.insert(item, code);
            }
            return false;
        }
        self.log_entries += 1;
        self.log_bytes = bytes;
        self.log.push(entry.clone());
        true
    }

    /// Takes entries back; whether there were any.
    pub(crate) fn delete_log(&mut self, id: Option<ErrorId>) -> bool {
        let before = self.log.len();
        match id {
            Some(id) => self.log.retain(|entry| entry.id != Some(id)),
            None => self.log.clear(),
        }
        self.log.len() < before
    }

    /// How many log entries were left out.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.values().sum()
    }

    pub(crate) fn entries(&self) -> &[LogEntry] {
        &self.log
    }

    /// How many log entries there were of a level, with those that were left out.
    pub(crate) fn count_entries(&self, level: LogLevel) -> u64 {
        let kept = self.log.iter().filter(|entry| entry.level == level).count() as u64;
        kept + self.dropped.get(&level).copied().unwrap_or(0)
    }

    /// How many log entries of a level are kept about each item.
    pub(crate) fn count_by_item(&self, level: LogLevel) -> HashMap<ItemId, u64> {
        let mut counts = HashMap::new();
        for item in self.log.iter().filter(|e| e.level == level).filter_map(|e| e.item) {
            *counts.entry(item).or_default() += 1;
        }
        counts
    }

    /// Which failure each item had: that of its last error that says so.
    pub(crate) fn codes(&self) -> HashMap<ItemId, ErrorCode> {
        let errors = self.log.iter().filter(|entry| entry.level == LogLevel::Error);
        let mut codes: HashMap<_, _> =
            errors.filter_map(|entry| Some((entry.item?, entry.code?))).collect();
        codes.extend(&self.dropped_codes);
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ID: ItemId = ItemId::from_uuid(Uuid::from_u128(7));
    const OTHER: ItemId = ItemId::from_uuid(Uuid::from_u128(8));

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(3, 100);
        let item =
            Item { id: ID, name: "a".into(), flags: 0, checked: true, last_update_time: None };
        ledger.start(&[item]);
        ledger
    }

    fn status(status: Status) -> ProgressItem {
        ProgressItem { status_type: Some(status), ..ProgressItem::default() }
    }

    #[test]
    fn absent_fields_keep_their_last_value() {
        let mut ledger = ledger();
        let first = ProgressItem {
            status_text: Some("one".into()),
            max_value: Some(10),
            ..status(Status::Updating)
        };
        ledger.report(ID, &first).unwrap();
        let second = ProgressItem { prog_value: Some(4), ..ProgressItem::default() };
        let taken = ledger.report(ID, &second).unwrap();
        assert_eq!(taken, Taken { row: 0, moved: None });
        assert_eq!(
            ledger.rows()[0].standing,
            Standing {
                status_text: "one".into(),
                status_type: Some(Status::Updating),
                prog_value: 4,
                max_value: 10,
                bytes_per_step: 0,
            }
        );
    }

    #[test]
    fn a_value_never_passes_a_known_maximum() {
        let mut ledger = ledger();
        let beyond = ProgressItem { prog_value: Some(50), ..ProgressItem::default() };
        ledger.report(ID, &beyond).unwrap();
        assert_eq!(ledger.rows()[0].standing.prog_value, 50);
        let max = ProgressItem { max_value: Some(10), ..ProgressItem::default() };
        ledger.report(ID, &max).unwrap();
        assert_eq!(ledger.rows()[0].standing.prog_value, 10);
    }

    #[test]
    fn after_a_terminal_status_only_failed_is_taken() {
        for terminal in [Status::Succeeded, Status::Skipped, Status::Stopped, Status::Deleted] {
            let mut ledger = ledger();
            ledger.report(ID, &status(terminal)).unwrap();
            assert_eq!(ledger.report(ID, &status(Status::Updating)), None, "{terminal:?}");
            assert_eq!(ledger.report(ID, &ProgressItem::default()), None, "{terminal:?}");
            assert!(ledger.report(ID, &status(Status::Failed)).is_some(), "{terminal:?}");
            assert_eq!(ledger.report(ID, &status(Status::Succeeded)), None, "{terminal:?}");
            assert_eq!(ledger.refused_calls, 3);
        }
    }

    #[test]
    fn after_the_end_of_an_attempt_no_report_is_taken_until_the_next_one() {
        let mut ledger = ledger();
        ledger.report(ID, &status(Status::Succeeded)).unwrap();
        ledger.close();
        assert_eq!(ledger.report(ID, &status(Status::Failed)), None);
        assert_eq!(ledger.rows()[0].standing.status_type, Some(Status::Succeeded));
        let item = ledger.rows()[0].item.clone();
        ledger.start(&[item]);
        assert!(ledger.report(ID, &status(Status::Updating)).is_some());
    }

    #[test]
    fn an_unknown_item_is_refused() {
        let mut ledger = ledger();
        assert_eq!(ledger.report(OTHER, &status(Status::Updating)), None);
        assert_eq!(ledger.refused_calls, 1);
    }

    #[test]
    fn a_flood_of_log_entries_is_counted_and_left_out() {
        let entry = |text: &str, code| LogEntry {
            level: LogLevel::Error,
            text: text.to_owned(),
            item: Some(ID),
            jump: None,
            id: None,
            code: Some(code),
        };
        let mut ledger = ledger();
        assert!(!ledger.log(&entry(&"x".repeat(101), ErrorCode::Busy)), "too long");
        for _ in 0..5 {
            ledger.log(&entry("x", ErrorCode::Failed));
        }
        ledger.log(&entry("last", ErrorCode::NoSpace));
        assert_eq!(ledger.entries().len(), 3);
        assert_eq!(ledger.dropped(), 4);
        assert_eq!(ledger.count_entries(LogLevel::Error), 7);
        assert_eq!(ledger.codes()[&ID], ErrorCode::NoSpace, "what is left out still counts");
    }

    #[test]
    fn what_items_take_is_known_whatever_is_said_about_them() {
        let mut ledger = ledger();
        let items = [ID, OTHER].map(|id| Item {
            id,
            name: "a".into(),
            flags: 0,
            checked: true,
            last_update_time: None,
        });
        ledger.start(&items);
        for (number, id) in (0..1000).zip([ID, OTHER, ID].into_iter().cycle()) {
            let text = "x".repeat(number * 7 % 4096);
            let report = ProgressItem { status_text: Some(text), ..ProgressItem::default() };
            ledger.report(id, &report);
            ledger.set_count(id, format!("n{}", number % 80), 1);
            if number % 300 == 0 {
                ledger.start(&items[..1]);
            }
            let expected = ledger.rows().iter().map(Row::bytes).sum::<u64>();
            assert_eq!(ledger.item_bytes(), expected, "after {number}");
        }
    }

    #[test]
    fn counts_are_bounded_in_name_and_number() {
        let mut ledger = ledger();
        for name in ["", "Capital", "a b", &"x".repeat(65)] {
            ledger.set_count(ID, name.to_owned(), 1);
        }
        for number in 0..100 {
            ledger.set_count(ID, format!("n{number}"), 1);
        }
        ledger.set_count(ID, "n0".into(), 2);
        let counts = &ledger.rows()[0].counts;
        assert_eq!(counts.len(), MAX_COUNTS);
        assert_eq!(counts["n0"], 2);
    }
}

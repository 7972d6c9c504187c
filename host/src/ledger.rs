//! What the sync manager remembers about the items of a run.

use std::collections::{BTreeMap, HashMap};

use crate::event::{Item, LogEntry, LogLevel, ProgressItem, Status};
use crate::hresult::ErrorCode;
use crate::id::{ErrorId, ItemId};
use crate::sink::Standing;

/// Named totals of one item at most; more are ignored.
const MAX_COUNTS: usize = 64;

/// The items that were prepared, and everything that was said about them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rows: Vec<Row>,
    by_id: HashMap<ItemId, usize>,
    log: Vec<LogEntry>,
    pub(crate) progress_calls: u64,
    pub(crate) refused_calls: u64,
}

/// One item.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) item: Item,
    pub(crate) standing: Standing,
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Ledger {
    /// Takes these items up, each from its start. Those already here start once more.
    pub(crate) fn start(&mut self, items: &[Item]) {
        for item in items {
            let row =
                Row { item: item.clone(), standing: Standing::default(), counts: BTreeMap::new() };
            match self.by_id.get(&item.id) {
                Some(&index) => self.rows[index] = row,
                None => {
                    self.by_id.insert(item.id, self.rows.len());
                    self.rows.push(row);
                }
            }
        }
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn contains(&self, id: ItemId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Records a report and returns where the item stands then; `None`: the report is refused,
    /// because the item is unknown or has ended.
    pub(crate) fn report(&mut self, id: ItemId, reported: &ProgressItem) -> Option<&Standing> {
        self.progress_calls += 1;
        let Some(&index) = self.by_id.get(&id) else {
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
            standing.status_text.clone_from(text);
        }
        if let Some(status) = reported.status_type {
            standing.status_type = Some(status);
        }
        if let Some(max) = reported.max_value {
            standing.max_value = max;
        }
        if let Some(value) = reported.prog_value {
            standing.prog_value = value;
        }
        if standing.max_value > 0 {
            standing.prog_value = standing.prog_value.min(standing.max_value);
        }
        Some(standing)
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
            counts.insert(name, value);
        }
    }

    pub(crate) fn log(&mut self, entry: LogEntry) {
        self.log.push(entry);
    }

    pub(crate) fn delete_log(&mut self, id: Option<ErrorId>) {
        match id {
            Some(id) => self.log.retain(|entry| entry.id != Some(id)),
            None => self.log.clear(),
        }
    }

    pub(crate) fn entries(&self) -> &[LogEntry] {
        &self.log
    }

    pub(crate) fn count_entries(&self, item: Option<ItemId>, level: LogLevel) -> u64 {
        let count = self.log.iter().filter(|e| e.item == item && e.level == level).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Which failure an item had: that of its last error that says so.
    pub(crate) fn code(&self, item: ItemId) -> Option<ErrorCode> {
        self.log
            .iter()
            .rev()
            .filter(|entry| entry.item == Some(item) && entry.level == LogLevel::Error)
            .find_map(|entry| entry.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ID: ItemId = ItemId::from_uuid(Uuid::from_u128(7));
    const OTHER: ItemId = ItemId::from_uuid(Uuid::from_u128(8));

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
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
        let standing = ledger.report(ID, &second).unwrap();
        assert_eq!(
            *standing,
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
        assert_eq!(ledger.report(ID, &beyond).unwrap().prog_value, 50);
        let max = ProgressItem { max_value: Some(10), ..ProgressItem::default() };
        assert_eq!(ledger.report(ID, &max).unwrap().prog_value, 10);
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
    fn an_unknown_item_is_refused() {
        let mut ledger = ledger();
        assert_eq!(ledger.report(OTHER, &status(Status::Updating)), None);
        assert_eq!(ledger.refused_calls, 1);
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

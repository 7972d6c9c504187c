//! The items of a run, and its log.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::id::{ErrorId, ItemId};
use crate::sink::ItemProgress;
use crate::types::ErrorCode;
use crate::types::{Item, LogEntry, LogLevel, ProgressItem, Status};

/// The maximum number of counts of one item. Further counts are ignored.
const MAX_COUNTS: usize = 64;

/// The maximum number of unknown ids whose first refused report is logged.
const MAX_UNKNOWN: usize = 64;

/// The memory that a count uses in addition to its name.
const COUNT_BYTES: u64 = 64;
/// The memory that an item uses in addition to its name, its text and its counts.
const ITEM_BYTES: u64 = 256;

/// The prepared items and their reports.
#[derive(Debug)]
pub(crate) struct ItemTable {
    entries: Vec<ItemEntry>,
    /// The memory that the items use, including the capacity of their texts.
    item_bytes: u64,
    by_id: HashMap<ItemId, usize>,
    /// Whether reports are accepted: from the start of an attempt to its end.
    open: bool,
    /// The index of the last reported entry.
    last: usize,
    log: Vec<LogEntry>,
    /// The number of entries that were kept, including deleted ones: a sink has received those,
    /// too.
    log_entries: u64,
    log_bytes: u64,
    max_log_entries: u64,
    max_log_bytes: u64,
    /// The number of dropped log entries by level.
    dropped: BTreeMap<LogLevel, u64>,
    /// The error code of each item in its last dropped log entry.
    dropped_codes: HashMap<ItemId, ErrorCode>,
    /// The unknown ids of refused reports, up to [`MAX_UNKNOWN`].
    unknown: HashSet<ItemId>,
    pub(crate) progress_calls: u64,
    pub(crate) refused_calls: u64,
}

/// One item.
#[derive(Debug)]
pub(crate) struct ItemEntry {
    pub(crate) item: Item,
    pub(crate) progress: ItemProgress,
    pub(crate) counts: BTreeMap<String, u64>,
    /// Whether the host set the final status.
    pub(crate) ended_by_host: bool,
    /// Whether a report about it was refused.
    refused: bool,
}

impl ItemEntry {
    fn bytes(&self) -> u64 {
        let texts = self.item.name.capacity() + self.progress.status_text.capacity();
        let counts = self.counts.keys().map(|name| COUNT_BYTES + name.capacity() as u64);
        ITEM_BYTES + texts as u64 + counts.sum::<u64>()
    }
}

/// The effect of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The item's index in [`ItemTable::entries`].
    pub(crate) index: usize,
    /// The new status, if it changed.
    pub(crate) new_status: Option<Status>,
}

/// The reason why a report is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The id is not that of an item of the run.
    UnknownItem,
    /// The item has a terminal status.
    Terminal(Status),
    /// `synchronize` is not in progress.
    NotSynchronizing,
}

impl ItemTable {
    pub(crate) fn new(max_log_entries: u64, max_log_bytes: u64) -> Self {
        Self {
            entries: Vec::new(),
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
            unknown: HashSet::new(),
            progress_calls: 0,
            refused_calls: 0,
        }
    }

    /// Starts these items from the beginning. Existing items are restarted.
    pub(crate) fn start(&mut self, items: &[Item]) {
        self.open = true;
        for item in items {
            let entry = ItemEntry {
                item: item.clone(),
                progress: ItemProgress::default(),
                counts: BTreeMap::new(),
                ended_by_host: false,
                refused: false,
            };
            self.item_bytes += entry.bytes();
            match self.by_id.get(&item.id) {
                Some(&index) => {
                    let before = std::mem::replace(&mut self.entries[index], entry);
                    self.item_bytes -= before.bytes();
                }
                None => {
                    self.by_id.insert(item.id, self.entries.len());
                    self.entries.push(entry);
                }
            }
        }
    }

    /// Ends the attempt: every item has a final status, and later reports change nothing.
    pub(crate) fn close(&mut self) {
        self.open = false;
    }

    pub(crate) fn entries(&self) -> &[ItemEntry] {
        &self.entries
    }

    /// Returns the items without a final status.
    pub(crate) fn unended(&self) -> Vec<ItemId> {
        let ended = |entry: &ItemEntry| entry.progress.status_type.is_some_and(Status::is_terminal);
        self.entries.iter().filter(|entry| !ended(entry)).map(|entry| entry.item.id).collect()
    }

    pub(crate) fn contains(&self, id: ItemId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Returns the index of an item. Most reports are about the same item as the previous one.
    #[inline]
    fn find(&mut self, id: ItemId) -> Option<usize> {
        if self.entries.get(self.last).is_none_or(|entry| !is_same(entry.item.id, id)) {
            self.last = *self.by_id.get(&id)?;
        }
        Some(self.last)
    }

    /// Records a report, or returns the reason for refusing it.
    #[inline]
    pub(crate) fn record(
        &mut self,
        id: ItemId,
        reported: &ProgressItem,
    ) -> Result<Recorded, Refusal> {
        self.progress_calls += 1;
        let index = self.find(id).ok_or(Refusal::UnknownItem)?;
        if !self.open {
            return Err(Refusal::NotSynchronizing);
        }
        let progress = &mut self.entries[index].progress;
        if let Some(status) = progress.status_type
            && status.is_terminal()
            && reported.status_type != Some(Status::Failed)
        {
            return Err(Refusal::Terminal(status));
        }
        if let Some(text) = &reported.status_text {
            // The text keeps its capacity.
            let before = progress.status_text.capacity();
            progress.status_text.clone_from(text);
            self.item_bytes += (progress.status_text.capacity() - before) as u64;
        }
        let new_status =
            reported.status_type.filter(|&status| progress.status_type != Some(status));
        progress.status_type = reported.status_type.or(progress.status_type);
        if let Some(max) = reported.max_value {
            progress.max_value = max;
        }
        if let Some(value) = reported.prog_value {
            progress.prog_value = value;
        }
        if progress.max_value > 0 {
            progress.prog_value = progress.prog_value.min(progress.max_value);
        }
        Ok(Recorded { index, new_status })
    }

    /// Counts a refused report. Returns the log entry of the first one for each id.
    #[cold]
    pub(crate) fn refuse(&mut self, id: ItemId, refusal: Refusal) -> Option<LogEntry> {
        self.refused_calls += 1;
        let (first, item) = match self.by_id.get(&id) {
            Some(&index) => (!std::mem::replace(&mut self.entries[index].refused, true), Some(id)),
            None => (self.unknown.len() < MAX_UNKNOWN && self.unknown.insert(id), None),
        };
        let reason = match refusal {
            Refusal::UnknownItem => "no item of the run has this id".to_owned(),
            Refusal::Terminal(status) => format!(
                "its status is already `{}`, after which only `failed` is accepted",
                status.name()
            ),
            Refusal::NotSynchronizing => "`synchronize` is not in progress".to_owned(),
        };
        first.then(|| LogEntry {
            level: LogLevel::Warning,
            text: format!("a report about item {id} was refused: {reason}"),
            item,
            jump: None,
            id: None,
            code: None,
        })
    }

    /// Sets the final status of an item on behalf of the host.
    pub(crate) fn end_by_host(&mut self, id: ItemId) {
        if let Some(&index) = self.by_id.get(&id) {
            self.entries[index].ended_by_host = true;
        }
    }

    pub(crate) fn set_bytes_per_step(&mut self, id: ItemId, bytes: u64) {
        if let Some(&index) = self.by_id.get(&id) {
            self.entries[index].progress.bytes_per_step = bytes;
        }
    }

    pub(crate) fn set_count(&mut self, id: ItemId, name: String, value: u64) {
        let Some(&index) = self.by_id.get(&id) else { return };
        let counts = &mut self.entries[index].counts;
        let nameable = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if nameable && (counts.len() < MAX_COUNTS || counts.contains_key(&name)) {
            let bytes = COUNT_BYTES + name.capacity() as u64;
            if counts.insert(name, value).is_none() {
                self.item_bytes += bytes;
            }
        }
    }

    /// Returns the memory that the items take.
    #[inline]
    pub(crate) const fn item_bytes(&self) -> u64 {
        self.item_bytes
    }

    /// Keeps a log entry if there is room for it. Returns whether it was kept.
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

    /// Deletes entries. Returns whether there were any.
    pub(crate) fn delete_log(&mut self, id: Option<ErrorId>) -> bool {
        let before = self.log.len();
        match id {
            Some(id) => self.log.retain(|entry| entry.id != Some(id)),
            None => self.log.clear(),
        }
        self.log.len() < before
    }

    /// Returns the number of dropped log entries.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.values().sum()
    }

    pub(crate) fn log_entries(&self) -> &[LogEntry] {
        &self.log
    }

    /// Returns the number of log entries of a level, including dropped ones.
    pub(crate) fn count_entries(&self, level: LogLevel) -> u64 {
        let kept = self.log.iter().filter(|entry| entry.level == level).count() as u64;
        kept + self.dropped.get(&level).copied().unwrap_or(0)
    }

    /// Returns the number of kept log entries of a level for each item.
    pub(crate) fn count_by_item(&self, level: LogLevel) -> HashMap<ItemId, u64> {
        let mut counts = HashMap::new();
        for item in self.log.iter().filter(|e| e.level == level).filter_map(|e| e.item) {
            *counts.entry(item).or_default() += 1;
        }
        counts
    }

    /// Returns the error code of each item: that of its last error that has one.
    pub(crate) fn codes(&self) -> HashMap<ItemId, ErrorCode> {
        let errors = self.log.iter().filter(|entry| entry.level == LogLevel::Error);
        let mut codes: HashMap<_, _> =
            errors.filter_map(|entry| Some((entry.item?, entry.code?))).collect();
        codes.extend(&self.dropped_codes);
        codes
    }
}

/// Compares ids as two numbers. A report's id was just written as two numbers: reading it as one
/// value would wait for both.
#[inline]
fn is_same(one: ItemId, other: ItemId) -> bool {
    let (one, other) = (one.as_uuid().as_u64_pair(), other.as_uuid().as_u64_pair());
    (one.0 ^ other.0) | (one.1 ^ other.1) == 0
}

#[cfg(test)]
mod tests;

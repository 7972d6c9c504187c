use std::collections::BTreeMap;

use crate::bindings::exports::syncmgr::plugin::synchronize::Participation;
use crate::bindings::syncmgr::plugin::statistics::Action;
use crate::bindings::syncmgr::plugin::types::{LogLevel, ProgressResponse, Status};
use crate::error::{Error, ErrorCode, ErrorDetail};
use crate::guid::{ErrorId, ItemId};

/// One report that a plugin made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The item.
    pub item: ItemId,
    /// The status text.
    pub text: Option<String>,
    /// The status of the item.
    pub status: Option<Status>,
    /// The progress value.
    pub value: Option<i32>,
    /// The maximum of the progress value.
    pub max: Option<i32>,
    /// The sync manager's answer.
    pub response: ProgressResponse,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The severity.
    pub level: LogLevel,
    /// The message.
    pub text: String,
    /// The item that the entry belongs to.
    pub item: Option<ItemId>,
    /// The id to pass to [`show_error`](crate::Plugin::show_error).
    pub id: Option<ErrorId>,
    /// The error code.
    pub code: Option<ErrorCode>,
}

/// The outcome of a run: everything that the plugin reported, logged and returned.
#[derive(Debug)]
pub struct Run {
    /// Whether the plugin participated.
    pub participation: Participation,
    /// The listed items, with their names.
    pub items: Vec<(ItemId, String)>,
    /// Every report, in order.
    pub reports: Vec<Report>,
    /// The log, without the entries that the plugin deleted.
    pub log: Vec<LogEntry>,
    /// What [`show_error`](crate::Plugin::show_error) answered, in a run with
    /// [`retries`](crate::testing::SyncManager::retries).
    pub details: Vec<(ErrorId, ErrorDetail)>,
    /// The network connections that it established; `None` is the default connection.
    pub connections: Vec<Option<String>>,
    /// The counters that it set, by item and name.
    pub counts: BTreeMap<(ItemId, String), u64>,
    /// The actions that it reported, by item, in order.
    pub actions: Vec<(ItemId, Action)>,
    /// The error of the function that ended the run early.
    pub error: Option<Error>,
    /// The number of reports before each attempt.
    attempts: Vec<usize>,
}

impl Run {
    pub(crate) fn new() -> Self {
        Self {
            participation: Participation::Participates,
            items: Vec::new(),
            reports: Vec::new(),
            log: Vec::new(),
            details: Vec::new(),
            connections: Vec::new(),
            counts: BTreeMap::new(),
            actions: Vec::new(),
            error: None,
            attempts: Vec::new(),
        }
    }

    /// Begins another attempt, in which items start again.
    pub(crate) fn begin(&mut self) {
        self.attempts.push(self.reports.len());
    }

    /// Returns whether an item reported a terminal status in this attempt.
    pub(crate) fn has_ended(&self, item: ItemId) -> bool {
        let made = self.reports[self.attempts.last().copied().unwrap_or(0)..].iter();
        made.filter(|made| made.item == item)
            .any(|made| made.status.is_some_and(Status::is_terminal))
    }

    pub(crate) fn delete_log(&mut self, id: Option<ErrorId>) {
        self.log.retain(|line| id.is_some() && line.id != id);
    }

    /// Returns the reports about an item.
    pub fn reports_of(&self, item: ItemId) -> impl Iterator<Item = &Report> {
        self.reports.iter().filter(move |made| made.item == item)
    }

    /// Returns the last terminal status of an item; `None` if it has none.
    pub fn ended(&self, item: ItemId) -> Option<Status> {
        let statuses = self.reports_of(item).filter_map(|made| made.status);
        statuses.filter(|status| status.is_terminal()).last()
    }

    /// Asserts that an item ended with a status.
    ///
    /// # Panics
    /// Panics with the reports and the log if the item did not end so.
    #[track_caller]
    pub fn assert_ended(&self, item: ItemId, status: Status) {
        assert_eq!(self.ended(item), Some(status), "{self:#?}");
    }

    /// Asserts that progress values grow up to their maximum, that each item ends at most once in
    /// each attempt, and that no report follows the end.
    ///
    /// # Panics
    /// Panics with the first report that violates this.
    #[track_caller]
    pub fn assert_in_order(&self) {
        let mut seen: BTreeMap<ItemId, (i32, i32, bool)> = BTreeMap::new();
        for (at, made) in self.reports.iter().enumerate() {
            if self.attempts.contains(&at) {
                seen.clear();
            }
            let (value, max, ended) = seen.entry(made.item).or_default();
            assert!(!*ended, "a report after the end of its item: {made:#?}");
            if let Some(new) = made.max.filter(|new| new != max) {
                (*value, *max) = (0, new);
            }
            if let Some(new) = made.value {
                assert!(new >= *value, "the value falls from {value}: {made:#?}");
                assert!(*max == 0 || new <= *max, "the value is above {max}: {made:#?}");
                *value = new;
            }
            *ended = made.status.is_some_and(Status::is_terminal);
        }
    }
}

use std::collections::BTreeMap;

use crate::error::{Error, ErrorCode};
use crate::guid::{ErrorId, ItemId};
use crate::plugin::{ErrorDetail, Participation};
use crate::run::{LogLevel, Status};
use crate::testing::ProgressResponse;

/// One report that a plugin made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The item.
    pub item: ItemId,
    /// What is being done.
    pub text: Option<String>,
    /// Where the item stands.
    pub status: Option<Status>,
    /// How much is done.
    pub value: Option<i32>,
    /// How much there is to do.
    pub max: Option<i32>,
    /// What was answered.
    pub response: ProgressResponse,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How bad it is.
    pub level: LogLevel,
    /// What it says.
    pub text: String,
    /// The item that it is about.
    pub item: Option<ItemId>,
    /// By which [`show_error`](crate::Plugin::show_error) knows it.
    pub id: Option<ErrorId>,
    /// Which failure it was.
    pub code: Option<ErrorCode>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// Whether the plugin took part.
    pub participation: Participation,
    /// The items that it listed, with their names.
    pub items: Vec<(ItemId, String)>,
    /// Every report, in order.
    pub reports: Vec<Made>,
    /// The log, without the entries that the plugin removed.
    pub log: Vec<LogLine>,
    /// What [`show_error`](crate::Plugin::show_error) answered, in a run with
    /// [`retries`](super::SyncManager::retries).
    pub details: Vec<(ErrorId, ErrorDetail)>,
    /// The network connections that it asked for and got; `None`: the default one.
    pub connections: Vec<Option<String>>,
    /// The totals that it set for an item, by name.
    pub counts: BTreeMap<(ItemId, String), u64>,
    /// What one of its functions failed with.
    pub error: Option<Error>,
    /// How many reports there were before each attempt.
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
            error: None,
            attempts: Vec::new(),
        }
    }

    /// Begins another attempt, in which items start again.
    pub(crate) fn begin(&mut self) {
        self.attempts.push(self.reports.len());
    }

    /// Whether an item ended in this attempt.
    pub(crate) fn has_ended(&self, item: ItemId) -> bool {
        let made = self.reports[self.attempts.last().copied().unwrap_or(0)..].iter();
        made.filter(|made| made.item == item).any(|made| made.status.is_some_and(is_terminal))
    }

    pub(crate) fn delete_log(&mut self, id: Option<ErrorId>) {
        self.log.retain(|line| id.is_some() && line.id != id);
    }

    /// The reports about an item.
    pub fn reports_of(&self, item: ItemId) -> impl Iterator<Item = &Made> {
        self.reports.iter().filter(move |made| made.item == item)
    }

    /// The status of an item at the end; `None`: it has no terminal one.
    pub fn ended(&self, item: ItemId) -> Option<Status> {
        let statuses = self.reports_of(item).filter_map(|made| made.status);
        statuses.filter(|status| is_terminal(*status)).last()
    }

    /// That an item ended so.
    ///
    /// # Panics
    /// Where it did not, with the reports and the log.
    #[track_caller]
    pub fn assert_ended(&self, item: ItemId, status: Status) {
        assert_eq!(self.ended(item), Some(status), "{self:#?}");
    }

    /// That values grow up to their maximum, that items have one end in each attempt, and that none is
    /// worked on after it.
    ///
    /// # Panics
    /// Where they do not.
    #[track_caller]
    pub fn assert_in_order(&self) {
        let mut stands: BTreeMap<ItemId, (i32, i32, bool)> = BTreeMap::new();
        for (at, made) in self.reports.iter().enumerate() {
            if self.attempts.contains(&at) {
                stands.clear();
            }
            let (value, max, ended) = stands.entry(made.item).or_default();
            assert!(!*ended, "a report after the end of its item: {made:#?}");
            if let Some(new) = made.max.filter(|new| new != max) {
                (*value, *max) = (0, new);
            }
            if let Some(new) = made.value {
                assert!(new >= *value, "the value falls from {value}: {made:#?}");
                assert!(*max == 0 || new <= *max, "the value is above {max}: {made:#?}");
                *value = new;
            }
            *ended = made.status.is_some_and(is_terminal);
        }
    }
}

pub(crate) fn is_terminal(status: Status) -> bool {
    match status {
        Status::Stopped
        | Status::Skipped
        | Status::Succeeded
        | Status::Failed
        | Status::Deleted => true,
        Status::Pending
        | Status::Updating
        | Status::Paused
        | Status::Resuming
        | Status::UpdatingIndeterminate => false,
    }
}

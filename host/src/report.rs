use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::SessionError;
use crate::hresult::{self, Hresult};
use crate::http::HttpUsage;
use crate::id::ItemId;
use crate::types::{ActionKind, ErrorCode, LogEntry, Status};

/// The report of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// The plugin's name.
    pub plugin: String,
    /// The outcome of the run as a whole.
    pub outcome: Outcome,
    /// The items of the run in the plugin's order, each with a terminal status.
    pub items: Vec<ItemReport>,
    /// The log entries that were not deleted, in order.
    pub log: Vec<LogEntry>,
    /// The number of warnings in the log.
    pub warnings: u64,
    /// The number of errors in the log.
    pub errors: u64,
    /// The number of log entries beyond the limit. They count as warnings and errors, but are not
    /// in the log.
    pub dropped_log_entries: u64,
    /// The number of actions that the sink received, by kind.
    pub actions: BTreeMap<ActionKind, u64>,
    /// The number of actions of the plugin beyond the limit, which the sink did not receive.
    pub dropped_actions: u64,
    /// The number of reports by the plugin.
    pub progress_calls: u64,
    /// The number of these that were coalesced with a later one.
    pub merged_calls: u64,
    /// The number of calls that named an unknown or finished item.
    pub refused_calls: u64,
    /// The number of calls of the contract's interfaces.
    pub host_calls: u64,
    /// The processor time of the plugin, without waiting for the host.
    pub compute_time: Duration,
    /// The peak linear memory of the plugin in bytes; 0 if it is unknown.
    pub peak_memory_bytes: usize,
    /// The HTTP requests by origin, `SCHEME://HOST[:PORT]`, including denied ones. The empty origin
    /// is for URLs without one.
    pub http: BTreeMap<String, HttpUsage>,
    /// The number of restarts after a crash.
    pub restarts: u32,
}

/// The outcome of a run as a whole.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler does not participate in runs of this kind.
    Declined,
    /// No item was selected.
    NothingSelected,
    /// The handler needs user interaction, which the run does not allow.
    NeedsUser,
    /// The run processed all items; each item has its own status.
    Completed,
    /// The run failed.
    Failed(SessionError),
}

impl Outcome {
    /// Returns a stable name for programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::NothingSelected => "nothing-selected",
            Self::NeedsUser => "needs-user",
            Self::Completed => "completed",
            Self::Failed(_) => "failed",
        }
    }
}

/// The result of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemReport {
    /// The item.
    pub id: ItemId,
    /// Its name as the plugin wrote it: escape it before showing it.
    pub name: String,
    /// The terminal status.
    pub status: Status,
    /// The error code, if the plugin gave one.
    pub code: Option<ErrorCode>,
    /// The last text that the plugin reported: escape it before showing it.
    pub text: String,
    /// The totals that the plugin set.
    pub counts: BTreeMap<String, u64>,
    /// The number of warnings about it in the log.
    pub warnings: u64,
    /// The number of errors about it in the log.
    pub errors: u64,
    /// The HRESULT of the plugin's crash, if that ended the item.
    pub ended_by: Option<Hresult>,
}

impl ItemReport {
    /// Returns whether the item was unfinished when the plugin crashed.
    pub(crate) fn ended_by_crash(&self) -> bool {
        self.status == Status::Failed && self.ended_by.is_some()
    }

    /// Returns the HRESULT of the item's final status.
    pub fn hresult(&self) -> Hresult {
        match (self.status, self.ended_by) {
            (Status::Failed, Some(hresult)) => hresult,
            (status, _) => hresult::from_item_end(status, self.code),
        }
    }
}

/// The number of items by final status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// In sync.
    pub succeeded: usize,
    /// Not in sync.
    pub failed: usize,
    /// Skipped, or cancelled individually.
    pub skipped: usize,
    /// Cancelled because everything was cancelled.
    pub stopped: usize,
}

impl RunReport {
    /// Creates the report of a run that processed no item, or whose items are unknown.
    pub fn without_items(plugin: &str, outcome: Outcome) -> Self {
        Self {
            plugin: plugin.to_owned(),
            outcome,
            items: Vec::new(),
            log: Vec::new(),
            warnings: 0,
            errors: 0,
            dropped_log_entries: 0,
            actions: BTreeMap::new(),
            dropped_actions: 0,
            progress_calls: 0,
            merged_calls: 0,
            refused_calls: 0,
            host_calls: 0,
            compute_time: Duration::ZERO,
            peak_memory_bytes: 0,
            http: BTreeMap::new(),
            restarts: 0,
        }
    }

    /// Adds the report of a restarted attempt.
    pub(crate) fn continued(mut self, later: Self) -> Self {
        for item in later.items {
            match self.items.iter_mut().find(|known| known.id == item.id) {
                Some(known) => *known = item,
                None => self.items.push(item),
            }
        }
        self.outcome = later.outcome;
        self.log.extend(later.log);
        self.warnings += later.warnings;
        self.errors += later.errors;
        self.dropped_log_entries += later.dropped_log_entries;
        for (kind, count) in later.actions {
            *self.actions.entry(kind).or_default() += count;
        }
        self.dropped_actions += later.dropped_actions;
        self.progress_calls += later.progress_calls;
        self.merged_calls += later.merged_calls;
        self.refused_calls += later.refused_calls;
        self.host_calls += later.host_calls;
        self.compute_time += later.compute_time;
        self.peak_memory_bytes = self.peak_memory_bytes.max(later.peak_memory_bytes);
        for (origin, usage) in later.http {
            self.http.entry(origin).or_default().add(&usage);
        }
        self.restarts += 1;
        self
    }

    /// Returns the error of the run, if it failed.
    pub const fn error(&self) -> Option<&SessionError> {
        let Outcome::Failed(error) = &self.outcome else { return None };
        Some(error)
    }

    /// Returns the number of items by final status.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for item in &self.items {
            let total = match item.status {
                Status::Succeeded | Status::Deleted => &mut totals.succeeded,
                Status::Skipped => &mut totals.skipped,
                Status::Stopped => &mut totals.stopped,
                Status::Failed
                | Status::Pending
                | Status::Updating
                | Status::Paused
                | Status::Resuming
                | Status::UpdatingIndeterminate => &mut totals.failed,
            };
            *total += 1;
        }
        totals
    }

    /// Returns the result of `SynchronizeCompleted`, or of the earlier call that ended the run.
    ///
    /// A cancelled run returns `S_OK`, as native handlers do. A run with failed items returns their
    /// HRESULT if it is the same for all of them, and `E_FAIL` otherwise.
    pub fn hresult(&self) -> Hresult {
        match &self.outcome {
            Outcome::Declined | Outcome::NeedsUser => Hresult::S_FALSE,
            Outcome::NothingSelected => Hresult::S_OK,
            Outcome::Failed(error) => error.hresult(),
            Outcome::Completed => {
                let mut failures = self
                    .items
                    .iter()
                    .filter(|item| item.status == Status::Failed)
                    .map(ItemReport::hresult);
                match failures.next() {
                    None => Hresult::S_OK,
                    Some(first) if failures.all(|other| other == first) => first,
                    Some(_) => Hresult::E_FAIL,
                }
            }
        }
    }
}

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::SessionError;
use crate::hresult::{self, Hresult};
use crate::id::ItemId;
use crate::types::ErrorCode;
use crate::types::{LogEntry, Status};

/// How a run ended.
#[derive(Debug)]
pub struct RunReport {
    /// The plugin's name.
    pub plugin: String,
    /// The outcome of the run as a whole.
    pub outcome: Outcome,
    /// The items that were to be synchronized, in the plugin's order, each with a terminal
    /// status.
    pub items: Vec<ItemReport>,
    /// The log entries that stand, in the order in which they came.
    pub log: Vec<LogEntry>,
    /// Log entries that are warnings.
    pub warnings: u64,
    /// Log entries that are errors.
    pub errors: u64,
    /// Log entries beyond the limit. They are among the warnings and errors, and not in the log.
    pub dropped_log_entries: u64,
    /// Reports that the plugin made.
    pub progress_calls: u64,
    /// The number of those that were coalesced with a later one.
    pub merged_calls: u64,
    /// Calls that named an unknown item, or an item that had ended.
    pub refused_calls: u64,
    /// Calls that the plugin made of our own interfaces.
    pub host_calls: u64,
    /// How long the plugin computed; waiting for the host is left out.
    pub compute_time: Duration,
    /// The most linear memory that the plugin had, in bytes; 0: not known.
    pub peak_memory_bytes: usize,
    /// How often the plugin was restarted after a crash.
    pub restarts: u32,
}

/// The outcome of a run as a whole.
#[derive(Debug)]
pub enum Outcome {
    /// The handler does not take part in runs of this kind.
    Declined,
    /// No item was selected.
    NothingSelected,
    /// The handler cannot go on without the user, who may not be bothered.
    NeedsUser,
    /// It went through all items; see there how each of them ended.
    Completed,
    /// It failed.
    Failed(SessionError),
}

impl Outcome {
    /// A stable name for programs.
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

/// How one item ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemReport {
    /// The item.
    pub id: ItemId,
    /// Its name as the plugin wrote it: escape it before showing it.
    pub name: String,
    /// The terminal status.
    pub status: Status,
    /// Which failure it was, if the plugin said so.
    pub code: Option<ErrorCode>,
    /// The last text that the plugin reported: escape it before showing it.
    pub text: String,
    /// The totals that the plugin set.
    pub counts: BTreeMap<String, u64>,
    /// Log entries about it that are warnings.
    pub warnings: u64,
    /// Log entries about it that are errors.
    pub errors: u64,
    /// What ended it in place of the plugin, if the plugin crashed.
    pub ended_by: Option<Hresult>,
}

impl ItemReport {
    /// Whether it was not finished when the plugin crashed.
    pub(crate) fn ended_by_crash(&self) -> bool {
        self.status == Status::Failed && self.ended_by.is_some()
    }

    /// The HRESULT of its end.
    pub fn hresult(&self) -> Hresult {
        match (self.status, self.ended_by) {
            (Status::Failed, Some(hresult)) => hresult,
            (status, _) => hresult::from_item_end(status, self.code),
        }
    }
}

/// How many items ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// In sync.
    pub succeeded: usize,
    /// Not in sync.
    pub failed: usize,
    /// Left out, or cancelled one by one.
    pub skipped: usize,
    /// Cancelled with everything.
    pub stopped: usize,
}

impl RunReport {
    /// Makes the report of a run that came to no item, or of which no more is known.
    pub fn without_items(plugin: &str, outcome: Outcome) -> Self {
        Self {
            plugin: plugin.to_owned(),
            outcome,
            items: Vec::new(),
            log: Vec::new(),
            warnings: 0,
            errors: 0,
            dropped_log_entries: 0,
            progress_calls: 0,
            merged_calls: 0,
            refused_calls: 0,
            host_calls: 0,
            compute_time: Duration::ZERO,
            peak_memory_bytes: 0,
            restarts: 0,
        }
    }

    /// Adds what came of starting the plugin again.
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
        self.progress_calls += later.progress_calls;
        self.merged_calls += later.merged_calls;
        self.refused_calls += later.refused_calls;
        self.host_calls += later.host_calls;
        self.compute_time += later.compute_time;
        self.peak_memory_bytes = self.peak_memory_bytes.max(later.peak_memory_bytes);
        self.restarts += 1;
        self
    }

    /// Returns the error of the run, if it failed.
    pub const fn error(&self) -> Option<&SessionError> {
        match &self.outcome {
            Outcome::Failed(error) => Some(error),
            Outcome::Declined
            | Outcome::NothingSelected
            | Outcome::NeedsUser
            | Outcome::Completed => None,
        }
    }

    /// How many items ended how.
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
    /// Cancelling is no failure: `S_OK`, as handlers do it. With failed items it is their
    /// HRESULT where they all have the same, else `E_FAIL`.
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

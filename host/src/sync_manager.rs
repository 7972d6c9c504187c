//! The sync manager of a run: receives the callbacks of a handler, records them, and forwards them
//! to the sink.

pub(crate) mod items;
mod native;
mod throttle;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::error::{Call, TerminationReason};
use crate::hresult::Hresult;
use crate::id::{ErrorId, ItemId};
use crate::limits::monitor::Monitor;
use crate::limits::{Limits, size};
use crate::report::{ItemReport, Outcome, RunReport};
use crate::sink::{Progress, Sink};
use crate::types::{
    Action, ActionKind, Item, LogEntry, LogLevel, ProgressItem, ProgressResponse, Status,
};
use items::{ItemEntry, ItemTable};
use throttle::Throttle;

/// Handles the callbacks of a handler by these rules: absent fields keep their values, a
/// cancellation is repeated, only `failed` may follow a terminal status, and every item gets a
/// terminal status.
///
/// A [`Session`](crate::Session) has one for its plugin. A program that drives a handler by other
/// means, such as a native one, creates one for each run with [`SyncManager::new`].
pub struct SyncManager {
    handler: String,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) items: ItemTable,
    monitor: Arc<Monitor>,
    throttle: Throttle,
    /// The coalesced reports of each item that the sink has not received yet.
    pending: Vec<Option<ProgressItem>>,
    /// The items with pending reports, oldest first. It may contain others, too.
    queue: VecDeque<usize>,
    merged_calls: u64,
    max_items: usize,
    max_item_bytes: u64,
    /// The number of actions that the sink may still receive.
    actions_left: u64,
    actions: BTreeMap<ActionKind, u64>,
    dropped_actions: u64,
    /// The maximum size of the sink's recording; `None` if it does not record.
    max_record_bytes: Option<u64>,
    /// The call of a native handler that exceeded a limit, the limit, and the time at which the
    /// handler was cancelled for it.
    exceeded: Option<(Call, TerminationReason, u64)>,
}

impl std::fmt::Debug for SyncManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncManager").field("handler", &self.handler).finish_non_exhaustive()
    }
}

impl SyncManager {
    pub(crate) fn with_monitor(
        handler: &str,
        sink: Box<dyn Sink>,
        monitor: Arc<Monitor>,
        limits: &Limits,
    ) -> Self {
        let max_record_bytes = sink.recorded_bytes().map(|_| limits.record_bytes);
        Self {
            handler: handler.to_owned(),
            sink,
            items: ItemTable::new(limits.log_entries, limits.log_bytes),
            monitor,
            throttle: Throttle::new(limits.progress_per_second),
            pending: Vec::new(),
            queue: VecDeque::new(),
            merged_calls: 0,
            max_items: size(limits.items),
            max_item_bytes: limits.item_bytes,
            actions_left: limits.actions,
            actions: BTreeMap::new(),
            dropped_actions: 0,
            max_record_bytes,
            exceeded: None,
        }
    }

    /// Terminates the plugin if its items exceed their memory limit.
    #[inline]
    pub(crate) fn check_items(&self) {
        if self.items.item_bytes() > self.max_item_bytes {
            self.monitor.terminate(TerminationReason::ItemBytes);
        }
    }

    /// Terminates the plugin if the recording of its calls exceeds its limit.
    #[inline]
    pub(crate) fn check_record(&self) {
        if let Some(most) = self.max_record_bytes
            && self.sink.recorded_bytes().is_some_and(|bytes| bytes > most)
        {
            self.monitor.terminate(TerminationReason::RecordBytes);
        }
    }

    /// Starts these items from the beginning. Earlier items that are not among them end as skipped.
    pub fn start(&mut self, items: &[Item]) {
        self.flush();
        let left = self.items.unended();
        if !left.is_empty() {
            let again: HashSet<_> = items.iter().map(|item| item.id).collect();
            for item in left.into_iter().filter(|item| !again.contains(item)) {
                self.end_item(item, Status::Skipped, Some("not begun".to_owned()));
            }
        }
        self.items.start(items);
        self.pending.resize_with(self.items.entries().len(), || None);
        self.monitor.cancel.started(items.iter().map(|item| item.id));
        self.monitor.in_sink(|| self.sink.started(items));
    }

    /// Returns whether the text of a report with this status is needed. The last text of an item is
    /// in the report of the run.
    #[inline]
    pub(crate) fn reads_text(&self, status: Option<Status>) -> bool {
        self.sink.reads_text() || status.is_some_and(Status::is_terminal)
    }

    /// Records a report and returns the response. A refused report receives `cancel-item`.
    #[inline]
    pub(crate) fn progress(&mut self, item: ItemId, reported: &ProgressItem) -> ProgressResponse {
        self.record(item, reported, false).unwrap_or(ProgressResponse::CancelItem)
    }

    /// Records a report and returns the response, or `None` if it is refused.
    #[inline]
    fn record(
        &mut self,
        item: ItemId,
        reported: &ProgressItem,
        by_host: bool,
    ) -> Option<ProgressResponse> {
        let recorded = match self.items.record(item, reported) {
            Ok(recorded) => recorded,
            Err(refusal) => {
                if let Some(entry) = self.items.refuse(item, refusal) {
                    self.log(&entry);
                }
                return None;
            }
        };
        if reported.status_text.is_some() {
            self.check_items();
        }
        if let Some(status) = recorded.new_status {
            self.monitor.cancel.moved(item, status);
        }
        let response = self.monitor.cancel.response(Some(item));
        let terminal = recorded.new_status.is_some_and(Status::is_terminal);
        if !terminal && !self.throttle.take(self.monitor.clock.now()) {
            self.merged_calls += 1;
            match &mut self.pending[recorded.index] {
                Some(pending) => merge(pending, reported),
                none => {
                    *none = Some(reported.clone());
                    self.queue.push_back(recorded.index);
                }
            }
            return Some(response);
        }
        let response = match &mut self.pending[recorded.index] {
            // Matching before taking is faster, because there is rarely a pending report.
            pending @ Some(_) => {
                let mut earlier = pending.take().unwrap_or_default();
                merge(&mut earlier, reported);
                self.deliver(recorded.index, &earlier, response, by_host)
            }
            None => self.deliver(recorded.index, reported, response, by_host),
        };
        if !self.queue.is_empty() {
            self.flush_within_rate();
        }
        Some(response)
    }

    /// Delivers a report to the sink, and records the response.
    #[inline]
    fn deliver(
        &mut self,
        index: usize,
        reported: &ProgressItem,
        pending: ProgressResponse,
        by_host: bool,
    ) -> ProgressResponse {
        let entry = &self.items.entries()[index];
        let item = entry.item.id;
        let progress = Progress { item, reported, current: &entry.progress, pending, by_host };
        let response = self.monitor.in_sink(|| self.sink.progress(&progress)).max(pending);
        self.monitor.cancel.answer(item, response);
        if !by_host {
            self.check_record();
        }
        response
    }

    fn flush_within_rate(&mut self) {
        while let Some(&index) = self.queue.front() {
            if self.pending[index].is_some() && !self.throttle.take(self.monitor.clock.now()) {
                return;
            }
            self.queue.pop_front();
            if let Some(reported) = self.pending[index].take() {
                let item = self.items.entries()[index].item.id;
                let pending = self.monitor.cancel.response(Some(item));
                self.deliver(index, &reported, pending, false);
            }
        }
    }

    /// Delivers pending reports, as far as the rate limit allows.
    pub(crate) fn flush_due(&mut self) {
        if !self.queue.is_empty() {
            self.flush_within_rate();
        }
    }

    /// Delivers all pending reports.
    pub(crate) fn flush(&mut self) {
        while let Some(index) = self.queue.pop_front() {
            if let Some(reported) = self.pending[index].take() {
                let item = self.items.entries()[index].item.id;
                let pending = self.monitor.cancel.response(Some(item));
                self.deliver(index, &reported, pending, false);
            }
        }
    }

    /// Delivers the actions of an item, as far as the limit allows.
    pub(crate) fn act(&mut self, item: ItemId, actions: impl ExactSizeIterator<Item = Action>) {
        if !self.items.contains(item) {
            return;
        }
        let count = actions.len() as u64;
        let delivered = count.min(self.actions_left);
        self.actions_left -= delivered;
        self.dropped_actions += count - delivered;
        self.monitor.in_sink(|| {
            for action in actions.take(size(delivered)) {
                *self.actions.entry(action.kind).or_default() += 1;
                self.sink.action(item, &action);
            }
        });
        self.check_record();
    }

    /// Adds a log entry. The first dropped entry is announced.
    pub(crate) fn log(&mut self, entry: &LogEntry) {
        self.add_to_log(entry, |sink| sink.log(entry));
    }

    /// Adds a warning of the host about an HTTP request.
    pub(crate) fn log_http(&mut self, entry: &LogEntry) {
        self.add_to_log(entry, |sink| sink.http_warning(entry));
    }

    fn add_to_log(&mut self, entry: &LogEntry, deliver: impl FnOnce(&mut dyn Sink)) {
        let complete = self.items.dropped() == 0;
        if self.items.log(entry) {
            self.monitor.in_sink(|| deliver(&mut *self.sink));
            self.check_record();
        } else if complete {
            let entry = LogEntry {
                level: LogLevel::Warning,
                text: "there are more messages than the limit; the rest is left out".to_owned(),
                item: None,
                jump: None,
                id: None,
                code: None,
            };
            self.monitor.in_sink(|| self.sink.log(&entry));
        }
    }

    /// Implements `DeleteLogError`; `None` deletes all entries.
    pub fn delete_log(&mut self, id: Option<ErrorId>) {
        if self.items.delete_log(id) {
            self.monitor.in_sink(|| self.sink.log_deleted(id));
            self.check_record();
        }
    }

    /// Gives every unfinished item a terminal status: after `SynchronizeCompleted`, or after the
    /// failure of an earlier call.
    pub fn end_items(&mut self, failure: Option<Hresult>) {
        self.flush();
        let by_user = self.monitor.terminated().is_some_and(TerminationReason::is_cancellation);
        for item in self.items.unended() {
            let status = match self.monitor.cancel.response(Some(item)) {
                // After a crash, an item failed even if it was cancelled before.
                _ if failure.is_some() && !by_user => Status::Failed,
                ProgressResponse::Continue => Status::Failed,
                ProgressResponse::CancelItem => Status::Skipped,
                ProgressResponse::CancelAll => Status::Stopped,
            };
            let text = match (status, failure) {
                (Status::Failed, None) => Some("ended without a result".to_owned()),
                (Status::Failed, Some(_)) => Some("not finished".to_owned()),
                (_, _) => None,
            };
            self.end_item(item, status, text);
        }
        self.items.close();
    }

    /// Ends every item as skipped: they were not started, because user interaction is required.
    pub fn skip_items(&mut self) {
        for item in self.items.unended() {
            self.end_item(item, Status::Skipped, Some("needs the user".to_owned()));
        }
        self.items.close();
    }

    fn end_item(&mut self, item: ItemId, status: Status, status_text: Option<String>) {
        let end =
            ProgressItem { status_text, status_type: Some(status), ..ProgressItem::default() };
        let _ = self.record(item, &end, true);
        self.items.end_by_host(item);
        // The host made this report, so it does not count.
        self.items.progress_calls -= 1;
    }

    /// Returns the report of the run so far, with this outcome. `crash` is the HRESULT of the
    /// plugin's crash, if it crashed.
    pub(crate) fn run_report(
        &self,
        outcome: Outcome,
        crash: Option<Hresult>,
        peak_memory_bytes: usize,
        host_calls: u64,
    ) -> RunReport {
        let items = &self.items;
        let codes = items.codes();
        let warnings = items.count_by_item(LogLevel::Warning);
        let errors = items.count_by_item(LogLevel::Error);
        let item = |entry: &ItemEntry| {
            let id = entry.item.id;
            let code = codes.get(&id).copied();
            ItemReport {
                id,
                name: entry.item.name.clone(),
                status: entry.progress.status_type.unwrap_or(Status::Failed),
                code,
                text: entry.progress.status_text.clone(),
                counts: entry.counts.clone(),
                warnings: warnings.get(&id).copied().unwrap_or(0),
                errors: errors.get(&id).copied().unwrap_or(0),
                ended_by: crash.filter(|_| entry.ended_by_host),
            }
        };
        RunReport {
            plugin: self.handler.clone(),
            outcome,
            items: items.entries().iter().map(item).collect(),
            log: items.log_entries().to_vec(),
            warnings: items.count_entries(LogLevel::Warning),
            errors: items.count_entries(LogLevel::Error),
            dropped_log_entries: items.dropped(),
            actions: self.actions.clone(),
            dropped_actions: self.dropped_actions,
            progress_calls: items.progress_calls,
            merged_calls: self.merged_calls,
            refused_calls: items.refused_calls,
            host_calls,
            compute_time: std::time::Duration::from_nanos(self.monitor.computed()),
            peak_memory_bytes,
            http: BTreeMap::new(),
            restarts: 0,
        }
    }
}

/// Merges a later report into an earlier one; later fields take precedence.
fn merge(earlier: &mut ProgressItem, later: &ProgressItem) {
    if later.status_text.is_some() {
        earlier.status_text.clone_from(&later.status_text);
    }
    earlier.status_type = later.status_type.or(earlier.status_type);
    earlier.prog_value = later.prog_value.or(earlier.prog_value);
    earlier.max_value = later.max_value.or(earlier.max_value);
}

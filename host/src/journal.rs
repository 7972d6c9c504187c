//! What the sync manager hears of a session, and what it remembers.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::error::StopReason;
use crate::event::{Item, LogEntry, LogLevel, ProgressItem, ProgressResponse, Status};
use crate::hresult::Hresult;
use crate::id::{ErrorId, ItemId};
use crate::ledger::{Ledger, Row};
use crate::limits::Limits;
use crate::report::{ItemReport, Outcome, Report};
use crate::sink::{Progress, Sink};
use crate::watch::Watch;

/// The sink of a session and the ledger of its run.
pub(crate) struct Journal {
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) ledger: Ledger,
    watch: Arc<Watch>,
    pace: Pace,
    /// What was reported of each row since the sink heard of it last.
    unheard: Vec<Option<ProgressItem>>,
    /// The rows that the sink has not heard the last of, longest first. May name others, too.
    waiting: VecDeque<usize>,
    merged_calls: u64,
    max_item_bytes: u64,
    /// How much the sink may record; absent: it does not.
    max_record_bytes: Option<u64>,
}

impl Journal {
    pub(crate) fn new(sink: Box<dyn Sink>, watch: Arc<Watch>, limits: &Limits) -> Self {
        let max_record_bytes = sink.recorded_bytes().map(|_| limits.record_bytes);
        Self {
            sink,
            ledger: Ledger::new(limits.log_entries, limits.log_bytes),
            watch,
            pace: Pace::new(limits.progress_per_second),
            unheard: Vec::new(),
            waiting: VecDeque::new(),
            merged_calls: 0,
            max_item_bytes: limits.item_bytes,
            max_record_bytes,
        }
    }

    /// Ends the plugin if its items take more room than they may.
    #[inline]
    pub(crate) fn check_items(&self) {
        if self.ledger.item_bytes() > self.max_item_bytes {
            self.watch.end(StopReason::ItemBytes);
        }
    }

    /// Ends the plugin if the record of its calls takes more room than it may.
    #[inline]
    pub(crate) fn check_record(&self) {
        if let Some(most) = self.max_record_bytes
            && self.sink.recorded_bytes().is_some_and(|bytes| bytes > most)
        {
            self.watch.end(StopReason::RecordBytes);
        }
    }

    /// Takes these items up, each from its start. Those that were taken up before and are not among
    /// them will not be begun any more.
    pub(crate) fn start(&mut self, items: &[Item]) {
        self.flush();
        let left = self.ledger.unended();
        if !left.is_empty() {
            let again: HashSet<_> = items.iter().map(|item| item.id).collect();
            for item in left.into_iter().filter(|item| !again.contains(item)) {
                self.end_item(item, Status::Skipped, Some("not begun".to_owned()));
            }
        }
        self.ledger.start(items);
        self.unheard.resize_with(self.ledger.rows().len(), || None);
        self.watch.cancel.started(items.iter().map(|item| item.id));
        self.watch.in_sink(|| self.sink.started(items));
    }

    /// Whether the text of a report with this status is read by anybody. That of the last one is
    /// in the report of the run.
    #[inline]
    pub(crate) fn reads_text(&self, status: Option<Status>) -> bool {
        self.sink.reads_text() || status.is_some_and(Status::is_terminal)
    }

    /// Takes a report up and answers it. `None`: it is refused.
    #[inline]
    pub(crate) fn report(
        &mut self,
        item: ItemId,
        reported: &ProgressItem,
        by_host: bool,
    ) -> Option<ProgressResponse> {
        let taken = self.ledger.report(item, reported)?;
        if reported.status_text.is_some() {
            self.check_items();
        }
        if let Some(status) = taken.moved {
            self.watch.cancel.moved(item, status);
        }
        let pending = self.watch.cancel.response(Some(item));
        let terminal = taken.moved.is_some_and(Status::is_terminal);
        if !terminal && !self.pace.take(self.watch.clock.now()) {
            self.merged_calls += 1;
            match &mut self.unheard[taken.row] {
                Some(unheard) => merge(unheard, reported),
                none => {
                    *none = Some(reported.clone());
                    self.waiting.push_back(taken.row);
                }
            }
            return Some(pending);
        }
        let response = match &mut self.unheard[taken.row] {
            // Matched first and taken then: most of the time there is nothing.
            unheard @ Some(_) => {
                let mut earlier = unheard.take().unwrap_or_default();
                merge(&mut earlier, reported);
                self.tell(taken.row, &earlier, pending, by_host)
            }
            None => self.tell(taken.row, reported, pending, by_host),
        };
        if !self.waiting.is_empty() {
            self.flush_within_pace();
        }
        Some(response)
    }

    /// Lets the sink hear of a row, and remembers what it answers.
    #[inline]
    fn tell(
        &mut self,
        row: usize,
        reported: &ProgressItem,
        pending: ProgressResponse,
        by_host: bool,
    ) -> ProgressResponse {
        let row = &self.ledger.rows()[row];
        let item = row.item.id;
        let progress = Progress { item, reported, current: &row.standing, pending, by_host };
        let response = self.watch.in_sink(|| self.sink.progress(&progress)).max(pending);
        self.watch.cancel.answer(item, response);
        if !by_host {
            self.check_record();
        }
        response
    }

    fn flush_within_pace(&mut self) {
        while let Some(&row) = self.waiting.front() {
            if self.unheard[row].is_some() && !self.pace.take(self.watch.clock.now()) {
                return;
            }
            self.waiting.pop_front();
            if let Some(reported) = self.unheard[row].take() {
                let item = self.ledger.rows()[row].item.id;
                let pending = self.watch.cancel.response(Some(item));
                self.tell(row, &reported, pending, false);
            }
        }
    }

    /// Lets the sink hear the last of everything, where that is due.
    pub(crate) fn flush_due(&mut self) {
        if !self.waiting.is_empty() {
            self.flush_within_pace();
        }
    }

    /// Lets the sink hear the last of everything.
    pub(crate) fn flush(&mut self) {
        while let Some(row) = self.waiting.pop_front() {
            if let Some(reported) = self.unheard[row].take() {
                let item = self.ledger.rows()[row].item.id;
                let pending = self.watch.cancel.response(Some(item));
                self.tell(row, &reported, pending, false);
            }
        }
    }

    /// Adds a log entry. The first one that is left out is announced.
    pub(crate) fn log(&mut self, entry: &LogEntry) {
        let complete = self.ledger.dropped() == 0;
        if self.ledger.log(entry) {
            self.watch.in_sink(|| self.sink.log(entry));
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
            self.watch.in_sink(|| self.sink.log(&entry));
        }
    }

    pub(crate) fn delete_log(&mut self, id: Option<ErrorId>) {
        if self.ledger.delete_log(id) {
            self.watch.in_sink(|| self.sink.log_deleted(id));
            self.check_record();
        }
    }

    /// Gives every item that has not ended its end.
    pub(crate) fn end_items(&mut self, failure: Option<Hresult>) {
        self.flush();
        let by_user = self.watch.ended().is_some_and(StopReason::is_cancellation);
        for item in self.ledger.unended() {
            let status = match self.watch.cancel.response(Some(item)) {
                // A plugin that died of itself failed, whatever was asked of it before.
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
        self.ledger.close();
    }

    /// Ends every item as skipped: they were not begun.
    pub(crate) fn skip_items(&mut self) {
        for item in self.ledger.unended() {
            self.end_item(item, Status::Skipped, Some("needs the user".to_owned()));
        }
        self.ledger.close();
    }

    fn end_item(&mut self, item: ItemId, status: Status, status_text: Option<String>) {
        let end =
            ProgressItem { status_text, status_type: Some(status), ..ProgressItem::default() };
        let _ = self.report(item, &end, true);
        self.ledger.end_by_host(item);
        // It is the host that reported.
        self.ledger.progress_calls -= 1;
    }

    /// What is remembered, with this outcome. `died`: what the plugin died of, if it did.
    pub(crate) fn outcome(
        &self,
        plugin: &str,
        outcome: Outcome,
        died: Option<Hresult>,
        peak_memory_bytes: usize,
        host_calls: u64,
    ) -> Report {
        let ledger = &self.ledger;
        let codes = ledger.codes();
        let warnings = ledger.count_by_item(LogLevel::Warning);
        let errors = ledger.count_by_item(LogLevel::Error);
        let item = |row: &Row| {
            let id = row.item.id;
            let code = codes.get(&id).copied();
            ItemReport {
                id,
                name: row.item.name.clone(),
                status: row.standing.status_type.unwrap_or(Status::Failed),
                code,
                text: row.standing.status_text.clone(),
                counts: row.counts.clone(),
                warnings: warnings.get(&id).copied().unwrap_or(0),
                errors: errors.get(&id).copied().unwrap_or(0),
                ended_by: died.filter(|_| row.ended_by_host),
            }
        };
        Report {
            plugin: plugin.to_owned(),
            outcome,
            items: ledger.rows().iter().map(item).collect(),
            log: ledger.entries().to_vec(),
            warnings: ledger.count_entries(LogLevel::Warning),
            errors: ledger.count_entries(LogLevel::Error),
            dropped_log_entries: ledger.dropped(),
            progress_calls: ledger.progress_calls,
            merged_calls: self.merged_calls,
            refused_calls: ledger.refused_calls,
            host_calls,
            compute_time: std::time::Duration::from_nanos(self.watch.computed()),
            peak_memory_bytes,
            restarts: 0,
        }
    }
}

/// Adds a later report to an earlier one: what it has is newer.
fn merge(earlier: &mut ProgressItem, later: &ProgressItem) {
    if later.status_text.is_some() {
        earlier.status_text.clone_from(&later.status_text);
    }
    earlier.status_type = later.status_type.or(earlier.status_type);
    earlier.prog_value = later.prog_value.or(earlier.prog_value);
    earlier.max_value = later.max_value.or(earlier.max_value);
}

/// Lets so many through in a second, and as many at once.
#[derive(Debug)]
struct Pace {
    per_second: u64,
    left: u64,
    since: u64,
}

impl Pace {
    const fn new(per_second: u64) -> Self {
        Self { per_second, left: per_second, since: 0 }
    }

    #[inline]
    fn take(&mut self, now: u64) -> bool {
        if self.left == 0 {
            const SECOND: u128 = 1_000_000_000;
            let passed = u128::from(now.saturating_sub(self.since));
            let earned = passed.saturating_mul(u128::from(self.per_second)) / SECOND;
            if earned == 0 {
                return false;
            }
            self.left = u64::try_from(earned).unwrap_or(u64::MAX).min(self.per_second);
            self.since = now;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_kept_over_time() {
        const MILLISECOND: u64 = 1_000_000;
        let mut pace = Pace::new(100);
        pace.since = 1;
        assert_eq!((0..1000).filter(|_| pace.take(1)).count(), 100, "a burst of a second's worth");
        let mut taken = 0;
        for tick in 1..=100 {
            taken += (0..1000).filter(|_| pace.take(1 + tick * 10 * MILLISECOND)).count();
        }
        assert_eq!(taken, 100, "in the second after it");
        assert!(!Pace::new(0).take(5));
    }
}

use std::cell::RefCell;
use std::time::{Duration, Instant};

use crate::bindings::syncmgr::plugin::types as wit;
use crate::callback::{ask, log_with};
use crate::error::{Error, ErrorCode, Result, Stop};
use crate::guid::{ErrorId, ItemId};
use crate::imports::{callback, statistics};

pub use crate::bindings::syncmgr::plugin::types::{LogLevel, Status};

/// What to ask the user; see [`ItemRun::question`].
pub use crate::bindings::syncmgr::plugin::synchronize_callback::UserQuestion;
pub use crate::imports::Pollable;

/// How often [`ItemRun::advance`] and [`ItemRun::working`] report at most. People do not see more, and a report that
/// is not made costs nothing.
const REPORT_INTERVAL: Duration = Duration::from_millis(40);

/// The work on one item: reports to the sync manager, and what it answered.
///
/// Every report returns `Err(Stop::…)` once the user cancelled, and goes on doing so: pass it
/// on with `?` from wherever it suits.
#[derive(Debug)]
pub struct ItemRun {
    item: ItemId,
    ended: bool,
    bytes_per_step: u64,
    done: u64,
    total: u64,
    reported: Option<Instant>,
    /// What was logged last with an id, so that it is not logged again when the item fails of it.
    logged: RefCell<Option<Error>>,
}

impl ItemRun {
    pub(crate) fn new(item: ItemId) -> Self {
        Self {
            item,
            ended: false,
            bytes_per_step: 0,
            done: 0,
            total: 0,
            reported: None,
            logged: RefCell::new(None),
        }
    }

    /// The item.
    pub fn item(&self) -> ItemId {
        self.item
    }

    /// Starts a report; [`Report::send`] makes it.
    pub fn report(&mut self) -> Report<'_> {
        Report {
            run: self,
            item: wit::ProgressItem {
                status_text: None,
                status_type: None,
                prog_value: None,
                max_value: None,
            },
        }
    }

    /// Reports what is being done.
    pub fn text(&mut self, text: impl Into<String>) -> Result<(), Stop> {
        self.report().text(text).send()
    }

    /// Reports that there are `total` bytes to do and none is done, and that the item is being
    /// updated. Steps are scaled so that any number of bytes fits the native 31 bits.
    pub fn total_bytes(&mut self, total: u64) -> Result<(), Stop> {
        self.bytes_per_step = (total >> 31) + 1;
        self.done = 0;
        self.total = total;
        statistics::set_bytes_per_step(self.item.to_wit(), self.bytes_per_step);
        let max = self.steps(total);
        self.report().status(Status::Updating).value(0).max(max).send()
    }

    /// Counts bytes as done. Reports at most every 40 ms, and makes the text only then; learns of
    /// a cancellation from every call.
    pub fn advance(&mut self, bytes: u64, text: impl FnOnce() -> String) -> Result<(), Stop> {
        self.done = self.done.saturating_add(bytes).min(self.total);
        if !self.is_due() {
            return self.check();
        }
        let value = self.steps(self.done);
        self.report().value(value).text(text()).send()
    }

    /// Reports what is being done while the amount is not known. Reports at most every 40 ms, and
    /// makes the text only then; learns of a cancellation from every call.
    pub fn working(&mut self, text: impl FnOnce() -> String) -> Result<(), Stop> {
        match self.is_due() {
            false => self.check(),
            true => self.report().status(Status::UpdatingIndeterminate).text(text()).send(),
        }
    }

    fn is_due(&self) -> bool {
        self.reported.is_none_or(|at| at.elapsed() >= REPORT_INTERVAL)
    }

    /// Learns whether the user cancelled, without reporting anything.
    pub fn check(&self) -> Result<(), Stop> {
        if !callback::is_cancelled(Some(self.item.to_wit())) {
            return Ok(());
        }
        Err(if callback::is_cancelled(None) { Stop::All } else { Stop::Item })
    }

    /// Becomes ready when this item, alone or with everything, is cancelled. Poll it together
    /// with whatever else the plugin waits for.
    pub fn cancelled(&self) -> Pollable {
        callback::subscribe_cancelled(Some(self.item.to_wit()))
    }

    /// Adds an entry about this item to the results that the user sees.
    pub fn log(&self, level: LogLevel, text: &str) {
        self.log_with(level, text, None, None);
    }

    /// Adds an error that [`Plugin::show_error`](crate::Plugin::show_error) can tell more
    /// about. If the item then fails of the same error, it is not logged again.
    pub fn log_error(&self, error: &Error, id: ErrorId) {
        self.logged.replace(Some(error.clone()));
        self.log_with(LogLevel::Error, &error.to_string(), Some(id), Some(error.code));
    }

    fn log_with(&self, level: LogLevel, text: &str, id: Option<ErrorId>, code: Option<ErrorCode>) {
        log_with(level, text, Some(self.item), id, code);
    }

    /// Puts a question about this item to the user and returns the index of the choice. When
    /// the run may not bother the user, that is `default_choice` at once.
    pub fn question(&self, text: &str, choices: &[&str], default_choice: u32) -> Result<u32> {
        ask(Some(self.item), text, choices, default_choice)
    }

    /// Sets a named total in the report: 1 to 64 of `a-z`, `0-9` and `-`.
    pub fn count(&self, name: &str, value: u64) {
        statistics::set_count(self.item.to_wit(), name, value);
    }

    /// Ends the item as its work ended, unless it reported a terminal status itself.
    pub(crate) fn end(&mut self, result: &Result<(), Stop>) {
        let status = match result {
            Ok(()) if self.ended => return,
            Ok(()) => Status::Succeeded,
            Err(Stop::Item) => Status::Skipped,
            Err(Stop::All) => Status::Stopped,
            Err(Stop::Failed(error)) => {
                if self.logged.borrow().as_ref() != Some(error) {
                    self.log_with(LogLevel::Error, &error.to_string(), None, Some(error.code));
                }
                Status::Failed
            }
        };
        // What was done since the last report that was due.
        let value = (self.total > 0).then(|| self.steps(self.done));
        let report = self.report().status(status);
        let report = match value {
            Some(value) => report.value(value),
            None => report,
        };
        // The item is at its end; there is nothing left to cancel.
        let _ = report.send();
    }

    fn steps(&self, bytes: u64) -> i32 {
        i32::try_from(bytes / self.bytes_per_step.max(1)).unwrap_or(i32::MAX)
    }
}

/// One report in the making. What is not set stays as it was reported last.
#[derive(Debug)]
#[must_use = "a report is made by `send`"]
pub struct Report<'a> {
    run: &'a mut ItemRun,
    item: wit::ProgressItem,
}

impl Report<'_> {
    /// What is being done, for people.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.item.status_text = Some(text.into());
        self
    }

    /// Where the item stands.
    pub fn status(mut self, status: Status) -> Self {
        self.item.status_type = Some(status);
        self
    }

    /// How much is done.
    pub fn value(mut self, value: i32) -> Self {
        self.item.prog_value = Some(value);
        self
    }

    /// How much there is to do; 0: not known.
    pub fn max(mut self, max: i32) -> Self {
        self.item.max_value = Some(max);
        self
    }

    /// Makes the report. `Err` when the user cancelled.
    pub fn send(self) -> Result<(), Stop> {
        let Self { run, item } = self;
        run.ended |= match item.status_type {
            Some(
                Status::Stopped
                | Status::Skipped
                | Status::Succeeded
                | Status::Failed
                | Status::Deleted,
            ) => true,
            Some(
                Status::Pending
                | Status::Updating
                | Status::Paused
                | Status::Resuming
                | Status::UpdatingIndeterminate,
            )
            | None => false,
        };
        run.reported = Some(Instant::now());
        match callback::progress(run.item.to_wit(), &item) {
            wit::ProgressResponse::Continue => Ok(()),
            wit::ProgressResponse::CancelItem => Err(Stop::Item),
            wit::ProgressResponse::CancelAll => Err(Stop::All),
        }
    }
}

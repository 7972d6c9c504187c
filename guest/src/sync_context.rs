use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::bindings::syncmgr::plugin::types as wit;
use crate::callback::{ask, log_with};
use crate::error::{Error, ErrorCode, Interrupt, Result};
use crate::guid::{ErrorId, ItemId};
use crate::imports::{callback, statistics};

pub use crate::bindings::syncmgr::plugin::statistics::{Action, ActionKind};
pub use crate::bindings::syncmgr::plugin::types::{LogLevel, Status};

/// A question to the user; see [`SyncContext::question`].
pub use crate::bindings::syncmgr::plugin::synchronize_callback::UserQuestion;
pub use crate::imports::Pollable;

/// The minimum time between two reports of [`SyncContext::advance`] and [`SyncContext::working`].
/// Users do not notice more, and a skipped report costs nothing.
const REPORT_INTERVAL: Duration = Duration::from_millis(40);

/// The number of actions that are reported in one call.
const ACTIONS_AT_ONCE: usize = 256;

/// The work on one item: reports to the sync manager, and its answers.
///
/// Every report returns an [`Interrupt`] once the user cancelled, and keeps doing so. Propagate it
/// with `?` from wherever it occurs.
///
/// # Examples
/// ```
/// use syncmgr_plugin::prelude::*;
///
/// fn upload(context: &mut SyncContext, chunks: &[&[u8]]) -> Result<(), Interrupt> {
///     context.set_total_bytes(chunks.iter().map(|chunk| chunk.len() as u64).sum())?;
///     for chunk in chunks {
///         // Send the chunk here.
///         context.advance(chunk.len() as u64, || "uploading".to_owned())?;
///     }
///     context.set_counter("uploaded", chunks.len() as u64);
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct SyncContext {
    item: ItemId,
    ended: bool,
    bytes_per_step: u64,
    done: u64,
    total: u64,
    reported: Option<Instant>,
    /// Those that were not reported yet.
    actions: Vec<Action>,
    /// The error that was last logged with an id: it is not logged again if the item fails with it.
    logged: RefCell<Option<Error>>,
}

/// The item is no longer in progress.
impl Drop for SyncContext {
    fn drop(&mut self) {
        self.flush_actions();
        CURRENT.set(None);
    }
}

thread_local! {
    /// The item in progress, whose cancellation ends waiting.
    static CURRENT: Cell<Option<ItemId>> = const { Cell::new(None) };
}

/// Returns the interrupt if the user cancelled the run or the item in progress.
pub(crate) fn check_cancelled() -> Result<(), Interrupt> {
    let item = CURRENT.get().map(ItemId::to_wit);
    match callback::is_cancelled(item) {
        true => Err(interrupt()),
        false => Ok(()),
    }
}

/// Returns the interrupt after a cancellation.
pub(crate) fn interrupt() -> Interrupt {
    match callback::is_cancelled(None) {
        true => Interrupt::All,
        false => Interrupt::Item,
    }
}

/// Returns the pollable that becomes ready when the user cancels.
#[cfg(target_family = "wasm")]
pub(crate) fn cancelled() -> Pollable {
    callback::subscribe_cancelled(CURRENT.get().map(ItemId::to_wit))
}

impl SyncContext {
    pub(crate) fn new(item: ItemId) -> Self {
        CURRENT.set(Some(item));
        Self {
            item,
            ended: false,
            bytes_per_step: 0,
            done: 0,
            total: 0,
            reported: None,
            actions: Vec::new(),
            logged: RefCell::new(None),
        }
    }

    /// Returns the id of the item.
    pub fn item(&self) -> ItemId {
        self.item
    }

    /// Starts a report, which [`ProgressBuilder::send`] makes.
    pub fn report(&mut self) -> ProgressBuilder<'_> {
        ProgressBuilder {
            context: self,
            item: wit::ProgressItem {
                status_text: None,
                status_type: None,
                prog_value: None,
                max_value: None,
            },
        }
    }

    /// Reports the status text: what is being done.
    ///
    /// # Errors
    /// Returns an interrupt once the user cancelled.
    pub fn set_status_text(&mut self, text: impl Into<String>) -> Result<(), Interrupt> {
        self.report().text(text).send()
    }

    /// Reports that the item is being updated, with 0 of `total` bytes done. Progress values are
    /// scaled so that any number of bytes fits into the native 31 bits.
    ///
    /// # Errors
    /// Returns an interrupt once the user cancelled.
    pub fn set_total_bytes(&mut self, total: u64) -> Result<(), Interrupt> {
        self.bytes_per_step = (total >> 31) + 1;
        self.done = 0;
        self.total = total;
        statistics::set_bytes_per_step(self.item.to_wit(), self.bytes_per_step);
        let max = self.steps(total);
        self.report().status(Status::Updating).value(0).max(max).send()
    }

    /// Adds bytes to those that are done. Reports at most every 40 ms, and calls `text` only then,
    /// but checks for cancellation on every call.
    ///
    /// # Errors
    /// Returns an interrupt once the user cancelled.
    pub fn advance(&mut self, bytes: u64, text: impl FnOnce() -> String) -> Result<(), Interrupt> {
        self.done = self.done.saturating_add(bytes).min(self.total);
        if !self.is_due() {
            return self.check_cancelled();
        }
        let value = self.steps(self.done);
        self.report().value(value).text(text()).send()
    }

    /// Reports what is being done while the total is unknown. Reports at most every 40 ms, and
    /// calls `text` only then, but checks for cancellation on every call.
    ///
    /// # Errors
    /// Returns an interrupt once the user cancelled.
    pub fn working(&mut self, text: impl FnOnce() -> String) -> Result<(), Interrupt> {
        match self.is_due() {
            false => self.check_cancelled(),
            true => self.report().status(Status::UpdatingIndeterminate).text(text()).send(),
        }
    }

    fn is_due(&self) -> bool {
        self.reported.is_none_or(|at| at.elapsed() >= REPORT_INTERVAL)
    }

    /// Checks whether the user cancelled, without a report.
    ///
    /// # Errors
    /// Returns an interrupt once the user cancelled.
    pub fn check_cancelled(&self) -> Result<(), Interrupt> {
        if !callback::is_cancelled(Some(self.item.to_wit())) {
            return Ok(());
        }
        Err(if callback::is_cancelled(None) { Interrupt::All } else { Interrupt::Item })
    }

    /// Returns a pollable that becomes ready when the user cancels this item or the run, to be
    /// polled together with whatever else the plugin waits for.
    pub fn cancelled(&self) -> Pollable {
        callback::subscribe_cancelled(Some(self.item.to_wit()))
    }

    /// Logs a message for this item, which the user sees in the results.
    pub fn log(&self, level: LogLevel, text: &str) {
        self.log_with(level, text, None, None);
    }

    /// Logs an error for which [`Plugin::show_error`](crate::Plugin::show_error) returns details.
    /// If the item then fails with the same error, it is not logged again.
    pub fn log_error(&self, error: &Error, id: ErrorId) {
        self.logged.replace(Some(error.clone()));
        self.log_with(LogLevel::Error, &error.to_string(), Some(id), Some(error.code));
    }

    fn log_with(&self, level: LogLevel, text: &str, id: Option<ErrorId>, code: Option<ErrorCode>) {
        log_with(level, text, Some(self.item), id, code);
    }

    /// Asks the user a question about this item and returns the index of the answer in `choices`.
    /// Returns `default_choice` at once in a run without user interaction.
    ///
    /// # Errors
    /// Fails with [`InvalidArgument`](ErrorCode::InvalidArgument) if there are no choices, more
    /// than 16, or if `default_choice` is not an index of `choices`.
    pub fn question(&self, text: &str, choices: &[&str], default_choice: u32) -> Result<u32> {
        ask(Some(self.item), text, choices, default_choice)
    }

    /// Sets a named counter in the report of the run. The name has 1 to 64 of `a-z`, `0-9` and `-`.
    pub fn set_counter(&self, name: &str, value: u64) {
        statistics::set_count(self.item.to_wit(), name, value);
    }

    /// Reports an action on an entry, for the history of the item. Actions are passed on together,
    /// with the next report at the latest.
    ///
    /// # Examples
    /// ```
    /// use syncmgr_plugin::prelude::*;
    ///
    /// fn delete(context: &mut SyncContext, path: &str) {
    ///     // Delete the entry here.
    ///     context.report_action(Action {
    ///         kind: ActionKind::Deleted,
    ///         side: Some("remote".to_owned()),
    ///         path: path.to_owned(),
    ///         size: None,
    ///         detail: None,
    ///     });
    /// }
    /// # fn main() {}
    /// ```
    pub fn report_action(&mut self, action: Action) {
        self.actions.push(action);
        if self.actions.len() >= ACTIONS_AT_ONCE {
            self.flush_actions();
        }
    }

    fn flush_actions(&mut self) {
        if !self.actions.is_empty() {
            statistics::report_actions(self.item.to_wit(), &self.actions);
            self.actions.clear();
        }
    }

    /// Reports the terminal status for a result, unless the plugin reported one.
    pub(crate) fn end(&mut self, result: &Result<(), Interrupt>) {
        let status = match result {
            Ok(()) if self.ended => return,
            Ok(()) => Status::Succeeded,
            Err(Interrupt::Item) => Status::Skipped,
            Err(Interrupt::All) => Status::Stopped,
            Err(Interrupt::Failed(error)) => {
                if self.logged.borrow().as_ref() != Some(error) {
                    self.log_with(LogLevel::Error, &error.to_string(), None, Some(error.code));
                }
                Status::Failed
            }
        };
        // The progress since the last report that was due.
        let value = (self.total > 0).then(|| self.steps(self.done));
        let report = self.report().status(status);
        let report = match value {
            Some(value) => report.value(value),
            None => report,
        };
        // The item has ended; nothing is left to cancel.
        let _ = report.send();
    }

    fn steps(&self, bytes: u64) -> i32 {
        i32::try_from(bytes / self.bytes_per_step.max(1)).unwrap_or(i32::MAX)
    }
}

/// Builds one report. Fields that are not set keep the value of the last report.
///
/// # Examples
/// ```
/// use syncmgr_plugin::prelude::*;
///
/// fn count(context: &mut SyncContext) -> Result<(), Interrupt> {
///     (1..=10).try_for_each(|value| context.report().value(value).max(10).text("counting").send())
/// }
/// # fn main() {}
/// ```
#[derive(Debug)]
#[must_use = "a report is made by `send`"]
pub struct ProgressBuilder<'a> {
    context: &'a mut SyncContext,
    item: wit::ProgressItem,
}

impl ProgressBuilder<'_> {
    /// Sets the status text, which the user sees.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.item.status_text = Some(text.into());
        self
    }

    /// Sets the status of the item. A terminal status ends the item.
    pub fn status(mut self, status: Status) -> Self {
        self.item.status_type = Some(status);
        self
    }

    /// Sets the progress value.
    pub fn value(mut self, value: i32) -> Self {
        self.item.prog_value = Some(value);
        self
    }

    /// Sets the maximum of the progress value; 0 is unknown.
    pub fn max(mut self, max: i32) -> Self {
        self.item.max_value = Some(max);
        self
    }

    /// Makes the report.
    ///
    /// # Errors
    /// Returns an interrupt once the user cancelled.
    pub fn send(self) -> Result<(), Interrupt> {
        let Self { context, item } = self;
        context.ended |= item.status_type.is_some_and(Status::is_terminal);
        context.reported = Some(Instant::now());
        context.flush_actions();
        match callback::progress(context.item.to_wit(), &item) {
            wit::ProgressResponse::Continue => Ok(()),
            wit::ProgressResponse::CancelItem => Err(Interrupt::Item),
            wit::ProgressResponse::CancelAll => Err(Interrupt::All),
        }
    }
}

impl Status {
    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Self::Stopped | Self::Skipped | Self::Succeeded | Self::Failed | Self::Deleted => true,
            Self::Pending
            | Self::Updating
            | Self::Paused
            | Self::Resuming
            | Self::UpdatingIndeterminate => false,
        }
    }
}

//! The methods for programs that drive a native handler instead of a plugin.

use std::sync::Arc;
use std::time::Duration;

use super::SyncManager;
use crate::cancel::CancelHandle;
use crate::convert;
use crate::error::{Call, SessionError, TerminationReason};
use crate::id::{ErrorId, ItemId};
use crate::limits::Limits;
use crate::limits::clock::CoarseClock;
use crate::limits::monitor::Monitor;
use crate::report::{Outcome, RunReport};
use crate::session::run::{self, Selection};
use crate::sink::{Discard, Sink};
use crate::types::{ErrorCode, Item, LogEntry, ProgressItem, ProgressResponse, Status};

impl SyncManager {
    /// Creates a sync manager for a run of the native handler with this name. The limits on items,
    /// progress, the log and time apply; time limits are checked in [`SyncManager::overdue`].
    pub fn new(
        handler: &str,
        sink: impl Sink + 'static,
        cancel: CancelHandle,
        limits: &Limits,
    ) -> Self {
        let monitor = Arc::new(Monitor::new(cancel, Arc::new(CoarseClock::new()), limits));
        Self::with_monitor(handler, Box::new(sink), monitor, limits)
    }

    /// Sets the name that the handler reports for itself.
    pub fn rename(&mut self, handler: &str) {
        handler.clone_into(&mut self.handler);
    }

    /// Returns the maximum number of items of a handler.
    pub fn max_items(&self) -> usize {
        self.max_items
    }

    /// Returns the items that participate in the run.
    ///
    /// # Errors
    /// Returns [`SessionError::UnknownItem`] if the selection names an unknown item.
    pub fn select(
        &self,
        items: &[Item],
        selection: &Selection,
    ) -> Result<Vec<ItemId>, SessionError> {
        run::select(&self.handler, items, selection)
    }

    /// Implements `Progress`. Values are clamped to their range, as for a plugin. A refused report
    /// receives `cancel-item`.
    pub fn native_progress(&mut self, item: ItemId, reported: ProgressItem) -> ProgressResponse {
        self.monitor.clock.advance();
        self.progress(item, &convert::bounded(reported))
    }

    /// Implements `LogError`. Returns `false` if the entry is about an item that is not part of
    /// this run.
    pub fn log_error(&mut self, mut entry: LogEntry) -> bool {
        if entry.item.is_some_and(|item| !self.items.contains(item)) {
            return false;
        }
        entry.text = convert::cut(entry.text, convert::TEXT_BYTES);
        self.log(&entry);
        true
    }

    /// Returns the errors that have details (`SYNCMGRERRORFLAG_ENABLEJUMPTEXT`), each once.
    pub fn errors_to_show(&self) -> Vec<ErrorId> {
        run::errors_to_show(self.items.log_entries())
    }

    /// Begins a call of the handler. It lasts until its completion, if it has one.
    pub fn begin_call(&mut self, call: Call) {
        self.monitor.begin_call(call);
    }

    /// Ends the call.
    pub fn end_call(&mut self) {
        self.monitor.end_call();
    }

    /// Records that the handler called back or waits for the user: it is not silent.
    pub fn touch(&mut self) {
        self.monitor.clock.advance();
        self.monitor.touch();
    }

    /// Returns the reason if the call in progress must be abandoned: the handler continued
    /// cancelled work for longer than [`Limits::grace`], or was [killed](CancelHandle::kill). Call
    /// this every few milliseconds.
    ///
    /// A call that takes longer than [`Limits::wall_time`], or in which the handler is silent for
    /// longer than [`Limits::idle_time`], is cancelled first.
    pub fn overdue(&mut self) -> Option<SessionError> {
        let now = self.monitor.clock.advance();
        self.monitor.tick(now);
        let call = self.monitor.call()?;
        let reason = match self.is_killed() {
            true => TerminationReason::Killed,
            false => self.monitor.terminated()?,
        };
        if reason.is_cancellation() {
            return Some(self.monitor.error(self.handler.clone(), call, reason));
        }
        if self.exceeded.is_none() {
            self.exceeded = Some((call, reason, now));
            self.monitor.cancel.cancel_all();
        }
        let (.., since) = self.exceeded?;
        self.exceeded().filter(|_| now.saturating_sub(since) >= self.monitor.grace())
    }

    /// Returns how long the handler has been silent in the call in progress.
    pub fn silent_for(&self) -> Duration {
        Duration::from_nanos(self.monitor.silent_for(self.monitor.clock.advance()))
    }

    /// Returns [`Limits::idle_time`] for display.
    pub fn idle_time(&self) -> String {
        self.monitor.limit("idle-time").unwrap_or_default()
    }

    /// Returns the call in progress, or the last one.
    pub fn call(&self) -> Call {
        self.monitor.call().unwrap_or(Call::Initialize)
    }

    /// Returns the exceeded limit as an error: the run failed even if the handler stopped in time.
    pub fn exceeded(&self) -> Option<SessionError> {
        let (call, reason, _) = self.exceeded?;
        Some(self.monitor.error(self.handler.clone(), call, reason))
    }

    /// Drops the sink. It receives nothing afterwards.
    pub fn release_sink(&mut self) {
        self.sink = Box::new(Discard);
    }

    /// Returns the cancellations since the last call. The handler receives them with
    /// `SetItemStatus`.
    pub fn take_pushes(&self) -> Vec<(Option<ItemId>, Status)> {
        self.monitor.cancel.take_pushes()
    }

    /// Returns whether everything was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.monitor.cancel.response(None) == ProgressResponse::CancelAll
    }

    /// Delivers coalesced reports that are due. Call it every few milliseconds.
    pub fn tick(&mut self) {
        self.monitor.clock.advance();
        self.flush_due();
    }

    /// Returns whether the run was [killed](CancelHandle::kill).
    pub fn is_killed(&self) -> bool {
        self.monitor.cancel.is_killed()
    }

    /// Implements `EstablishConnection`.
    ///
    /// # Errors
    /// Returns the error of the sink.
    pub fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        self.sink.establish_connection(connection)
    }

    /// Returns the report of the run so far, with this outcome.
    pub fn report(&self, outcome: Outcome) -> RunReport {
        self.run_report(outcome, None, 0, 0)
    }
}

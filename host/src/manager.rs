//! The sync manager's side of a run whose handler is no plugin of ours.

use std::sync::Arc;
use std::time::Duration;

use crate::cancel::CancelHandle;
use crate::clock::Coarse;
use crate::convert;
use crate::error::{Call, SessionError, StopReason};
use crate::event::{Item, LogEntry, ProgressItem, ProgressResponse, Status};
use crate::hresult::{ErrorCode, Hresult};
use crate::id::{ErrorId, ItemId};
use crate::journal::Journal;
use crate::limits::Limits;
use crate::report::{Outcome, Report};
use crate::run::{self, Selection};
use crate::sink::{Discard, Sink};
use crate::watch::Watch;

/// Takes the callbacks of a handler that is no plugin, such as a native one, by the rules that
/// hold for plugins: absent fields keep their values, a cancellation is repeated, only `failed`
/// follows a terminal status, and every item has an end.
///
/// A [`Session`](crate::Session) does all this for its plugin. Whoever drives a handler by other
/// means has one of these for each run.
pub struct Manager {
    handler: String,
    journal: Journal,
    watch: Arc<Watch>,
    max_items: usize,
    grace: u64,
    idle_time: String,
    /// The call that exceeded a limit, which one, and since when it is cancelled for that.
    exceeded: Option<(Call, StopReason, u64)>,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("handler", &self.handler).finish_non_exhaustive()
    }
}

impl Manager {
    /// For a run of the handler of this name. Of the limits, those on items, progress, the log and
    /// time hold, the last ones where [`Manager::overdue`] is asked.
    pub fn new(
        handler: &str,
        sink: impl Sink + 'static,
        cancel: CancelHandle,
        limits: &Limits,
    ) -> Self {
        let watch = Arc::new(Watch::new(cancel, Arc::new(Coarse::new()), limits));
        Self {
            handler: handler.to_owned(),
            journal: Journal::new(Box::new(sink), Arc::clone(&watch), limits),
            watch,
            max_items: crate::limits::size(limits.items),
            grace: crate::clock::nanoseconds(limits.grace),
            idle_time: limits.value("idle-time").unwrap_or_default(),
            exceeded: None,
        }
    }

    /// Gives the handler the name that it has given itself.
    pub fn rename(&mut self, handler: &str) {
        handler.clone_into(&mut self.handler);
    }

    /// How many items a handler may list.
    pub fn max_items(&self) -> usize {
        self.max_items
    }

    /// The items that take part.
    ///
    /// # Errors
    /// [`SessionError::UnknownItem`].
    pub fn select(
        &self,
        items: &[Item],
        selection: &Selection,
    ) -> Result<Vec<ItemId>, SessionError> {
        run::select(&self.handler, items, selection)
    }

    /// Takes these items up, each from its start.
    pub fn start(&mut self, items: &[Item]) {
        self.journal.start(items);
    }

    /// `Progress`. What is out of range is brought into it, as for a plugin. A report that is
    /// refused is answered with `cancel-item`.
    pub fn progress(&mut self, item: ItemId, reported: ProgressItem) -> ProgressResponse {
        self.watch.clock.advance();
        let reported = convert::bounded(reported);
        self.journal.report(item, &reported, false).unwrap_or(ProgressResponse::CancelItem)
    }

    /// `LogError`; `false`: it is about an item that is none of this run.
    pub fn log(&mut self, mut entry: LogEntry) -> bool {
        if entry.item.is_some_and(|item| !self.journal.ledger.contains(item)) {
            return false;
        }
        entry.text = convert::cut(entry.text, convert::TEXT_BYTES);
        self.journal.log(&entry);
        true
    }

    /// `DeleteLogError`; `None`: all entries.
    pub fn delete_log(&mut self, id: Option<ErrorId>) {
        self.journal.delete_log(id);
    }

    /// The errors that can tell more (`SYNCMGRERRORFLAG_ENABLEJUMPTEXT`), each once.
    pub fn errors_to_show(&self) -> Vec<ErrorId> {
        run::errors_to_show(self.journal.ledger.entries())
    }

    /// A call of the handler begins. It lasts until its completion, if it has one.
    pub fn begin_call(&mut self, call: Call) {
        self.watch.begin_call(call);
    }

    /// The call has come to its end.
    pub fn end_call(&mut self) {
        self.watch.end_call();
    }

    /// The handler has called back, or waits for the user: it is not silent.
    pub fn sign_of_life(&mut self) {
        self.watch.clock.advance();
        self.watch.sign_of_life();
    }

    /// Whether the call in progress is to be given up on, and why: the handler goes on with what
    /// was cancelled for longer than [`Limits::grace`], or was [killed](CancelHandle::kill). To be
    /// asked every few milliseconds.
    ///
    /// A call that takes longer than [`Limits::wall_time`], or in which the handler is silent for
    /// longer than [`Limits::idle_time`], is cancelled first.
    pub fn overdue(&mut self) -> Option<SessionError> {
        let now = self.watch.clock.advance();
        self.watch.tick(now);
        let call = self.watch.call()?;
        let reason = match self.is_killed() {
            true => StopReason::Killed,
            false => self.watch.ended()?,
        };
        if reason.is_cancellation() {
            return Some(self.watch.error(self.handler.clone(), call, reason));
        }
        if self.exceeded.is_none() {
            self.exceeded = Some((call, reason, now));
            self.watch.cancel.cancel_all();
        }
        let (.., since) = self.exceeded?;
        self.exceeded().filter(|_| now.saturating_sub(since) >= self.grace)
    }

    /// For how long the handler has been silent in the call in progress.
    pub fn silent_for(&self) -> Duration {
        Duration::from_nanos(self.watch.silent_for(self.watch.clock.advance()))
    }

    /// [`Limits::idle_time`], as texts give it.
    pub fn idle_time(&self) -> &str {
        &self.idle_time
    }

    /// The call in progress, or the last one.
    pub fn call(&self) -> Call {
        self.watch.call().unwrap_or(Call::Initialize)
    }

    /// The limit that was exceeded, as the error that the run ends with, though the handler stopped
    /// in time.
    pub fn exceeded(&self) -> Option<SessionError> {
        let (call, reason, _) = self.exceeded?;
        Some(self.watch.error(self.handler.clone(), call, reason))
    }

    /// Lets go of the sink. Nothing is shown after that.
    pub fn release_sink(&mut self) {
        self.journal.sink = Box::new(Discard);
    }

    /// What was cancelled since this was last asked, and the handler has to be told with
    /// `SetItemStatus`.
    pub fn take_pushes(&self) -> Vec<(Option<ItemId>, Status)> {
        self.watch.cancel.take_pushes()
    }

    /// Whether everything was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.watch.cancel.response(None) == ProgressResponse::CancelAll
    }

    /// Lets the sink hear of reports that were merged, as far as that is due. To be called now and
    /// then.
    pub fn flush_due(&mut self) {
        self.watch.clock.advance();
        self.journal.flush_due();
    }

    /// Whether the run is to end whatever the handler does: [`CancelHandle::kill`].
    pub fn is_killed(&self) -> bool {
        self.watch.cancel.is_killed()
    }

    /// `EstablishConnection`.
    ///
    /// # Errors
    /// What the sink answers.
    pub fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        self.journal.sink.establish_connection(connection)
    }

    /// Gives every item that has none its end: after `SynchronizeCompleted`, or what failed
    /// before it.
    pub fn end_items(&mut self, failure: Option<Hresult>) {
        self.journal.end_items(failure);
    }

    /// Ends every item as skipped: they were not begun, for want of the user.
    pub fn skip_items(&mut self) {
        self.journal.skip_items();
    }

    /// What is remembered about the run so far, with this outcome.
    pub fn report(&self, outcome: Outcome) -> Report {
        self.journal.outcome(&self.handler, outcome, None, 0, 0)
    }
}

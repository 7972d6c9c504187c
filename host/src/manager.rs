//! The sync manager's side of a run whose handler is no plugin of ours.

use std::sync::Arc;

use crate::cancel::CancelHandle;
use crate::clock::Coarse;
use crate::convert;
use crate::error::SessionError;
use crate::event::{Item, LogEntry, ProgressItem, ProgressResponse, Status};
use crate::hresult::{ErrorCode, Hresult};
use crate::id::{ErrorId, ItemId};
use crate::journal::Journal;
use crate::limits::Limits;
use crate::report::{Outcome, Report};
use crate::run::{self, Selection};
use crate::sink::Sink;
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
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("handler", &self.handler).finish_non_exhaustive()
    }
}

impl Manager {
    /// For a run of the handler of this name. Of the limits, those on items, progress and the log
    /// hold.
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

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syncmgr_host::sink::{JsonLines, Progress, Sink};
use syncmgr_host::{
    Action, ErrorDetail, ErrorId, Item, ItemId, LogEntry, ProgressResponse, Question, RunReport,
};
use uuid::Uuid;

use crate::output::{Stdout, stdout};

/// JSON lines on standard output. The session holds a clone of it while it runs; the report comes
/// after the session.
#[derive(Clone)]
pub(crate) struct Json(Arc<Mutex<JsonLines<Stdout>>>);

impl Json {
    /// `max_bytes`: the limit `json-bytes`. `run`: the id of the run.
    pub(crate) fn new(max_bytes: u64, run: Uuid) -> Self {
        let lines = JsonLines::new(stdout()).with_limit(max_bytes).with_run(run);
        Self(Arc::new(Mutex::new(lines)))
    }

    fn lock(&self) -> MutexGuard<'_, JsonLines<Stdout>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints the report with the exit status, and returns the first error of writing. An abandoned
    /// session may still hold a clone.
    pub(crate) fn finish(self, report: &RunReport, exit: u8) -> std::io::Result<()> {
        self.lock().report(report, Some(exit));
        let done = JsonLines::new(stdout());
        std::mem::replace(&mut *self.lock(), done).finish().map(|_| ())
    }
}

impl Sink for Json {
    fn started(&mut self, items: &[Item]) {
        self.lock().started(items);
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        self.lock().progress(progress)
    }

    fn action(&mut self, item: ItemId, action: &Action) {
        self.lock().action(item, action);
    }

    fn log(&mut self, entry: &LogEntry) {
        self.lock().log(entry);
    }

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        self.lock().log_deleted(id);
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        self.lock().question(question)
    }

    fn error_shown(&mut self, id: ErrorId, detail: &ErrorDetail) {
        self.lock().error_shown(id, detail);
    }
}

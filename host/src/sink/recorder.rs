use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::{Item, LogEntry, ProgressItem, ProgressResponse, Question};
use crate::id::{ErrorId, ItemId};
use crate::sink::{Progress, Sink};

/// One callback, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The items of the run.
    Started(Vec<ItemId>),
    /// A report.
    Progress {
        /// The item.
        item: ItemId,
        /// What was reported.
        reported: ProgressItem,
        /// What was answered.
        response: ProgressResponse,
        /// Whether the host reported it.
        by_host: bool,
    },
    /// A log entry.
    Log(LogEntry),
    /// Log entries were taken back.
    LogDeleted(Option<ErrorId>),
    /// A question was asked, and got its default answer.
    Question(Question),
}

/// Keeps everything in order. Clones are the same recorder, so one stays at hand while another
/// one is in the session.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    recorded: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    /// A recorder that has recorded nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was recorded so far.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Recorder {
    fn started(&mut self, items: &[Item]) {
        self.lock().push(Recorded::Started(items.iter().map(|item| item.id).collect()));
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        self.lock().push(Recorded::Progress {
            item: progress.item,
            reported: progress.reported.clone(),
            response: progress.pending,
            by_host: progress.by_host,
        });
        ProgressResponse::Continue
    }

    fn log(&mut self, entry: &LogEntry) {
        self.lock().push(Recorded::Log(entry.clone()));
    }

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        self.lock().push(Recorded::LogDeleted(id));
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        self.lock().push(Recorded::Question(question.clone()));
        None
    }
}

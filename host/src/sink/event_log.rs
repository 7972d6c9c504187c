use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::id::{ErrorId, ItemId};
use crate::sink::{Progress, Sink};
use crate::types::{Action, Item, LogEntry, ProgressItem, ProgressResponse, Question};

/// A recorded callback.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// The items of the run.
    Started(Vec<ItemId>),
    /// A report.
    Progress {
        /// The item.
        item: ItemId,
        /// The report.
        reported: ProgressItem,
        /// The response.
        response: ProgressResponse,
        /// Whether the host reported it.
        by_host: bool,
    },
    /// An action on an entry.
    Action {
        /// The item.
        item: ItemId,
        /// The action.
        action: Action,
    },
    /// A log entry.
    Log(LogEntry),
    /// Log entries were deleted.
    LogDeleted(Option<ErrorId>),
    /// A question, which received its default answer.
    Question(Question),
}

/// Records all callbacks in order, up to the limit `record-bytes`. Clones share one log, so the
/// caller can keep one while the session has another.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    recorded: Vec<Recorded>,
    /// The memory that the callbacks use.
    bytes: u64,
}

impl Kept {
    fn push(&mut self, recorded: Recorded) {
        self.bytes += size_of::<Recorded>() as u64 + recorded.content_bytes();
        self.recorded.push(recorded);
    }
}

impl Recorded {
    /// Returns the memory that the callback uses outside its own size.
    fn content_bytes(&self) -> u64 {
        let bytes = match self {
            Self::Started(items) => size_of_val(items.as_slice()),
            Self::Progress { reported, .. } => reported.status_text.as_ref().map_or(0, String::len),
            Self::Action { action: Action { side, path, detail, .. }, .. } => {
                let optional = [side, detail].map(|text| text.as_ref().map_or(0, String::len));
                path.len() + optional.iter().sum::<usize>()
            }
            Self::Log(entry) => entry.text.len(),
            Self::LogDeleted(_) => 0,
            Self::Question(question) => {
                let choices =
                    question.choices.iter().map(|choice| size_of::<String>() + choice.len());
                question.text.len() + choices.sum::<usize>()
            }
        };
        bytes as u64
    }
}

impl EventLog {
    /// Creates an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the callbacks so far.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.lock().recorded.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for EventLog {
    fn started(&mut self, items: &[Item]) {
        self.lock().push(Recorded::Started(items.iter().map(|item| item.id).collect()));
    }

    fn recorded_bytes(&self) -> Option<u64> {
        Some(self.lock().bytes)
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

    fn action(&mut self, item: ItemId, action: &Action) {
        self.lock().push(Recorded::Action { item, action: action.clone() });
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

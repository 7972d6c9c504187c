//! Sinks receive the callbacks of a plugin.

mod event_log;
mod json_lines;

pub use event_log::{EventLog, Recorded};
pub use json_lines::JsonLines;

use crate::id::{ErrorId, ItemId};
use crate::types::ErrorCode;
use crate::types::{
    Action, ErrorDetail, Item, LogEntry, ProgressItem, ProgressResponse, Question, Status,
};

/// One report, and the progress of its item.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The item, always one of the run.
    pub item: ItemId,
    /// The report of the plugin, within bounds.
    pub reported: &'a ProgressItem,
    /// The progress of the item, including this report.
    pub current: &'a ItemProgress,
    /// The response for the plugin, unless the sink returns a stronger one.
    pub pending: ProgressResponse,
    /// Whether the host created the report, for an item that the plugin left without a terminal
    /// status.
    pub by_host: bool,
}

/// The progress of an item: the last value of each field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ItemProgress {
    /// The last text; empty if there is none.
    pub status_text: String,
    /// The last status, if there is one.
    pub status_type: Option<Status>,
    /// The last value, at most `max_value` if that is known.
    pub prog_value: i32,
    /// The last maximum; 0 if it is unknown.
    pub max_value: i32,
    /// The number of bytes per step of the value; 0 if steps are not bytes.
    pub bytes_per_step: u64,
}

/// Receives the callbacks of a plugin. Each method has a default.
///
/// The methods run on the session's thread, in the order of the plugin's calls. The plugin waits
/// until they return.
pub trait Sink: Send {
    /// Receives the items of the run before it prepares and synchronizes them.
    fn started(&mut self, items: &[Item]) {
        let _ = items;
    }

    /// Returns whether the sink reads the texts of reports. If not, only the last text of an item
    /// is copied.
    fn reads_text(&self) -> bool {
        true
    }

    /// Returns the number of bytes of the session that this sink has recorded, if they count
    /// against the limit `record-bytes`. Called once at the beginning, and after each call if the
    /// first result was not `None`.
    fn recorded_bytes(&self) -> Option<u64> {
        None
    }

    /// Handles a report. The response is the stronger of the returned one and `progress.pending`.
    /// It is sticky.
    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let _ = progress;
        ProgressResponse::Continue
    }

    /// Handles an action that the plugin performed on an entry of an item of the run.
    fn action(&mut self, item: ItemId, action: &Action) {
        let _ = (item, action);
    }

    /// Handles a new log entry.
    fn log(&mut self, entry: &LogEntry) {
        let _ = entry;
    }

    /// Handles a new log entry of the host about an HTTP request of the plugin. By default like any
    /// other.
    fn http_warning(&mut self, entry: &LogEntry) {
        self.log(entry);
    }

    /// Handles the deletion of the entries with this id, or (`None`) of all entries.
    fn log_deleted(&mut self, id: Option<ErrorId>) {
        let _ = id;
    }

    /// Asks the user a question. Called only if the run may bother the user. Returns the index of
    /// the chosen answer; `None` or an invalid index selects the default.
    fn question(&mut self, question: &Question) -> Option<usize> {
        let _ = question;
        None
    }

    /// Handles the plugin's details about one of its errors, which a run with retries requests.
    fn error_shown(&mut self, id: ErrorId, detail: &ErrorDetail) {
        let _ = (id, detail);
    }

    /// Establishes a network connection; `None` is the default connection.
    fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        let _ = connection;
        Err(ErrorCode::NotImplemented)
    }
}

/// A sink that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl Sink for Discard {
    fn reads_text(&self) -> bool {
        false
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn started(&mut self, items: &[Item]) {
        (**self).started(items);
    }

    fn reads_text(&self) -> bool {
        (**self).reads_text()
    }

    fn recorded_bytes(&self) -> Option<u64> {
        (**self).recorded_bytes()
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        (**self).progress(progress)
    }

    fn action(&mut self, item: ItemId, action: &Action) {
        (**self).action(item, action);
    }

    fn log(&mut self, entry: &LogEntry) {
        (**self).log(entry);
    }

    fn http_warning(&mut self, entry: &LogEntry) {
        (**self).http_warning(entry);
    }

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        (**self).log_deleted(id);
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        (**self).question(question)
    }

    fn error_shown(&mut self, id: ErrorId, detail: &ErrorDetail) {
        (**self).error_shown(id, detail);
    }

    fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        (**self).establish_connection(connection)
    }
}

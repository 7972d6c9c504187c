//! Records a run. A thread writes to the database, so that a run does not wait for the disk.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    Action, ErrorCode, ErrorDetail, ErrorId, Item, ItemId, LogEntry, ProgressResponse, Question,
    RunReport, Status,
};

use super::database::{HistoryError, database};
use super::writer::{Ended, MESSAGES, Message, NewRun, Writer};

/// The number of actions that are passed to the thread together.
const ACTIONS_AT_ONCE: usize = 256;

/// The time after which fewer are passed on, so that a killed run loses little of its history.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a run waits in total for a database that another program blocks.
const PATIENCE: Duration = Duration::from_secs(5);

/// Records one run.
pub struct HistoryRecorder {
    sender: Sender,
    thread: JoinHandle<Result<(), HistoryError>>,
    path: PathBuf,
    /// A damaged database that was set aside.
    aside: Option<PathBuf>,
}

impl std::fmt::Debug for HistoryRecorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistoryRecorder").finish_non_exhaustive()
    }
}

/// Passes messages to the thread.
#[derive(Clone)]
struct Sender {
    to: SyncSender<Message>,
    /// The time for which the run may still wait.
    patience: Arc<Mutex<Duration>>,
}

impl Sender {
    /// Sends a message. Waits only for a limited time in total: recording must not stop a run.
    fn send(&self, mut message: Message) {
        let mut patience = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let since = Instant::now();
        loop {
            match self.to.try_send(message) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => break,
                Err(TrySendError::Full(_)) if since.elapsed() >= *patience => break,
                Err(TrySendError::Full(again)) => {
                    message = again;
                    thread::sleep(Duration::from_millis(2));
                }
            }
        }
        *patience = patience.saturating_sub(since.elapsed());
    }

    fn is_exhausted(&self) -> bool {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner).is_zero()
    }
}

impl HistoryRecorder {
    /// Begins to record a run in the database of a state directory.
    ///
    /// # Errors
    /// Returns [`HistoryError`] if the database cannot be used. The run can go on without it.
    pub fn start(state: &Path, run: NewRun) -> Result<Self, HistoryError> {
        let (writer, aside) = Writer::begin(state, run)?;
        let path = writer.path().to_owned();
        let (to, messages) = mpsc::sync_channel(MESSAGES);
        let thread = thread::Builder::new()
            .name("syncmgr-history".to_owned())
            .spawn(move || writer.serve(&messages))
            .map_err(database(&path))?;
        let patience = Arc::new(Mutex::new(PATIENCE));
        Ok(Self { sender: Sender { to, patience }, thread, path, aside })
    }

    /// Returns the new path of a damaged database that was set aside for a new one.
    pub fn damaged(&self) -> Option<&Path> {
        self.aside.as_deref()
    }

    /// Returns a sink that records what it passes on to another one.
    pub fn sink<S>(&self, inner: S) -> HistorySink<S> {
        let sender = self.sender.clone();
        HistorySink { inner, sender, actions: Vec::new(), passed: Instant::now() }
    }

    /// Records the end of the run, and waits until everything is written.
    ///
    /// # Errors
    /// Returns the first [`HistoryError`] of the run: what follows it is not recorded.
    pub fn finish(self, report: &RunReport, exit_code: u8) -> Result<(), HistoryError> {
        self.end(Ended::new(report, exit_code))
    }

    fn end(self, ended: Ended) -> Result<(), HistoryError> {
        self.sender.send(Message::Ended(Box::new(ended)));
        // A sink of an abandoned session keeps its channel open, so that the thread ends by itself.
        if self.sender.is_exhausted() {
            return Err(HistoryError::Blocked { path: self.path });
        }
        self.thread.join().unwrap_or(Ok(()))
    }

    /// Removes the run from the history, because it could not begin.
    pub fn discard(self) {
        self.sender.send(Message::Discarded);
        // There is no run whose recording could have failed.
        let _ = self.thread.join();
    }
}

/// Records what it passes on to another sink.
pub struct HistorySink<S> {
    inner: S,
    sender: Sender,
    actions: Vec<(ItemId, Action)>,
    /// When actions were last passed on.
    passed: Instant,
}

impl<S> HistorySink<S> {
    fn pass_actions(&mut self) {
        self.passed = Instant::now();
        if !self.actions.is_empty() {
            self.sender.send(Message::Actions(std::mem::take(&mut self.actions)));
        }
    }
}

impl<S> Drop for HistorySink<S> {
    fn drop(&mut self) {
        self.pass_actions();
    }
}

impl<S: Sink> Sink for HistorySink<S> {
    fn started(&mut self, items: &[Item]) {
        self.inner.started(items);
        let items = items.iter().map(|item| (item.id, item.name.clone())).collect();
        self.sender.send(Message::Started(items));
    }

    fn reads_text(&self) -> bool {
        self.inner.reads_text()
    }

    fn recorded_bytes(&self) -> Option<u64> {
        self.inner.recorded_bytes()
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let status = progress.reported.status_type;
        if status.is_some_and(Status::is_terminal) {
            self.pass_actions();
        }
        self.inner.progress(progress)
    }

    fn action(&mut self, item: ItemId, action: &Action) {
        self.inner.action(item, action);
        self.actions.push((item, action.clone()));
        if self.actions.len() >= ACTIONS_AT_ONCE || self.passed.elapsed() >= INTERVAL {
            self.pass_actions();
        }
    }

    fn log(&mut self, entry: &LogEntry) {
        self.inner.log(entry);
    }

    fn http_warning(&mut self, entry: &LogEntry) {
        self.inner.http_warning(entry);
    }

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        self.inner.log_deleted(id);
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        self.inner.question(question)
    }

    fn error_shown(&mut self, id: ErrorId, detail: &ErrorDetail) {
        self.inner.error_shown(id, detail);
    }

    fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        self.inner.establish_connection(connection)
    }
}

#[cfg(test)]
mod tests;

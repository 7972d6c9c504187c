//! Records the calls of a plugin.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use syncmgr_host::http::{HttpExchange, HttpObserver};
use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    Action, ErrorCode, ErrorDetail, ErrorId, Item, ItemId, LogEntry, ProgressResponse, Question,
};

use super::RecordingHead;
use crate::check::error::CheckError;
use crate::check::event::Event;
use crate::check::exchange::{Exchange, MAX_BODY_BYTES};

/// A sink that records the calls of a plugin and forwards them to another sink.
#[derive(Debug)]
pub struct RecordingSink<S> {
    sink: S,
    file: Arc<Mutex<RecordingFile>>,
}

#[derive(Debug)]
struct RecordingFile {
    file: fs::File,
    written: u64,
    /// The limit `record-bytes`. The run ends when it is exceeded.
    limit: u64,
    /// The first write error. The recording up to there is valid.
    failed: Option<std::io::Error>,
}

/// Records the HTTP requests of a plugin.
struct HttpRecorder {
    file: Arc<Mutex<RecordingFile>>,
    with_bodies: bool,
}

/// Creates or truncates a file that only its owner can read: a recording contains settings, and may
/// contain files.
fn create_private(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    if file.metadata()?.is_file() {
        use std::os::unix::fs::PermissionsExt as _;
        // An existing file may be readable by others.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

impl RecordingFile {
    fn lock(file: &Mutex<Self>) -> MutexGuard<'_, Self> {
        file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line, unless the file would exceed a size.
    fn write(&mut self, what: &impl Serialize, max: u64) {
        if self.failed.is_some() {
            return;
        }
        // A single write, so that a killed run leaves complete lines.
        let written =
            serde_json::to_vec(what).map_err(std::io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                self.written += line.len() as u64;
                if self.written > max {
                    return Ok(());
                }
                self.file.write_all(&line)
            });
        self.failed = written.err();
    }
}

impl<S> RecordingSink<S> {
    /// Starts a recording. `sink` gets all calls and answers them. `limit` is the limit
    /// `record-bytes`, in bytes.
    ///
    /// # Errors
    /// [`CheckError::File`].
    pub fn new(path: &Path, head: &RecordingHead, limit: u64, sink: S) -> Result<Self, CheckError> {
        let file = create_private(path).map_err(CheckError::file("write", path))?;
        let mut file = RecordingFile { file, written: 0, limit, failed: None };
        file.write(head, u64::MAX);
        match file.failed.take() {
            Some(error) => Err(CheckError::file("write", path)(error)),
            None => Ok(Self { sink, file: Arc::new(Mutex::new(file)) }),
        }
    }

    /// Returns the observer that records the HTTP requests of the plugin. `with_bodies`: with
    /// bodies of at most 1 MiB.
    pub fn http(&self, with_bodies: bool) -> Arc<dyn HttpObserver> {
        Arc::new(HttpRecorder { file: Arc::clone(&self.file), with_bodies })
    }

    fn write(&self, event: &Event) {
        RecordingFile::lock(&self.file).write(event, u64::MAX);
    }
}

impl HttpObserver for HttpRecorder {
    fn max_body_bytes(&self) -> usize {
        if self.with_bodies { MAX_BODY_BYTES } else { 0 }
    }

    fn exchanged(&self, exchange: &HttpExchange) {
        let mut file = RecordingFile::lock(&self.file);
        // Several may end before the plugin does.
        let max = file.limit;
        file.write(&Event::Http(Box::new(Exchange::of(exchange))), max);
    }
}

impl<S: Sink> Sink for RecordingSink<S> {
    fn started(&mut self, items: &[Item]) {
        self.sink.started(items);
        self.write(&Event::started(items));
    }

    fn recorded_bytes(&self) -> Option<u64> {
        let written = RecordingFile::lock(&self.file).written;
        Some(written.saturating_add(self.sink.recorded_bytes().unwrap_or(0)))
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let response = self.sink.progress(progress).max(progress.pending);
        self.write(&Event::progress(progress, response.name()));
        response
    }

    fn action(&mut self, item: ItemId, action: &Action) {
        self.sink.action(item, action);
    }

    fn log(&mut self, entry: &LogEntry) {
        self.sink.log(entry);
        self.write(&Event::log(entry));
    }

    fn http_warning(&mut self, entry: &LogEntry) {
        self.sink.http_warning(entry);
        self.write(&Event::HttpWarning { text: entry.text.clone() });
    }

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        self.sink.log_deleted(id);
        self.write(&Event::DeleteLogError { error_id: id.map(|id| id.to_string()) });
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        let choice = self.sink.question(question);
        self.write(&Event::question(question, choice));
        choice
    }

    fn error_shown(&mut self, id: ErrorId, detail: &ErrorDetail) {
        self.sink.error_shown(id, detail);
    }

    fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        let answer = self.sink.establish_connection(connection);
        self.write(&Event::EstablishConnection {
            connection: connection.map(str::to_owned),
            failure: answer.err().map(|code| code.name().to_owned()),
        });
        answer
    }
}

mod files;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    ErrorCode, ErrorDetail, ErrorId, Item, LogEntry, ProgressResponse, Question, SyncEvent, Trigger,
};
use uuid::Uuid;

use crate::check::error::CheckError;
use crate::check::event::Event;
pub use files::RecordedFile;
pub(crate) use files::make_special;
use files::{record, restore_files};

/// The maximum size of a recording, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// The version of the format.
const VERSION: u32 = 1;

/// The state before a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecordingHead {
    /// The version of the format: 1.
    pub version: u32,
    /// The plugin's name.
    pub plugin: String,
    /// The BLAKE3 digest of the component, in hexadecimal digits.
    pub component: String,
    /// The number of the native event (`SYNCMGRFLAG_*`) that started the run: 1 to 6.
    pub event: u8,
    /// Whether the plugin may prompt the user.
    #[serde(default)]
    pub may_bother_user: bool,
    /// The cookie of the invoking program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<Vec<u8>>,
    /// The ids of the selected items; absent: the items that the plugin checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Vec<String>>,
    /// The settings. Secrets are never recorded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// The granted capabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// The ids of the directories, by the names of the grants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub directory_ids: BTreeMap<String, Uuid>,
    /// The entries of the granted directories, by the names of the grants; absent: not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directories: Option<BTreeMap<String, Vec<RecordedFile>>>,
}

/// The events in the order of their native numbers, from 1.
const EVENTS: [SyncEvent; 6] = [
    SyncEvent::Connect,
    SyncEvent::PendingDisconnect,
    SyncEvent::Manual,
    SyncEvent::Idle,
    SyncEvent::Invoke,
    SyncEvent::Scheduled,
];

impl RecordingHead {
    /// Sets the trigger of the run.
    pub fn set_trigger(&mut self, trigger: Trigger, cookie: Option<&[u8]>) {
        let number = EVENTS.iter().zip(1..).find(|(event, _)| **event == trigger.event);
        self.event = number.map_or(3, |(_, number)| number);
        self.may_bother_user = trigger.may_bother_user;
        self.cookie = cookie.map(<[u8]>::to_vec);
    }

    /// Returns the trigger of the run, or that of the user if it is unknown.
    pub(crate) fn trigger(&self) -> Trigger {
        let event = EVENTS.get(usize::from(self.event).wrapping_sub(1));
        Trigger {
            event: event.copied().unwrap_or(SyncEvent::Manual),
            settings: false,
            may_bother_user: self.may_bother_user,
        }
    }

    /// Records a directory: files with their content, directories, links, and the names of other
    /// entries. `limit` is the limit `record-bytes`, in bytes, of all directories together.
    ///
    /// # Errors
    /// [`CheckError::File`], [`CheckError::RecordingFull`].
    pub fn record_directory(
        &mut self,
        name: &str,
        folder: &Path,
        limit: u64,
    ) -> Result<(), CheckError> {
        let others = self.directories.iter().flat_map(BTreeMap::values).flatten();
        let taken = others.map(RecordedFile::len).sum();
        let files = record(folder, limit, taken)?;
        self.directories.get_or_insert_default().insert(name.to_owned(), files);
        Ok(())
    }

    /// Restores the directories, each under its name in a folder.
    ///
    /// # Errors
    /// [`CheckError::File`].
    pub(crate) fn restore(&self, folder: &Path) -> Result<BTreeMap<String, PathBuf>, CheckError> {
        let mut restored = BTreeMap::new();
        for (name, files) in self.directories.iter().flatten() {
            // The recording may be forged: the name must be a single path component.
            if !is_inside(Path::new(name)) || Path::new(name).components().count() != 1 {
                continue;
            }
            let root = folder.join(name);
            fs::create_dir_all(&root).map_err(CheckError::file("create", &root))?;
            restore_files(&root, files)?;
            restored.insert(name.clone(), root);
        }
        Ok(restored)
    }
}

/// Returns whether a relative path stays in its folder.
fn is_inside(path: &Path) -> bool {
    let plain = |part| matches!(part, std::path::Component::Normal(_));
    path.components().next().is_some() && path.components().all(plain)
}

/// The calls between a plugin and its sync manager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The state before the run.
    pub head: RecordingHead,
    /// The calls, in order.
    pub events: Vec<Event>,
}

impl Recording {
    /// Reads a file: one JSON object on each line, the head first.
    ///
    /// # Errors
    /// [`CheckError::Recording`].
    pub fn read(path: &Path) -> Result<Self, CheckError> {
        let refuse = |line, message| CheckError::Recording { path: path.to_owned(), line, message };
        let text = read_text(path).map_err(|error| refuse(1, error.to_string()))?;
        Self::parse(&text).map_err(|(line, message)| refuse(line, message))
    }

    /// Parses the text of a recording.
    ///
    /// # Errors
    /// The number of the invalid line, from 1, and the problem.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let refuse = |line: usize| move |error: serde_json::Error| (line + 1, error.to_string());
        let mut lines = text.lines().enumerate();
        let (at, head) = lines.next().unwrap_or((0, ""));
        let head: RecordingHead = serde_json::from_str(head).map_err(refuse(at))?;
        if head.version != VERSION {
            let version = head.version;
            return Err((1, format!("unsupported version {version} (supported: {VERSION})")));
        }
        let events = lines
            .map(|(at, line)| serde_json::from_str(line).map_err(refuse(at)))
            .collect::<Result<_, _>>()?;
        Ok(Self { head, events })
    }
}

/// Reads a file up to the maximum size of a recording. The file may be any file.
fn read_text(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?.take(MAX_BYTES + 1);
    let mut bytes = Vec::new();
    (&mut file).take(1).read_to_end(&mut bytes)?;
    if bytes != b"{" {
        return Err(std::io::Error::other("the file does not start with a JSON object"));
    }
    file.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(std::io::Error::other(format!(
            "the file is larger than {} GiB",
            MAX_BYTES >> 30
        )));
    }
    String::from_utf8(bytes).map_err(std::io::Error::other)
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

/// A sink that records the calls of a plugin and forwards them to another sink.
#[derive(Debug)]
pub struct RecordingSink<S> {
    sink: S,
    file: fs::File,
    written: u64,
    /// The first write error. The recording up to there is valid.
    failed: Option<std::io::Error>,
}

impl<S> RecordingSink<S> {
    /// Starts a recording. `sink` gets all calls and answers them.
    ///
    /// # Errors
    /// [`CheckError::File`].
    pub fn new(path: &Path, head: &RecordingHead, sink: S) -> Result<Self, CheckError> {
        let file = create_private(path).map_err(CheckError::file("write", path))?;
        let mut recorder = Self { sink, file, written: 0, failed: None };
        recorder.write(head);
        match recorder.failed.take() {
            Some(error) => Err(CheckError::file("write", path)(error)),
            None => Ok(recorder),
        }
    }

    fn write(&mut self, what: &impl Serialize) {
        if self.failed.is_some() {
            return;
        }
        // A single write, so that a killed run leaves complete lines.
        let written =
            serde_json::to_vec(what).map_err(std::io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                self.written += line.len() as u64;
                self.file.write_all(&line)
            });
        self.failed = written.err();
    }
}

impl<S: Sink> Sink for RecordingSink<S> {
    fn started(&mut self, items: &[Item]) {
        self.sink.started(items);
        self.write(&Event::started(items));
    }

    fn recorded_bytes(&self) -> Option<u64> {
        Some(self.written.saturating_add(self.sink.recorded_bytes().unwrap_or(0)))
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let response = self.sink.progress(progress).max(progress.pending);
        self.write(&Event::progress(progress, response.name()));
        response
    }

    fn log(&mut self, entry: &LogEntry) {
        self.sink.log(entry);
        self.write(&Event::log(entry));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_recording_is_rejected() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("recording");
        for (text, line) in [
            (&b""[..], 1),
            (&b"{}"[..], 1),
            (&b"not JSON"[..], 1),
            (&b"{\xff}"[..], 1),
            (&b"{\"version\":2,\"plugin\":\"a\",\"component\":\"\",\"event\":3}"[..], 1),
            (
                &b"{\"version\":1,\"plugin\":\"a\",\"component\":\"\",\"event\":3}\n{\"event\":\"magic\"}"[..],
                2,
            ),
        ] {
            fs::write(&path, text).unwrap();
            let refused = Recording::read(&path);
            assert!(
                matches!(refused, Err(CheckError::Recording { line: at, .. }) if at == line),
                "{text:?}: {refused:?}"
            );
        }
        for path in [home.path(), &home.path().join("none"), Path::new("/dev/zero")] {
            let refused = Recording::read(path);
            assert!(matches!(refused, Err(CheckError::Recording { .. })), "{path:?}: {refused:?}");
        }
    }
}

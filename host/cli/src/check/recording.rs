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

use crate::check::error::KitError;
use crate::check::event::Event;
pub use files::RecordedFile;
pub(crate) use files::make_special;
use files::{restore_files, take_up};

/// The longest recording that is read, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// The version of the form.
const VERSION: u32 = 1;

/// What there was before a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecordingHead {
    /// The version of this form: 1.
    pub version: u32,
    /// The plugin's name.
    pub plugin: String,
    /// The BLAKE3 digest of the component, in hexadecimal digits.
    pub component: String,
    /// The number of the native event (`SYNCMGRFLAG_*`) that started the run: 1 to 6.
    pub event: u8,
    /// Whether the user might be bothered.
    #[serde(default)]
    pub may_bother_user: bool,
    /// What an invoking program passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<Vec<u8>>,
    /// Which items took part, by id; absent: those that the plugin checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Vec<String>>,
    /// The settings. Secrets are never recorded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// What else was allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// As what the plugin knew its directories, by the names of the grants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub directory_ids: BTreeMap<String, Uuid>,
    /// What was in the granted directories, by the names of the grants; absent: it was not to be
    /// recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directories: Option<BTreeMap<String, Vec<RecordedFile>>>,
}

/// The events, by their native numbers less 1.
const EVENTS: [SyncEvent; 6] = [
    SyncEvent::Connect,
    SyncEvent::PendingDisconnect,
    SyncEvent::Manual,
    SyncEvent::Idle,
    SyncEvent::Invoke,
    SyncEvent::Scheduled,
];

impl RecordingHead {
    /// Sets why the run is started.
    pub fn set_trigger(&mut self, trigger: Trigger, cookie: Option<&[u8]>) {
        let number = EVENTS.iter().zip(1..).find(|(event, _)| **event == trigger.event);
        self.event = number.map_or(3, |(_, number)| number);
        self.may_bother_user = trigger.may_bother_user;
        self.cookie = cookie.map(<[u8]>::to_vec);
    }

    /// Why the run was started. The user started it where that cannot be told.
    pub(crate) fn trigger(&self) -> Trigger {
        let event = EVENTS.get(usize::from(self.event).wrapping_sub(1));
        Trigger {
            event: event.copied().unwrap_or(SyncEvent::Manual),
            settings: false,
            may_bother_user: self.may_bother_user,
        }
    }

    /// Takes up what is in a directory: files with their content, directories, links and names of
    /// what is none of these. All directories together take at most `limit` bytes, which is the
    /// limit `record-bytes`.
    ///
    /// # Errors
    /// [`KitError::File`], [`KitError::RecordingFull`].
    pub fn record_directory(
        &mut self,
        name: &str,
        folder: &Path,
        limit: u64,
    ) -> Result<(), KitError> {
        let others = self.directories.iter().flat_map(BTreeMap::values).flatten();
        let taken = others.map(RecordedFile::len).sum();
        let files = take_up(folder, limit, taken)?;
        self.directories.get_or_insert_default().insert(name.to_owned(), files);
        Ok(())
    }

    /// Makes the directories anew, each under its name in a folder.
    ///
    /// # Errors
    /// [`KitError::File`].
    pub(crate) fn restore(&self, folder: &Path) -> Result<BTreeMap<String, PathBuf>, KitError> {
        let mut restored = BTreeMap::new();
        for (name, files) in self.directories.iter().flatten() {
            // A name comes from a file: only one that is a plain part of a path leads into the folder.
            if !is_inside(Path::new(name)) || Path::new(name).components().count() != 1 {
                continue;
            }
            let root = folder.join(name);
            fs::create_dir_all(&root).map_err(KitError::file("make", &root))?;
            restore_files(&root, files)?;
            restored.insert(name.clone(), root);
        }
        Ok(restored)
    }
}

/// Whether a path stays in the folder that it begins in.
fn is_inside(path: &Path) -> bool {
    let plain = |part| matches!(part, std::path::Component::Normal(_));
    path.components().next().is_some() && path.components().all(plain)
}

/// What a plugin and its sync manager said to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// What there was before.
    pub head: RecordingHead,
    /// Every call, in order.
    pub events: Vec<Event>,
}

impl Recording {
    /// Reads a file: one JSON object on each line, the head first.
    ///
    /// # Errors
    /// [`KitError::Recording`].
    pub fn read(path: &Path) -> Result<Self, KitError> {
        let refuse = |line, message| KitError::Recording { path: path.to_owned(), line, message };
        let text = read_text(path).map_err(|error| refuse(1, error.to_string()))?;
        Self::parse(&text).map_err(|(line, message)| refuse(line, message))
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// Which line, from 1 on, is wrong, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let refuse = |line: usize| move |error: serde_json::Error| (line + 1, error.to_string());
        let mut lines = text.lines().enumerate();
        let (at, head) = lines.next().unwrap_or((0, ""));
        let head: RecordingHead = serde_json::from_str(head).map_err(refuse(at))?;
        if head.version != VERSION {
            let version = head.version;
            return Err((1, format!("it has version {version}, and this program reads {VERSION}")));
        }
        let events = lines
            .map(|(at, line)| serde_json::from_str(line).map_err(refuse(at)))
            .collect::<Result<_, _>>()?;
        Ok(Self { head, events })
    }
}

/// Reads a file that may be anything: only as much of it as a recording can have.
fn read_text(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?.take(MAX_BYTES + 1);
    let mut bytes = Vec::new();
    (&mut file).take(1).read_to_end(&mut bytes)?;
    if bytes != b"{" {
        return Err(std::io::Error::other("it does not begin with a JSON object"));
    }
    file.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(std::io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

/// Makes a file, or empties one, that only its owner can read: a recording has settings in it, and
/// maybe files.
fn create_private(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    if file.metadata()?.is_file() {
        use std::os::unix::fs::PermissionsExt as _;
        // One that was there may be open to others.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Writes down what passes between a plugin and another sink, as it does.
#[derive(Debug)]
pub struct Recorder<S> {
    sink: S,
    file: fs::File,
    written: u64,
    /// The first failure to write. A recording that ends there is still one.
    failed: Option<std::io::Error>,
}

impl<S> Recorder<S> {
    /// Begins a recording. The sink answers, and hears of everything.
    ///
    /// # Errors
    /// [`KitError::File`].
    pub fn new(path: &Path, head: &RecordingHead, sink: S) -> Result<Self, KitError> {
        let file = create_private(path).map_err(KitError::file("write", path))?;
        let mut recorder = Self { sink, file, written: 0, failed: None };
        recorder.write(head);
        match recorder.failed.take() {
            Some(error) => Err(KitError::file("write", path)(error)),
            None => Ok(recorder),
        }
    }

    fn write(&mut self, what: &impl Serialize) {
        if self.failed.is_some() {
            return;
        }
        // As one write, so that a run that is killed leaves whole lines.
        let written =
            serde_json::to_vec(what).map_err(std::io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                self.written += line.len() as u64;
                self.file.write_all(&line)
            });
        self.failed = written.err();
    }
}

impl<S: Sink> Sink for Recorder<S> {
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
    fn what_is_no_recording_is_refused() {
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
                matches!(refused, Err(KitError::Recording { line: at, .. }) if at == line),
                "{text:?}: {refused:?}"
            );
        }
        for path in [home.path(), &home.path().join("none"), Path::new("/dev/zero")] {
            let refused = Recording::read(path);
            assert!(matches!(refused, Err(KitError::Recording { .. })), "{path:?}: {refused:?}");
        }
    }
}

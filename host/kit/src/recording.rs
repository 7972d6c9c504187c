use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    ErrorCode, ErrorDetail, ErrorId, Item, LogEntry, ProgressResponse, Question, SyncEvent, Trigger,
};
use uuid::Uuid;

use crate::error::KitError;
use crate::event::Event;

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

/// One entry of a directory, with its path from the granted one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecordedFile {
    path: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Content>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_nanoseconds: Option<u64>,
}

/// What is in a file: as text where it is that, so that a recording can be read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Content {
    Text(String),
    Base64(String),
}

impl Content {
    fn of(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes)
            .map_or_else(|error| Self::Base64(BASE64.encode(error.as_bytes())), Self::Text)
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Base64(text) => BASE64.decode(text).ok(),
        }
    }
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

    /// Takes up what is in a directory: files, with their content, and directories.
    ///
    /// # Errors
    /// [`KitError::File`].
    pub fn record_directory(&mut self, name: &str, folder: &Path) -> Result<(), KitError> {
        let mut files = Vec::new();
        take_up(folder, folder, &mut files)?;
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
            for file in files {
                file.restore(&root)?;
            }
            restored.insert(name.clone(), root);
        }
        Ok(restored)
    }
}

impl RecordedFile {
    fn restore(&self, root: &Path) -> Result<(), KitError> {
        if !is_inside(&self.path) {
            // Not ours: it would lead out of the folder.
            return Ok(());
        }
        let path = root.join(&self.path);
        let folder = path.parent().unwrap_or(root);
        fs::create_dir_all(folder).map_err(KitError::file("make", folder))?;
        let Some(content) = &self.content else {
            return fs::create_dir_all(&path).map_err(KitError::file("make", &path));
        };
        let content = content.bytes().unwrap_or_default();
        fs::write(&path, content).map_err(KitError::file("write", &path))?;
        if let Some(modified) = self.modified_nanoseconds {
            let modified = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(modified);
            let set = || fs::File::options().write(true).open(&path)?.set_modified(modified);
            set().map_err(KitError::file("date", &path))?;
        }
        Ok(())
    }
}

/// Whether a path stays in the folder that it begins in.
fn is_inside(path: &Path) -> bool {
    let plain = |part| matches!(part, std::path::Component::Normal(_));
    path.components().next().is_some() && path.components().all(plain)
}

fn take_up(root: &Path, folder: &Path, files: &mut Vec<RecordedFile>) -> Result<(), KitError> {
    for entry in fs::read_dir(folder).map_err(KitError::file("list", folder))? {
        let full = entry.map_err(KitError::file("list", folder))?.path();
        let metadata = full.symlink_metadata().map_err(KitError::file("look at", &full))?;
        let path = full.strip_prefix(root).unwrap_or(&full).to_owned();
        if metadata.is_dir() {
            files.push(RecordedFile { path, content: None, modified_nanoseconds: None });
            take_up(root, &full, files)?;
        } else if metadata.is_file() {
            let content = fs::read(&full).map_err(KitError::file("read", &full))?;
            let modified = metadata.modified().ok();
            let modified = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            let modified = modified.and_then(|since| u64::try_from(since.as_nanos()).ok());
            files.push(RecordedFile {
                path,
                content: Some(Content::of(content)),
                modified_nanoseconds: modified,
            });
        }
    }
    Ok(())
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
    /// [`KitError::File`], [`KitError::Recording`].
    pub fn read(path: &Path) -> Result<Self, KitError> {
        let text = fs::read_to_string(path).map_err(KitError::file("read", path))?;
        Self::parse(&text).map_err(|(line, message)| {
            let path = path.to_owned();
            KitError::Recording { path, line, message }
        })
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
        let events = lines
            .map(|(at, line)| serde_json::from_str(line).map_err(refuse(at)))
            .collect::<Result<_, _>>()?;
        Ok(Self { head, events })
    }
}

/// Writes down what passes between a plugin and another sink, as it does.
#[derive(Debug)]
pub struct Recorder<S> {
    sink: S,
    file: fs::File,
    /// The first failure to write. A recording that ends there is still one.
    failed: Option<std::io::Error>,
}

impl<S> Recorder<S> {
    /// Begins a recording. The sink answers, and hears of everything.
    ///
    /// # Errors
    /// [`KitError::File`].
    pub fn new(path: &Path, head: &RecordingHead, sink: S) -> Result<Self, KitError> {
        let file = fs::File::create(path).map_err(KitError::file("write", path))?;
        let mut recorder = Self { sink, file, failed: None };
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
    fn a_recording_cannot_write_outside_of_its_folder() {
        let home = tempfile::tempdir().unwrap();
        let inside = home.path().join("inside");
        let file = |path: &str| RecordedFile {
            path: path.into(),
            content: Some(Content::of(b"x".to_vec())),
            modified_nanoseconds: None,
        };
        let outside = home.path().join("escaped").display().to_string();
        let files = || vec![file("../escaped"), file(&outside), file("a/b"), file("")];
        let names = ["d", "..", ".", "", "/", "x/../..", &home.path().display().to_string()];
        let directories = BTreeMap::from(names.map(|name| (name.to_owned(), files())));
        let head = RecordingHead { directories: Some(directories), ..RecordingHead::default() };
        head.restore(&inside).unwrap();
        assert!(inside.join("d/a/b").exists());
        let there = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert_eq!((there(&inside), there(home.path())), (1, 1), "there is nothing else");
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("recording");
        for (text, line) in [
            ("", 1),
            ("{}", 1),
            ("not JSON", 1),
            (
                "{\"version\":1,\"plugin\":\"a\",\"component\":\"\",\"event\":3}\n{\"event\":\"magic\"}",
                2,
            ),
        ] {
            fs::write(&path, text).unwrap();
            let refused = Recording::read(&path);
            assert!(
                matches!(refused, Err(KitError::Recording { line: at, .. }) if at == line),
                "{text}: {refused:?}"
            );
        }
    }
}

mod files;
mod sink;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use syncmgr_host::http::{HttpGrant, HttpGrantError};
use syncmgr_host::{Access, SyncEvent, Trigger};
use uuid::Uuid;

use crate::check::error::CheckError;
use crate::check::event::Event;
pub use files::RecordedFile;
pub(crate) use files::make_special;
use files::{record, restore_files};
pub use sink::RecordingSink;

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
    /// The granted servers, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, RecordedServer>,
    /// The ids of the directories, by the names of the grants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub directory_ids: BTreeMap<String, Uuid>,
    /// The entries of the granted directories, by the names of the grants; absent: not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directories: Option<BTreeMap<String, Vec<RecordedFile>>>,
}

/// A granted server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecordedServer {
    /// The URL.
    pub url: String,
    /// Whether the access is read-only.
    #[serde(default)]
    pub read_only: bool,
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

    /// Returns the grants of the servers.
    ///
    /// # Errors
    /// [`HttpGrantError`] for an invalid name or URL.
    pub(crate) fn http(&self) -> Result<Vec<HttpGrant>, HttpGrantError> {
        let grant = |(name, server): (&String, &RecordedServer)| {
            let access = if server.read_only { Access::ReadOnly } else { Access::ReadWrite };
            HttpGrant::new(name, &server.url, access)
        };
        self.servers.iter().map(grant).collect()
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
        head.http().map_err(|error| (at + 1, error.to_string()))?;
        let event = |(at, line)| {
            let event: Event = serde_json::from_str(line).map_err(refuse(at))?;
            match &event {
                Event::Http(exchange) => exchange.check().map_err(|why| (at + 1, why))?,
                Event::Started { .. }
                | Event::Progress { .. }
                | Event::EndedByHost { .. }
                | Event::Action { .. }
                | Event::LogError { .. }
                | Event::HttpWarning { .. }
                | Event::DeleteLogError { .. }
                | Event::ErrorShown { .. }
                | Event::Question { .. }
                | Event::EstablishConnection { .. } => {}
            }
            Ok(event)
        };
        Ok(Self { head, events: lines.map(event).collect::<Result<_, _>>()? })
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

//! Results of the `directories` interface, and helpers of its calls.

use std::borrow::Cow;
use std::io;

use wasmtime::component::Resource;

use crate::bindings::{directories as wit, types};
use crate::convert;
use crate::fs::metadata::{EntryKind, FileIdentity, Metadata};
use crate::fs::system;
use crate::state::SyncMgrCtx;
use crate::storage::{QuotaExceeded, Reservation};
use crate::types::ErrorCode;

pub(super) type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

/// Converts a system error to an error of the contract.
#[allow(clippy::wildcard_enum_match_arm, reason = "the enumeration is open")]
pub(super) fn failure(error: &io::Error, what: &str) -> types::Error {
    let code = match error.kind() {
        io::ErrorKind::NotFound => ErrorCode::NotFound,
        io::ErrorKind::AlreadyExists
        | io::ErrorKind::DirectoryNotEmpty
        | io::ErrorKind::IsADirectory => ErrorCode::AlreadyExists,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorCode::AccessDenied
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorCode::NoSpace
        }
        io::ErrorKind::NotADirectory => ErrorCode::Changed,
        io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported => ErrorCode::NotImplemented,
        io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy => ErrorCode::Busy,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => ErrorCode::InvalidArgument,
        io::ErrorKind::TooManyLinks => ErrorCode::NotImplemented,
        io::ErrorKind::OutOfMemory => ErrorCode::OutOfMemory,
        _ if system::is_link_in_the_way(error) => ErrorCode::Changed,
        _ => ErrorCode::InputOutput,
    };
    convert::wit_error(code, format!("{what}: {}", words(error)))
}

/// Returns the reason and, if there is one, the remedy; otherwise the system's message.
#[allow(clippy::wildcard_enum_match_arm, reason = "the enumeration is open")]
fn words(error: &io::Error) -> Cow<'static, str> {
    Cow::Borrowed(match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "permission denied; check its owner, permissions and flags, and those of its directory"
        }
        io::ErrorKind::ReadOnlyFilesystem => "read-only file system; mount it for writing",
        io::ErrorKind::StorageFull => "no space left on the device; make room",
        io::ErrorKind::QuotaExceeded => "disk quota exceeded; make room, or raise the quota",
        io::ErrorKind::FileTooLarge => "file too large for the file system or for `ulimit -f`",
        io::ErrorKind::AlreadyExists => "there is an entry of this name already",
        io::ErrorKind::DirectoryNotEmpty => "the directory is not empty",
        io::ErrorKind::CrossesDevices => "it would have to move to another file system",
        io::ErrorKind::Unsupported => "the file system does not support this",
        _ => return Cow::Owned(error.to_string()),
    })
}

pub(super) fn refuse<T>(code: ErrorCode, message: String) -> Result<T, types::Error> {
    Err(convert::wit_error(code, message))
}

/// Converts an exceeded quota to an error of the contract.
pub(super) fn no_room(exceeded: QuotaExceeded) -> types::Error {
    let message = match exceeded {
        QuotaExceeded { unreadable: true, .. } => {
            "the plugin's storage counts as full because part of it cannot be read; make its \
             directories readable, or remove them"
                .to_owned()
        }
        QuotaExceeded { used, unreadable: false } => format!(
            "the plugin's storage is full ({used} bytes); raise `storage-bytes` to allow more"
        ),
    };
    convert::wit_error(ErrorCode::NoSpace, message)
}

/// Converts metadata to the contract's record.
pub(super) fn wit_metadata(metadata: Metadata) -> wit::EntryMetadata {
    wit::EntryMetadata {
        kind: match metadata.kind {
            EntryKind::File => wit::EntryKind::File,
            EntryKind::Directory => wit::EntryKind::Directory,
            EntryKind::SymbolicLink => wit::EntryKind::SymbolicLink,
            EntryKind::Other => wit::EntryKind::Other,
        },
        size: metadata.size,
        modified: metadata.modified,
        changed: metadata.changed,
        mode: metadata.mode,
        file_id: metadata.file_id,
        device_id: metadata.device_id,
    }
}

impl SyncMgrCtx {
    /// Adds a resource that holds an open file.
    pub(super) fn push<T: Send + 'static>(
        &mut self,
        made: Result<T, types::Error>,
    ) -> Answer<Resource<T>> {
        match made {
            Ok(_) if self.open_files >= self.limits.open_files => {
                Ok(refuse(ErrorCode::Failed, self.too_many_open()))
            }
            Ok(value) => {
                self.open_files += 1;
                Ok(Ok(self.table.push(value)?))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    pub(super) fn close<T: Send + 'static>(&mut self, this: Resource<T>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        self.open_files = self.open_files.saturating_sub(1);
        Ok(())
    }

    /// Returns the message for an unknown directory name, with the remedy.
    pub(super) fn no_directory(&self, name: &str) -> String {
        let remedy = match self.description.requests.directory(name) {
            Some(_) => "the operator must grant it",
            None => "its author must request it before it can be granted",
        };
        format!("{} was not granted a directory named {name:?}; {remedy}", self.plugin)
    }

    /// Reserves bytes if the entry is in the storage.
    pub(super) fn reserve(&self, stored: bool, bytes: u64) -> Result<(), types::Error> {
        let storage = self.storage.as_ref().filter(|_| stored);
        storage.map_or(Ok(()), |storage| storage.reserve(bytes).map_err(no_room))
    }

    /// Reserves room for one more entry if it is in the storage.
    pub(super) fn reserve_entry(
        &self,
        stored: bool,
        content: u64,
    ) -> Result<Reservation, types::Error> {
        let storage = self.storage.as_ref().filter(|_| stored);
        storage.map_or(Ok(Reservation::NONE), |storage| {
            storage.reserve_entry(content).map_err(no_room)
        })
    }

    /// Returns whether a file outside the storage is open, so that it could grow there without
    /// being counted.
    pub(super) fn is_open_elsewhere(&mut self, identity: FileIdentity) -> bool {
        self.writing.contains(identity) || self.wasi_files.has_open(identity)
    }

    pub(super) fn too_many_open(&self) -> String {
        format!(
            "{} has {} files and directories open; raise `open-files` to allow more",
            self.plugin, self.open_files
        )
    }
}

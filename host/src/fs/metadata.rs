//! Metadata of a directory entry.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Identifies a file by its device and its number there.
pub(crate) type FileIdentity = (u64, u64);

/// The kind of an entry. Links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
    /// A device, a socket or a FIFO.
    Other,
}

/// Metadata of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metadata {
    pub(crate) kind: EntryKind,
    /// The length in bytes: for a symbolic link, that of its text; for a directory, 0.
    pub(crate) size: u64,
    /// The modification time of the content, in nanoseconds since 1970.
    pub(crate) modified: i64,
    /// The time of the last change of content or metadata; `None` if the system has none.
    pub(crate) changed: Option<i64>,
    /// The permission bits; `None` if the system has none.
    pub(crate) mode: Option<u32>,
    pub(crate) file_id: u64,
    pub(crate) device_id: u64,
}

/// A listed entry.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name, or an approximation for display if it is not Unicode.
    pub(crate) name: Result<String, String>,
    pub(crate) metadata: io::Result<Metadata>,
}

/// The metadata of an entry for the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: EntryKind,
    pub(crate) size: u64,
    /// The number of bytes on disk, at most the size.
    pub(crate) stored: u64,
    /// The number of names (hard links).
    pub(crate) names: u64,
    pub(crate) identity: FileIdentity,
}

/// The treatment of a link in the last component of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    Refuse,
}

/// Converts nanoseconds since 1970 to a time.
pub(crate) fn system_time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    match nanoseconds >= 0 {
        true => UNIX_EPOCH + distance,
        false => UNIX_EPOCH - distance,
    }
}

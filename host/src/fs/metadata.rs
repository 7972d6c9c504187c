//! What the system knows about an entry of a directory.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Identifies a file among all: its device and its number there.
pub(crate) type FileIdentity = (u64, u64);

/// What an entry is. Never what a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Directory,
    SymbolicLink,
    /// A device, a socket or a FIFO.
    Other,
}

/// What the system knows about an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metadata {
    pub(crate) kind: EntryKind,
    /// The length in bytes; of a symbolic link, the length of its text; of a directory, 0.
    pub(crate) size: u64,
    /// When the content last changed, in nanoseconds since 1970.
    pub(crate) modified: i64,
    /// When the content or anything else about it last changed. `None`: unknown on this system.
    pub(crate) changed: Option<i64>,
    /// The permission bits. `None`: this system has none.
    pub(crate) mode: Option<u32>,
    pub(crate) file_id: u64,
    pub(crate) device_id: u64,
}

/// A listed entry.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The name. Where `unicode` is false, an approximation for display.
    pub(crate) name: String,
    pub(crate) unicode: bool,
    pub(crate) metadata: io::Result<Metadata>,
}

/// An entry as a quota counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: EntryKind,
    pub(crate) size: u64,
    /// The bytes that it takes on the disk, at most its size.
    pub(crate) stored: u64,
    /// The number of its names (hard links).
    pub(crate) names: u64,
    pub(crate) identity: FileIdentity,
}

/// What opening a path does where its last component is a link.
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

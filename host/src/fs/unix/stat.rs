//! Metadata from `stat`, and permission bits.

use rustix::fs::{FileType, Mode, Stat};

use crate::fs::metadata::{EntryKind, Metadata, Seen};

#[allow(clippy::useless_conversion, reason = "the types differ between systems")]
pub(super) fn metadata(stat: &Stat) -> Metadata {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::SymbolicLink,
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => EntryKind::Other,
    };
    let size = match kind {
        EntryKind::Directory | EntryKind::Other => 0,
        EntryKind::File | EntryKind::SymbolicLink => u64::try_from(stat.st_size).unwrap_or(0),
    };
    Metadata {
        kind,
        size,
        modified: nanoseconds(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
        changed: Some(nanoseconds(stat.st_ctime.into(), stat.st_ctime_nsec.into())),
        mode: Some(permissions(stat)),
        file_id: stat.st_ino,
        device_id: device(stat),
    }
}

#[cfg(target_os = "linux")]
pub(super) fn device(stat: &Stat) -> u64 {
    stat.st_dev
}

#[cfg(not(target_os = "linux"))]
pub(super) fn device(stat: &Stat) -> u64 {
    u64::from_ne_bytes(i64::from(stat.st_dev).to_ne_bytes())
}

fn nanoseconds(seconds: i64, nanoseconds: i128) -> i64 {
    let total = i128::from(seconds) * 1_000_000_000 + nanoseconds;
    i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX })
}

#[allow(clippy::useless_conversion, reason = "the types differ between systems")]
pub(super) fn mode(bits: u32) -> Mode {
    Mode::from_bits_truncate(bits.try_into().unwrap_or(0))
}

/// Returns the permission bits of an entry, including the special ones.
#[allow(clippy::useless_conversion, reason = "the types differ between systems")]
pub(super) fn permissions(stat: &Stat) -> u32 {
    u32::from(stat.st_mode) & 0o7777
}

/// Returns the bits of an entry that should have these permissions. For a directory, all but the
/// set-user-ID bit are replaced. A file keeps its set-ID bits only if it gains no permissions: a
/// program that runs as its owner must not become available to more users.
pub(super) fn with_special_bits(stat: &Stat, bits: u32) -> u32 {
    let now = permissions(stat);
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    match (is_directory, bits & 0o777 & !now) {
        (true, _) => bits & 0o3777 | now & 0o4000,
        (false, 0) => bits & 0o777 | now & 0o7000,
        (false, _) => bits & 0o777 | now & 0o1000,
    }
}

#[allow(clippy::useless_conversion, reason = "the types differ between systems")]
pub(super) fn seen(stat: &Stat) -> Seen {
    let metadata = metadata(stat);
    let stored = u64::try_from(i64::from(stat.st_blocks)).unwrap_or(0).saturating_mul(512);
    Seen {
        kind: metadata.kind,
        size: metadata.size,
        stored: stored.min(metadata.size),
        // A directory counts as one name, whatever refers to it from inside.
        names: if metadata.kind == EntryKind::Directory { 1 } else { stat.st_nlink.into() },
        identity: (metadata.device_id, metadata.file_id),
    }
}

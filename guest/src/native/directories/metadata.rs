//! The kind, times and permissions of entries.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bindings::syncmgr::plugin::directories::{EntryKind, EntryMetadata};
use crate::bindings::syncmgr::plugin::types::ErrorCode;
use crate::native::answer::{Answer, refuse};

pub(super) fn metadata(metadata: &fs::Metadata) -> EntryMetadata {
    let kind = match metadata.file_type() {
        file if file.is_file() => EntryKind::File,
        folder if folder.is_dir() => EntryKind::Directory,
        link if link.is_symlink() => EntryKind::SymbolicLink,
        _other => EntryKind::Other,
    };
    #[cfg(unix)]
    let (mode, file_id, device_id) = {
        use std::os::unix::fs::MetadataExt as _;
        (Some(metadata.mode() & 0o7777), metadata.ino(), metadata.dev())
    };
    #[cfg(not(unix))]
    let (mode, file_id, device_id) = (None, 0, 0);
    EntryMetadata {
        kind,
        size: if kind == EntryKind::Directory { 0 } else { metadata.len() },
        modified: metadata.modified().map_or(0, nanoseconds),
        changed: None,
        mode,
        file_id,
        device_id,
    }
}

/// Fails with `message` if the kind of an entry is not the expected one.
pub(super) fn check_kind(
    path: &Path,
    is_expected: impl FnOnce(&fs::FileType) -> bool,
    message: &str,
) -> Answer<()> {
    match is_expected(&path.symlink_metadata()?.file_type()) {
        true => Ok(()),
        false => refuse(ErrorCode::Changed, message),
    }
}

/// Sets the permission bits, if any are given.
pub(super) fn set_mode(path: &Path, mode: Option<u32>) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(mode) = mode {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o3777))?;
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |before| -before)
        }
    }
}

pub(super) fn system_time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

//! Checks whether a file still matches the plan.

use syncmgr_plugin::directories::{Directory, EntryKind};
use syncmgr_plugin::{Error, ErrorCode, Result};

use crate::scan::fingerprint;
use crate::tree::Fingerprint;

/// Returns whether a fingerprint is still that of the plan. An unknown time of the last change is
/// not compared.
pub(super) fn is_still(now: &Fingerprint, planned: &Fingerprint) -> bool {
    let changed = match (now.changed, planned.changed) {
        (Some(now), Some(planned)) => now == planned,
        (Some(_), None) | (None, Some(_)) | (None, None) => true,
    };
    changed
        && now.size == planned.size
        && now.modified == planned.modified
        && now.file_id == planned.file_id
}

pub(super) fn changed(what: &str) -> Error {
    Error::new(ErrorCode::Changed, format!("{what} changed during the sync; the next run syncs it"))
}

/// Checks that an entry still matches the plan.
pub(super) fn check(directory: &Directory, name: &str, planned: &Fingerprint) -> Result<()> {
    match directory.stat(name)? {
        None => {
            Err(Error::new(ErrorCode::NotFound, "removed during the sync; the next run syncs that"))
        }
        Some(now) => match (now.kind, is_still(&fingerprint(&now), planned)) {
            (EntryKind::File | EntryKind::SymbolicLink, true) => Ok(()),
            (EntryKind::Directory | EntryKind::Other, _) | (_, false) => Err(changed("it")),
        },
    }
}

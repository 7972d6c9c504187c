//! Refuses changes that the server does not permit, before a request is sent for them.

use syncmgr_engine::endpoint::Transfer;
use syncmgr_engine::tree::{join, split};
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Collection;
use crate::multistatus::Found;
use crate::permissions::Change;

/// The maximum number of entries whose permissions are kept. The server refuses changes of others.
const MAX_RESTRICTED: usize = 100_000;

impl Collection {
    /// Records what the server permits with an entry.
    pub(super) fn note_permissions(&self, path: &str, found: &Found) {
        let restricted = &mut *self.restricted.borrow_mut();
        match found.permissions.filter(|known| !known.is_complete(found.is_collection)) {
            None => drop(restricted.remove(path)),
            Some(permissions) => {
                if restricted.len() < MAX_RESTRICTED || restricted.contains_key(path) {
                    restricted.insert(path.to_owned(), permissions);
                }
            }
        }
    }

    /// Fails for a change of an entry, or in a collection, that the server does not permit.
    pub(super) fn permit(&self, path: &str, change: Change) -> Result<()> {
        match self.restricted.borrow().get(path) {
            Some(permissions) if !permissions.includes(change) => {
                Err(Error::new(ErrorCode::AccessDenied, change.refusal()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Fails for a file whose upload would not be permitted.
    pub(super) fn permit_upload(&self, transfer: &Transfer<'_>) -> Result<()> {
        let directory = split(transfer.temp).0;
        self.permit(directory, Change::CreateFile)?;
        match transfer.replaces {
            true => self.permit(&join(directory, transfer.name), Change::Replace),
            false => Ok(()),
        }
    }

    /// Fails for an entry that may not be moved.
    pub(super) fn permit_move(&self, path: &str, to: &str, is_collection: bool) -> Result<()> {
        let (old, new) = (split(path).0, split(to).0);
        if old == new {
            return self.permit(path, Change::Rename);
        }
        self.permit(path, Change::Move)?;
        let created = if is_collection { Change::CreateDirectory } else { Change::CreateFile };
        self.permit(new, created)
    }
}

//! Refuses changes that the server does not permit, before a request is sent for them.

use std::collections::HashMap;

use syncmgr_engine::endpoint::Transfer;
use syncmgr_engine::tree::{join, split};
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Collection;
use crate::multistatus::Found;
use crate::permissions::{Change, Permissions};

/// The maximum number of entries whose permissions are kept. The server refuses changes of others.
const MAX_RESTRICTED: usize = 100_000;

/// What the user may do with entries that are restricted, by path.
#[derive(Debug, Default)]
pub(super) struct Restricted(HashMap<String, Permissions>);

impl Restricted {
    fn note(&mut self, path: &str, found: &Found) {
        match found.permissions.filter(|known| !known.is_complete(found.is_collection)) {
            None => drop(self.0.remove(path)),
            Some(permissions) => {
                if self.0.len() < MAX_RESTRICTED || self.0.contains_key(path) {
                    self.0.insert(path.to_owned(), permissions);
                }
            }
        }
    }
}

impl Collection {
    /// Records what the server permits with an entry.
    pub(super) fn note_permissions(&self, path: &str, found: &Found) {
        self.restricted.borrow_mut().note(path, found);
    }

    /// Fails for a change of an entry, or in a collection, that the server does not permit.
    pub(super) fn permit(&self, path: &str, change: Change) -> Result<()> {
        match self.restricted.borrow().0.get(path) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_restricted_entries_is_limited() {
        let found =
            |letters| Found { permissions: Permissions::parse(letters), ..Found::default() };
        let mut restricted = Restricted::default();
        for number in 0..MAX_RESTRICTED + 10 {
            restricted.note(&number.to_string(), &found("G"));
        }
        assert_eq!(restricted.0.len(), MAX_RESTRICTED);
        // Those that are known are kept up to date.
        restricted.note("0", &found("GD"));
        assert_eq!(restricted.0.get("0"), Permissions::parse("GD").as_ref());
        restricted.note("0", &found("GDNVW"));
        restricted.note("1", &Found::default());
        assert_eq!(restricted.0.len(), MAX_RESTRICTED - 2);
    }
}

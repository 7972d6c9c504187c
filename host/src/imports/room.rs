//! Quota reservations in the storage for entries that the `directories` interface creates, moves
//! and removes.

use std::io;

use wasmtime::component::Resource;

use super::answer::{Answer, no_room, refuse};
use super::names::checked_name;
use crate::bindings::types;
use crate::fs::directory::Directory;
use crate::fs::metadata::{EntryKind, FileIdentity};
use crate::state::SyncMgrCtx;
use crate::storage::{Reservation, Storage};
use crate::types::ErrorCode;

impl SyncMgrCtx {
    /// Reserves room for a name that moves into the storage, or between the storage and a grant.
    pub(super) fn admit(
        &mut self,
        from: &Directory,
        name: &str,
        to: &Directory,
        links: bool,
    ) -> Result<Crossing, types::Error> {
        let none = Crossing { room: Reservation::NONE, shared: None };
        if self.storage.is_none() || checked_name(name).is_err() || !(from.stored || to.stored) {
            return Ok(none);
        }
        if from.stored == to.stored {
            let room = if links { self.reserve_entry(true, 0)? } else { Reservation::NONE };
            return Ok(Crossing { room, ..none });
        }
        // The operation itself returns the error of a missing entry.
        let Ok(seen) = from.handle.look_at(name) else { return Ok(none) };
        let shared = (links || seen.names > 1).then_some(seen.identity);
        if !to.stored {
            return Ok(Crossing { shared, ..none });
        }
        if seen.kind == EntryKind::Directory {
            let message = format!(
                "{name}: a directory cannot be moved into the storage; move its files one by one"
            );
            return refuse(ErrorCode::NotImplemented, message);
        }
        if self.is_open_elsewhere(seen.identity) {
            let message = format!("{name}: it is open; close it before it comes into the storage");
            return refuse(ErrorCode::Busy, message);
        }
        let room =
            self.storage.as_ref().map(|storage| storage.for_copies().reserve_entry(seen.size));
        let room = room.unwrap_or(Ok(Reservation::NONE)).map_err(no_room)?;
        Ok(Crossing { room, shared })
    }

    /// Reserves room in the storage for one more entry, and checks that it can be opened.
    pub(super) fn make_room(
        &self,
        this: &Resource<Directory>,
        opens: bool,
        content: usize,
    ) -> Answer<Reservation> {
        if opens && self.open_files >= self.limits.open_files {
            return Ok(refuse(ErrorCode::Failed, self.too_many_open()));
        }
        Ok(self.reserve_entry(self.table.get(this)?.stored, content as u64))
    }

    /// Creates an entry in reserved room.
    pub(super) fn make<T>(
        &mut self,
        call: &'static str,
        this: &Resource<Directory>,
        name: &str,
        room: Result<Reservation, types::Error>,
        operation: impl FnOnce(&Directory, &str) -> io::Result<T>,
    ) -> Answer<T> {
        let room = match room {
            Ok(room) => room,
            Err(error) => {
                self.enter(call)?;
                return Ok(Err(error));
            }
        };
        let made = self.on_entry(call, this, name, true, operation)?;
        if made.is_ok() {
            room.keep();
        }
        Ok(made)
    }
}

/// The effects of moving a name between the storage and a grant.
pub(super) struct Crossing {
    room: Reservation,
    /// The file, if it may have names on both sides afterwards.
    shared: Option<FileIdentity>,
}

impl Crossing {
    /// Records that the move succeeded.
    pub(super) fn done(self, storage: Option<&Storage>) {
        self.room.keep();
        if let (Some(storage), Some(identity)) = (storage, self.shared) {
            storage.share(identity);
        }
    }
}

/// Runs an operation that removes a name, and releases its room in the storage.
pub(super) fn freeing<T>(
    directory: &Directory,
    storage: Option<&Storage>,
    name: &str,
    operation: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let Some(storage) = storage else { return operation() };
    let before = directory.handle.look_at(name);
    let done = operation()?;
    match before {
        Ok(seen) => storage.removed(seen.identity, seen.names, seen.size),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => storage.loosened(),
    }
    Ok(done)
}

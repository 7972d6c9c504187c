//! The functions of `descriptor` that reserve or release room in the storage, or open files.

use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, DirectoryEntryStream, ErrorCode, HostDescriptor as _,
    OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::io::streams::{self, Host as _};
use wasmtime_wasi::p2::{DynOutputStream, FsError, FsResult, StreamResult};

use super::counted::{Counted, OpenFile, length};
use super::links;
use crate::fs::system::{count_entries, look_at_file};
use crate::state::SyncMgrCtx;
use crate::storage::{QuotaExceeded, Reservation};

pub(super) type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

/// The maximum number of concurrent listings; each holds the names of a whole directory.
const MAX_LISTINGS: usize = 8;
/// The maximum number of entries in all listings. The `directories` interface lists any number, one
/// page at a time.
const MAX_LISTED: usize = 100_000;
/// The maximum number of descriptors and streams, as a multiple of `open-files`. A stream holds 64
/// KiB.
const MAX_STREAMS: u64 = 4;

pub(super) type StreamAnswer<T> = wasmtime::Result<(Result<T, streams::StreamError>,)>;

pub(super) fn stream_answer<T>(state: &mut SyncMgrCtx, result: StreamResult<T>) -> StreamAnswer<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(state.table.convert_stream_error(error)?),)),
    }
}

pub(super) fn answer<T>(result: FsResult<T>) -> Answer<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

pub(super) async fn open_at(
    state: &mut SyncMgrCtx,
    arguments: (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags),
) -> Answer<Resource<Descriptor>> {
    let (this, path_flags, path, open_flags, flags) = arguments;
    if open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) {
        state.pass("wasi:filesystem open-at")?;
    }
    if state.open_files + state.wasi_files.count_open() >= state.limits.open_files {
        // WASI has no error code for `EMFILE`.
        return Ok((Err(ErrorCode::Quota),));
    }
    let there = match find(state, &this, path_flags, &path).await? {
        Found::Waits => return Ok((Err(ErrorCode::NotPermitted),)),
        Found::There => true,
        Found::Nothing => false,
    };
    let stored = state.wasi_files.stored.contains(&this.rep());
    let room = match stored && !there && open_flags.contains(OpenFlags::CREATE) {
        true => state.reserve_wasi_entry(&this, 0),
        false => Ok(Reservation::NONE),
    };
    let Ok(room) = room else { return Ok((Err(ErrorCode::InsufficientSpace),)) };
    let opened = state.filesystem().open_at(this, path_flags, path, open_flags, flags).await;
    if let Ok(opened) = &opened {
        room.keep();
        let (file, is_file) = match state.table.get(opened)? {
            Descriptor::File(file) => (Arc::clone(&file.file), true),
            Descriptor::Dir(directory) => (Arc::clone(&directory.dir), false),
        };
        state.wasi_files.opened.push(Arc::downgrade(&file));
        let writes = is_file && flags.contains(DescriptorFlags::WRITE);
        if stored || (writes && state.is_shared_with_storage(&file)) {
            state.wasi_files.stored.insert(opened.rep());
            if let Some(storage) = state.storage.as_ref().filter(|_| is_file) {
                storage.opened(&file);
                if open_flags.contains(OpenFlags::TRUNCATE) {
                    storage.loosened();
                }
            }
        }
    }
    answer(opened)
}

/// The entry at a path.
enum Found {
    Nothing,
    There,
    /// An entry that must not be opened: a FIFO waits for its other end, and a device may act on
    /// opening.
    Waits,
}

async fn find(
    state: &mut SyncMgrCtx,
    directory: &Resource<Descriptor>,
    flags: PathFlags,
    path: &str,
) -> wasmtime::Result<Found> {
    let directory = Resource::new_borrow(directory.rep());
    let stat = match state.filesystem().stat_at(directory, flags, path.to_owned()).await {
        Ok(stat) => stat,
        Err(error) => {
            // Opening returns the error.
            error.downcast()?;
            return Ok(Found::Nothing);
        }
    };
    Ok(match stat.type_ {
        DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink => {
            Found::There
        }
        DescriptorType::Unknown
        | DescriptorType::BlockDevice
        | DescriptorType::CharacterDevice
        | DescriptorType::Fifo
        | DescriptorType::Socket => Found::Waits,
    })
}

pub(super) async fn create_directory_at(
    state: &mut SyncMgrCtx,
    (this, path): (Resource<Descriptor>, String),
) -> Answer<()> {
    state.pass("wasi:filesystem create-directory-at")?;
    let Ok(room) = state.reserve_wasi_entry(&this, 0) else {
        return Ok((Err(ErrorCode::InsufficientSpace),));
    };
    made(room, state.filesystem().create_directory_at(this, path).await)
}

pub(super) async fn symlink_at(
    state: &mut SyncMgrCtx,
    (this, text, path): (Resource<Descriptor>, String, String),
) -> Answer<()> {
    state.pass("wasi:filesystem symlink-at")?;
    if let Err(error) = links::may_link(state, &text, &this, &path).await? {
        return Ok((Err(error),));
    }
    let Ok(room) = state.reserve_wasi_entry(&this, text.len() as u64) else {
        return Ok((Err(ErrorCode::InsufficientSpace),));
    };
    made(room, state.filesystem().symlink_at(this, text, path).await)
}

pub(super) async fn remove_directory_at(
    state: &mut SyncMgrCtx,
    (this, path): (Resource<Descriptor>, String),
) -> Answer<()> {
    state.pass("wasi:filesystem remove-directory-at")?;
    state.loosen(&this);
    answer(state.filesystem().remove_directory_at(this, path).await)
}

pub(super) async fn unlink_file_at(
    state: &mut SyncMgrCtx,
    (this, path): (Resource<Descriptor>, String),
) -> Answer<()> {
    state.pass("wasi:filesystem unlink-file-at")?;
    state.loosen(&this);
    answer(state.filesystem().unlink_file_at(this, path).await)
}

/// Keeps the reservation if the operation succeeded.
fn made(room: Reservation, result: FsResult<()>) -> Answer<()> {
    if result.is_ok() {
        room.keep();
    }
    answer(result)
}

pub(super) async fn read_directory(
    state: &mut SyncMgrCtx,
    (this,): (Resource<Descriptor>,),
) -> Answer<Resource<DirectoryEntryStream>> {
    if state.wasi_files.listings.len() >= MAX_LISTINGS {
        return Ok((Err(ErrorCode::Quota),));
    }
    let mut entries = 0;
    if let Descriptor::Dir(directory) = state.table.get(&this)? {
        let directory = Arc::clone(&directory.dir);
        // If the directory cannot be read, wasmtime returns the error.
        entries = count_entries(&directory, MAX_LISTED).unwrap_or(0);
        let held: usize = state.wasi_files.listings.values().sum();
        if entries > MAX_LISTED {
            return Ok((Err(ErrorCode::Overflow),));
        }
        if entries + held > MAX_LISTED {
            return Ok((Err(ErrorCode::Quota),));
        }
    }
    let listing = state.filesystem().read_directory(this).await;
    if let Ok(listing) = &listing {
        state.wasi_files.listings.insert(listing.rep(), entries);
    }
    answer(listing)
}

/// Returns whether an entry crosses the border of the storage. Moving or linking it there would
/// bypass the quota.
fn crosses(state: &SyncMgrCtx, from: &Resource<Descriptor>, to: &Resource<Descriptor>) -> bool {
    let stored =
        |descriptor: &Resource<Descriptor>| state.wasi_files.stored.contains(&descriptor.rep());
    stored(from) != stored(to)
}

pub(super) async fn rename_at(
    state: &mut SyncMgrCtx,
    arguments: (Resource<Descriptor>, String, Resource<Descriptor>, String),
) -> Answer<()> {
    let (this, path, to, to_path) = arguments;
    state.pass("wasi:filesystem rename-at")?;
    if crosses(state, &this, &to) {
        return Ok((Err(ErrorCode::CrossDevice),));
    }
    if let Err(error) = links::may_move(state, (&this, &path), (&to, &to_path)).await? {
        return Ok((Err(error),));
    }
    state.loosen(&to);
    answer(state.filesystem().rename_at(this, path, to, to_path).await)
}

pub(super) async fn link_at(
    state: &mut SyncMgrCtx,
    arguments: (Resource<Descriptor>, PathFlags, String, Resource<Descriptor>, String),
) -> Answer<()> {
    let (this, flags, path, to, to_path) = arguments;
    state.pass("wasi:filesystem link-at")?;
    if crosses(state, &this, &to) {
        return Ok((Err(ErrorCode::CrossDevice),));
    }
    if let Err(error) = links::may_move(state, (&this, &path), (&to, &to_path)).await? {
        return Ok((Err(error),));
    }
    let Ok(room) = state.reserve_wasi_entry(&to, 0) else {
        return Ok((Err(ErrorCode::InsufficientSpace),));
    };
    made(room, state.filesystem().link_at(this, flags, path, to, to_path).await)
}

pub(super) async fn write(
    state: &mut SyncMgrCtx,
    arguments: (Resource<Descriptor>, Vec<u8>, u64),
) -> Answer<u64> {
    let (this, bytes, offset) = arguments;
    state.pass("wasi:filesystem write")?;
    if let Some(file) = state.stored_file(&this)? {
        let end = offset.saturating_add(bytes.len() as u64);
        if state.grow(&file, end).is_err() {
            return Ok((Err(ErrorCode::InsufficientSpace),));
        }
    }
    answer(state.filesystem().write(this, bytes, offset).await)
}

pub(super) async fn set_size(
    state: &mut SyncMgrCtx,
    arguments: (Resource<Descriptor>, u64),
) -> Answer<()> {
    let (this, size) = arguments;
    state.pass("wasi:filesystem set-size")?;
    if let Some(file) = state.stored_file(&this)?
        && state.grow(&file, size).is_err()
    {
        return Ok((Err(ErrorCode::InsufficientSpace),));
    }
    state.loosen(&this);
    answer(state.filesystem().set_size(this, size).await)
}

impl SyncMgrCtx {
    /// Returns the file if it is in the storage.
    pub(super) fn stored_file(
        &mut self,
        this: &Resource<Descriptor>,
    ) -> wasmtime::Result<Option<OpenFile>> {
        if !self.wasi_files.stored.contains(&this.rep()) {
            return Ok(None);
        }
        Ok(match self.table.get(this)? {
            Descriptor::File(file) => Some(Arc::clone(&file.file)),
            Descriptor::Dir(_) => None,
        })
    }

    /// Reserves room for one more entry if it is in the storage.
    fn reserve_wasi_entry(
        &self,
        directory: &Resource<Descriptor>,
        content: u64,
    ) -> Result<Reservation, QuotaExceeded> {
        let stored = self.wasi_files.stored.contains(&directory.rep());
        let storage = self.storage.as_ref().filter(|_| stored);
        storage.map_or(Ok(Reservation::NONE), |storage| storage.reserve_entry(content))
    }

    /// Records that the next operation may release room in the storage.
    fn loosen(&self, descriptor: &Resource<Descriptor>) {
        if let Some(storage) = &self.storage
            && self.wasi_files.stored.contains(&descriptor.rep())
        {
            storage.loosened();
        }
    }

    /// Returns whether a file that was opened elsewhere has a name in the storage, where it would
    /// grow.
    fn is_shared_with_storage(&self, file: &OpenFile) -> bool {
        let Some(storage) = &self.storage else { return false };
        look_at_file(file).map_or(true, |seen| seen.names > 1 && storage.is_shared(seen.identity))
    }

    pub(super) fn has_many_streams(&self) -> bool {
        self.wasi_files.count_streams() >= self.limits.open_files.saturating_mul(MAX_STREAMS)
    }

    /// Reserves room for a file that will end at `end`.
    fn grow(&self, file: &OpenFile, end: u64) -> Result<(), QuotaExceeded> {
        let growth = end.saturating_sub(length(file));
        self.storage.as_ref().map_or(Ok(()), |storage| storage.reserve(growth))
    }

    /// Wraps a stream so that its writes are counted, if it writes to the storage.
    pub(super) fn counted(
        &mut self,
        stream: Result<Resource<DynOutputStream>, FsError>,
        place: Option<(OpenFile, Option<u64>)>,
    ) -> Answer<Resource<DynOutputStream>> {
        let (Ok(stream), Some((file, at)), Some(storage)) = (&stream, place, &self.storage) else {
            return answer(stream);
        };
        let storage = storage.clone();
        storage.prepare();
        let stream = self.table.delete(Resource::<DynOutputStream>::new_own(stream.rep()))?;
        let counted: DynOutputStream = Box::new(Counted { stream, storage, file, at });
        Ok((Ok(self.table.push(counted)?),))
    }
}

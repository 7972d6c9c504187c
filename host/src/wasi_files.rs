//! WASI's view of files, as far as wasmtime does not bound it: how much goes into the plugin's own
//! storage, how many files are open, and how many listings are held in memory.
//!
//! wasmtime would do each call on another thread, which takes ten times as long as most calls. Here
//! they are done on the session's own thread, which a call that does not return holds up; so the
//! session's journal is parked meanwhile, as it is for our own interface.

mod counted;
mod links;
mod paths;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntryStream, ErrorCode,
    HostDescriptor as _, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::bindings::io::streams::{
    self, Host as _, HostInputStream as _, HostOutputStream as _,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult, StreamResult};

use crate::denied::WASI;
use crate::directories::{FileIdentity, look_at_file};
use crate::state::{State, Waiting};
use crate::storage::{Full, Reservation, STORAGE};
use counted::{Counted, OpenFile, length};

type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

/// Listings that are held at once: each has the names of a whole directory.
const MAX_LISTINGS: usize = 8;
/// Entries that all of these have together. Our own interface lists any number, a page at a time.
const MAX_LISTED: usize = 100_000;
/// Descriptors and streams of all open files, in multiples of `open-files`. A stream holds 64 KiB.
const MAX_STREAMS: u64 = 4;

/// What a plugin has open through WASI.
#[derive(Debug, Default)]
pub(crate) struct WasiFiles {
    /// The descriptors that are in the storage.
    stored: HashSet<u32>,
    /// What was opened. A stream keeps a file open when its descriptor is gone.
    opened: Vec<Weak<std::fs::File>>,
    /// The directories that WASI begins with.
    roots: Vec<FileIdentity>,
    /// The listings that there are, and how many entries each has.
    listings: HashMap<u32, usize>,
}

impl WasiFiles {
    fn count_open(&mut self) -> u64 {
        self.opened.retain(|file| file.strong_count() > 0);
        self.opened.len() as u64
    }

    /// Descriptors and streams of what is open.
    fn count_streams(&self) -> u64 {
        self.opened.iter().map(|file| file.strong_count() as u64).sum()
    }

    /// Whether a file is open.
    pub(crate) fn has_open(&self, identity: FileIdentity) -> bool {
        let mut files = self.opened.iter().filter_map(Weak::upgrade);
        // One that cannot be looked at may be that one.
        files.any(|file| look_at_file(&file).map_or(true, |seen| seen.identity == identity))
    }
}

/// Functions of `descriptor` that need nothing but to wait, and those that change something, which
/// the hook is shown.
macro_rules! waiting {
    ($types:ident: $($wit:literal $method:ident($($argument:ident: $type:ty),*) -> $answer:ty $(, $changes:ident)?;)*) => {$(
        $types.func_wrap_async(
            concat!("[method]descriptor.", $wit),
            |mut store: StoreContextMut<'_, State>, arguments: (Resource<Descriptor>, $($type,)*)| {
                Box::new(async move {
                    let mut waiting = Waiting::new(store.data_mut());
                    $(waiting.$changes(concat!("wasi:filesystem ", $wit))?;)?
                    if let Some(refused) = paths::check(&waiting, &arguments)? {
                        return Ok((Err(refused),));
                    }
                    let (this, $($argument,)*) = arguments;
                    let answer: Answer<$answer> =
                        answer(waiting.filesystem().$method(this, $($argument),*).await);
                    answer
                })
            },
        )?;
    )*};
}

/// Functions of `descriptor` that are ours, below.
macro_rules! own {
    ($types:ident: $($wit:literal $function:ident;)*) => {$(
        $types.func_wrap_async(
            concat!("[method]descriptor.", $wit),
            |mut store: StoreContextMut<'_, State>, arguments| {
                Box::new(async move {
                    let mut waiting = Waiting::new(store.data_mut());
                    if let Some(refused) = paths::check(&waiting, &arguments)? {
                        return Ok((Err(refused),));
                    }
                    $function(&mut waiting, arguments).await
                })
            },
        )?;
    )*};
}

/// Functions of streams that wait. What the others begin goes on elsewhere.
macro_rules! blocking {
    ($streams:ident: $($wit:literal $stream:ident: $method:ident($($argument:ident: $type:ty),*);)*) => {$(
        $streams.func_wrap_async(
            concat!("[method]", $wit),
            |mut store: StoreContextMut<'_, State>, (this, $($argument),*): (Resource<$stream>, $($type),*)| {
                Box::new(async move {
                    let mut waiting = Waiting::new(store.data_mut());
                    let answer = waiting.table.$method(this, $($argument),*).await;
                    stream_answer(&mut waiting, answer)
                })
            },
        )?;
    )*};
}

/// Puts these functions in the place of wasmtime's own, which do the work.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    check_version(linker)?;
    linker.allow_shadowing(true);
    let mut preopens = linker.instance(&format!("wasi:filesystem/preopens@{WASI}"))?;
    preopens.func_wrap("get-directories", |mut store: StoreContextMut<'_, State>, (): ()| {
        let state = store.data_mut();
        let directories = state.filesystem().get_directories()?;
        for (directory, path) in &directories {
            if let Descriptor::Dir(root) = state.table.get(directory)?
                && let Ok(seen) = look_at_file(&root.dir)
                && !state.wasi_files.roots.contains(&seen.identity)
            {
                state.wasi_files.roots.push(seen.identity);
            }
            if path.strip_prefix('/') == Some(STORAGE) {
                state.wasi_files.stored.insert(directory.rep());
            }
        }
        Ok((directories,))
    })?;
    let mut types = linker.instance(&format!("wasi:filesystem/types@{WASI}"))?;
    types.resource("descriptor", ResourceType::host::<Descriptor>(), |mut store, rep| {
        let state: &mut State = store.data_mut();
        let mut waiting = Waiting::new(state);
        waiting.wasi_files.stored.remove(&rep);
        waiting.table.delete(Resource::<Descriptor>::new_own(rep))?;
        Ok(())
    })?;
    types.resource(
        "directory-entry-stream",
        ResourceType::host::<DirectoryEntryStream>(),
        |mut store, rep| {
            let state: &mut State = store.data_mut();
            state.wasi_files.listings.remove(&rep);
            state.table.delete(Resource::<DirectoryEntryStream>::new_own(rep))?;
            Ok(())
        },
    )?;
    own! { types:
        "read-directory" read_directory;
        "rename-at" rename_at;
        "link-at" link_at;
        "open-at" open_at;
        "create-directory-at" create_directory_at;
        "symlink-at" symlink_at;
        "remove-directory-at" remove_directory_at;
        "unlink-file-at" unlink_file_at;
        "write" write;
        "set-size" set_size;
    }
    types.func_wrap("[method]descriptor.read-via-stream", |mut store, arguments| {
        let (this, offset): (Resource<Descriptor>, u64) = arguments;
        let state: &mut State = &mut Waiting::new(store.data_mut());
        if state.has_many_streams() {
            return Ok((Err(ErrorCode::Quota),));
        }
        answer(state.filesystem().read_via_stream(this, offset))
    })?;
    types.func_wrap("[method]descriptor.write-via-stream", |mut store, arguments| {
        let (this, offset): (Resource<Descriptor>, u64) = arguments;
        let state: &mut State = &mut Waiting::new(store.data_mut());
        state.pass("wasi:filesystem write-via-stream")?;
        if state.has_many_streams() {
            return Ok((Err(ErrorCode::Quota),));
        }
        let place = state.stored_file(&this)?.map(|file| (file, Some(offset)));
        let stream = state.filesystem().write_via_stream(this, offset);
        state.counted(stream, place)
    })?;
    types.func_wrap("[method]descriptor.append-via-stream", |mut store, arguments| {
        let (this,): (Resource<Descriptor>,) = arguments;
        let state: &mut State = &mut Waiting::new(store.data_mut());
        state.pass("wasi:filesystem append-via-stream")?;
        if state.has_many_streams() {
            return Ok((Err(ErrorCode::Quota),));
        }
        let place = state.stored_file(&this)?.map(|file| (file, None));
        let stream = state.filesystem().append_via_stream(this);
        state.counted(stream, place)
    })?;
    waiting! { types:
        "advise" advise(offset: u64, len: u64, advice: Advice) -> ();
        "sync-data" sync_data() -> ();
        "get-flags" get_flags() -> DescriptorFlags;
        "get-type" get_type() -> DescriptorType;
        "set-times" set_times(accessed: NewTimestamp, modified: NewTimestamp) -> (), pass;
        "read" read(len: u64, offset: u64) -> (Vec<u8>, bool);
        "sync" sync() -> ();
        "stat" stat() -> DescriptorStat;
        "stat-at" stat_at(flags: PathFlags, path: String) -> DescriptorStat;
        "set-times-at" set_times_at(
            flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp
        ) -> (), pass;
        "readlink-at" readlink_at(path: String) -> String;
        "metadata-hash" metadata_hash() -> MetadataHashValue;
        "metadata-hash-at" metadata_hash_at(flags: PathFlags, path: String) -> MetadataHashValue;
    }
    types.func_wrap_async("[method]descriptor.is-same-object", |mut store, arguments| {
        Box::new(async move {
            let (this, other): (Resource<Descriptor>, Resource<Descriptor>) = arguments;
            let mut waiting = Waiting::new(store.data_mut());
            Ok((waiting.filesystem().is_same_object(this, other).await?,))
        })
    })?;
    let mut streams = linker.instance(&format!("wasi:io/streams@{WASI}"))?;
    blocking! { streams:
        "input-stream.blocking-read" DynInputStream: blocking_read(len: u64);
        "input-stream.blocking-skip" DynInputStream: blocking_skip(len: u64);
        "output-stream.blocking-write-and-flush" DynOutputStream:
            blocking_write_and_flush(bytes: Vec<u8>);
        "output-stream.blocking-write-zeroes-and-flush" DynOutputStream:
            blocking_write_zeroes_and_flush(len: u64);
        "output-stream.blocking-splice" DynOutputStream:
            blocking_splice(from: Resource<DynInputStream>, len: u64);
    }
    linker.allow_shadowing(false);
    Ok(())
}

type StreamAnswer<T> = wasmtime::Result<(Result<T, streams::StreamError>,)>;

fn stream_answer<T>(state: &mut State, result: StreamResult<T>) -> StreamAnswer<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(state.table.convert_stream_error(error)?),)),
    }
}

fn answer<T>(result: FsResult<T>) -> Answer<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

/// That the functions here do take the place of wasmtime's: it must have them under this version.
fn check_version(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(false);
    for (interface, function) in [
        ("wasi:clocks/wall-clock", "now"),
        ("wasi:random/random", "get-random-u64"),
        ("wasi:sockets/tcp-create-socket", "create-tcp-socket"),
        ("wasi:filesystem/preopens", "get-directories"),
        ("wasi:filesystem/types", "[method]descriptor.open-at"),
    ] {
        let mut instance = linker.instance(&format!("{interface}@{WASI}"))?;
        let new = instance.func_new(function, |_, _, _, _| Ok(()));
        wasmtime::ensure!(new.is_err(), "wasmtime links {interface} under another version");
    }
    Ok(())
}

async fn open_at(
    state: &mut State,
    arguments: (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags),
) -> Answer<Resource<Descriptor>> {
    let (this, path_flags, path, open_flags, flags) = arguments;
    if open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE) {
        state.pass("wasi:filesystem open-at")?;
    }
    if state.open_files + state.wasi_files.count_open() >= state.max_open_files {
        // What a program gets that has too many of its own open has no name in WASI.
        return Ok((Err(ErrorCode::Quota),));
    }
    let there = match find(state, &this, path_flags, &path).await? {
        Found::Waits => return Ok((Err(ErrorCode::NotPermitted),)),
        Found::There => true,
        Found::Nothing => false,
    };
    let stored = state.wasi_files.stored.contains(&this.rep());
    let room = match stored && !there && open_flags.contains(OpenFlags::CREATE) {
        true => state.reserve_entry(&this, 0),
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

/// What a path leads to.
enum Found {
    Nothing,
    There,
    /// Opening it would wait, as that of a FIFO does for its other end, or a device may act on it.
    Waits,
}

async fn find(
    state: &mut State,
    directory: &Resource<Descriptor>,
    flags: PathFlags,
    path: &str,
) -> wasmtime::Result<Found> {
    let directory = Resource::new_borrow(directory.rep());
    let stat = match state.filesystem().stat_at(directory, flags, path.to_owned()).await {
        Ok(stat) => stat,
        Err(error) => {
            // What the matter is, opening finds out.
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

async fn create_directory_at(
    state: &mut State,
    (this, path): (Resource<Descriptor>, String),
) -> Answer<()> {
    state.pass("wasi:filesystem create-directory-at")?;
    let Ok(room) = state.reserve_entry(&this, 0) else {
        return Ok((Err(ErrorCode::InsufficientSpace),));
    };
    made(room, state.filesystem().create_directory_at(this, path).await)
}

async fn symlink_at(
    state: &mut State,
    (this, text, path): (Resource<Descriptor>, String, String),
) -> Answer<()> {
    state.pass("wasi:filesystem symlink-at")?;
    if let Err(error) = links::may_link(state, &text, &this, &path).await? {
        return Ok((Err(error),));
    }
    let Ok(room) = state.reserve_entry(&this, text.len() as u64) else {
        return Ok((Err(ErrorCode::InsufficientSpace),));
    };
    made(room, state.filesystem().symlink_at(this, text, path).await)
}

async fn remove_directory_at(
    state: &mut State,
    (this, path): (Resource<Descriptor>, String),
) -> Answer<()> {
    state.pass("wasi:filesystem remove-directory-at")?;
    state.loosen(&this);
    answer(state.filesystem().remove_directory_at(this, path).await)
}

async fn unlink_file_at(
    state: &mut State,
    (this, path): (Resource<Descriptor>, String),
) -> Answer<()> {
    state.pass("wasi:filesystem unlink-file-at")?;
    state.loosen(&this);
    answer(state.filesystem().unlink_file_at(this, path).await)
}

/// Keeps the room for what was made.
fn made(room: Reservation, result: FsResult<()>) -> Answer<()> {
    if result.is_ok() {
        room.keep();
    }
    answer(result)
}

async fn read_directory(
    state: &mut State,
    (this,): (Resource<Descriptor>,),
) -> Answer<Resource<DirectoryEntryStream>> {
    if state.wasi_files.listings.len() >= MAX_LISTINGS {
        return Ok((Err(ErrorCode::Quota),));
    }
    let mut entries = 0;
    if let Descriptor::Dir(directory) = state.table.get(&this)? {
        let directory = Arc::clone(&directory.dir);
        // What the matter is with a directory that cannot be read, wasmtime finds out, too.
        entries = crate::directories::count_entries(&directory, MAX_LISTED).unwrap_or(0);
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

/// What moves into the storage, or gets a second name there, would take room that nobody counts.
fn crosses(state: &State, from: &Resource<Descriptor>, to: &Resource<Descriptor>) -> bool {
    let stored =
        |descriptor: &Resource<Descriptor>| state.wasi_files.stored.contains(&descriptor.rep());
    stored(from) != stored(to)
}

async fn rename_at(
    state: &mut State,
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

async fn link_at(
    state: &mut State,
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
    let Ok(room) = state.reserve_entry(&to, 0) else {
        return Ok((Err(ErrorCode::InsufficientSpace),));
    };
    made(room, state.filesystem().link_at(this, flags, path, to, to_path).await)
}

async fn write(state: &mut State, arguments: (Resource<Descriptor>, Vec<u8>, u64)) -> Answer<u64> {
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

async fn set_size(state: &mut State, arguments: (Resource<Descriptor>, u64)) -> Answer<()> {
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

impl State {
    /// The file, if it is one in the storage.
    fn stored_file(&mut self, this: &Resource<Descriptor>) -> wasmtime::Result<Option<OpenFile>> {
        if !self.wasi_files.stored.contains(&this.rep()) {
            return Ok(None);
        }
        Ok(match self.table.get(this)? {
            Descriptor::File(file) => Some(Arc::clone(&file.file)),
            Descriptor::Dir(_) => None,
        })
    }

    /// Reserves room for one more entry, if it comes to the storage.
    fn reserve_entry(
        &self,
        directory: &Resource<Descriptor>,
        content: u64,
    ) -> Result<Reservation, Full> {
        let stored = self.wasi_files.stored.contains(&directory.rep());
        let storage = self.storage.as_ref().filter(|_| stored);
        storage.map_or(Ok(Reservation::NONE), |storage| storage.reserve(content))
    }

    /// What is about to be done may make room in the storage, if it is done there.
    fn loosen(&self, descriptor: &Resource<Descriptor>) {
        if let Some(storage) = &self.storage
            && self.wasi_files.stored.contains(&descriptor.rep())
        {
            storage.loosened();
        }
    }

    /// Whether a file, opened elsewhere, has a name in the storage, where it would grow.
    fn is_shared_with_storage(&self, file: &OpenFile) -> bool {
        let Some(storage) = &self.storage else { return false };
        look_at_file(file).map_or(true, |seen| seen.names > 1 && storage.is_shared(seen.identity))
    }

    fn has_many_streams(&self) -> bool {
        self.wasi_files.count_streams() >= self.max_open_files.saturating_mul(MAX_STREAMS)
    }

    /// Takes room for a file that will end there.
    fn grow(&self, file: &OpenFile, end: u64) -> Result<(), Full> {
        let growth = end.saturating_sub(length(file));
        self.storage.as_ref().map_or(Ok(()), |storage| storage.charge(growth))
    }

    /// Counts what goes through a stream, if it goes to the storage.
    fn counted(
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

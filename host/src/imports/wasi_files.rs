//! Bounds on WASI file access that wasmtime does not enforce: the quota of the plugin's storage,
//! the number of open files, and the number of listings in memory.
//!
//! wasmtime would run each call on another thread, which takes ten times as long as most calls.
//! Here, calls run on the session's thread. A call that does not return blocks that thread, so the
//! session's sync manager is parked during the call, as for the interface `directories`.

mod counted;
mod links;
mod operations;
mod paths;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntryStream, ErrorCode,
    HostDescriptor as _, MetadataHashValue, NewTimestamp, PathFlags,
};
use wasmtime_wasi::p2::bindings::io::streams::{HostInputStream as _, HostOutputStream as _};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use crate::bindings::WASI;
use crate::fs::system::look_at_file;
use crate::state::{ParkedCtx, SyncMgrCtx, SyncMgrView};
use crate::storage::STORAGE;
use operations::{
    Answer, answer, create_directory_at, link_at, open_at, read_directory, remove_directory_at,
    rename_at, set_size, stream_answer, symlink_at, unlink_file_at, write,
};

/// Functions of `descriptor` that only need to wait, and functions that change something, which are
/// passed to the hook.
macro_rules! waiting {
    ($types:ident: $($wit:literal $method:ident($($argument:ident: $type:ty),*) -> $answer:ty $(, $changes:ident)?;)*) => {$(
        $types.func_wrap_async(
            concat!("[method]descriptor.", $wit),
            |mut store: StoreContextMut<'_, T>, arguments: (Resource<Descriptor>, $($type,)*)| {
                Box::new(async move {
                    let mut waiting = ParkedCtx::new(store.data_mut().syncmgr());
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

/// Functions of `descriptor` that are implemented below.
macro_rules! own {
    ($types:ident: $($wit:literal $function:ident;)*) => {$(
        $types.func_wrap_async(
            concat!("[method]descriptor.", $wit),
            |mut store: StoreContextMut<'_, T>, arguments| {
                Box::new(async move {
                    let mut waiting = ParkedCtx::new(store.data_mut().syncmgr());
                    if let Some(refused) = paths::check(&waiting, &arguments)? {
                        return Ok((Err(refused),));
                    }
                    $function(&mut waiting, arguments).await
                })
            },
        )?;
    )*};
}

/// Functions of streams that wait. Operations begun by the others continue in the background.
macro_rules! blocking {
    ($streams:ident: $($wit:literal $stream:ident: $method:ident($($argument:ident: $type:ty),*);)*) => {$(
        $streams.func_wrap_async(
            concat!("[method]", $wit),
            |mut store: StoreContextMut<'_, T>, (this, $($argument),*): (Resource<$stream>, $($type),*)| {
                Box::new(async move {
                    let mut waiting = ParkedCtx::new(store.data_mut().syncmgr());
                    let answer = waiting.table.$method(this, $($argument),*).await;
                    stream_answer(&mut waiting, answer)
                })
            },
        )?;
    )*};
}

/// Overrides functions of wasmtime with wrappers that call them.
pub(crate) fn add_to_linker<T: SyncMgrView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    check_version(linker)?;
    linker.allow_shadowing(true);
    let mut preopens = linker.instance(&format!("wasi:filesystem/preopens@{WASI}"))?;
    preopens.func_wrap("get-directories", |mut store: StoreContextMut<'_, T>, (): ()| {
        let state = store.data_mut().syncmgr();
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
        let state = store.data_mut().syncmgr();
        let mut waiting = ParkedCtx::new(state);
        waiting.wasi_files.stored.remove(&rep);
        waiting.table.delete(Resource::<Descriptor>::new_own(rep))?;
        Ok(())
    })?;
    types.resource(
        "directory-entry-stream",
        ResourceType::host::<DirectoryEntryStream>(),
        |mut store, rep| {
            let state = store.data_mut().syncmgr();
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
        let state: &mut SyncMgrCtx = &mut ParkedCtx::new(store.data_mut().syncmgr());
        if state.has_many_streams() {
            return Ok((Err(ErrorCode::Quota),));
        }
        answer(state.filesystem().read_via_stream(this, offset))
    })?;
    types.func_wrap("[method]descriptor.write-via-stream", |mut store, arguments| {
        let (this, offset): (Resource<Descriptor>, u64) = arguments;
        let state: &mut SyncMgrCtx = &mut ParkedCtx::new(store.data_mut().syncmgr());
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
        let state: &mut SyncMgrCtx = &mut ParkedCtx::new(store.data_mut().syncmgr());
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
            let mut waiting = ParkedCtx::new(store.data_mut().syncmgr());
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

/// Checks that the overrides take effect: wasmtime must define these functions under this version.
fn check_version<T: SyncMgrView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
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

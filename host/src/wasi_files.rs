//! WASI's view of files, as far as wasmtime does not bound it: how much goes into the plugin's own
//! storage, and how many files are open.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{
    DynOutputStream, FsError, FsResult, OutputStream, Pollable, StreamError, StreamResult,
};

use crate::denied::WASI;
use crate::state::State;
use crate::storage::{STORAGE, Storage};

/// `ENOSPC`, or what Windows has for it. An error without a number has no meaning in WASI.
const NO_SPACE: i32 = if cfg!(windows) { 112 } else { 28 };

type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

/// What a plugin has open through WASI.
#[derive(Debug, Default)]
pub(crate) struct WasiFiles {
    /// The descriptors that are in the storage.
    stored: std::collections::HashSet<u32>,
}

/// Puts these functions in the place of wasmtime's own, which do the work.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut preopens = linker.instance(&format!("wasi:filesystem/preopens@{WASI}"))?;
    preopens.func_wrap("get-directories", |mut store: StoreContextMut<'_, State>, (): ()| {
        let state = store.data_mut();
        let directories = state.filesystem().get_directories()?;
        for (directory, path) in &directories {
            state.open_files += 1;
            if path.strip_prefix('/') == Some(STORAGE) {
                state.wasi_files.stored.insert(directory.rep());
            }
        }
        Ok((directories,))
    })?;
    let mut types = linker.instance(&format!("wasi:filesystem/types@{WASI}"))?;
    types.resource("descriptor", ResourceType::host::<Descriptor>(), |mut store, rep| {
        let state: &mut State = store.data_mut();
        state.wasi_files.stored.remove(&rep);
        state.open_files = state.open_files.saturating_sub(1);
        state.table.delete(Resource::<Descriptor>::new_own(rep))?;
        Ok(())
    })?;
    types.func_wrap_async("[method]descriptor.open-at", |mut store, arguments| {
        Box::new(async move { open_at(store.data_mut(), arguments).await })
    })?;
    types.func_wrap_async("[method]descriptor.write", |mut store, arguments| {
        Box::new(async move { write(store.data_mut(), arguments).await })
    })?;
    types.func_wrap_async("[method]descriptor.set-size", |mut store, arguments| {
        Box::new(async move { set_size(store.data_mut(), arguments).await })
    })?;
    types.func_wrap("[method]descriptor.write-via-stream", |mut store, arguments| {
        let (this, offset): (Resource<Descriptor>, u64) = arguments;
        let state: &mut State = store.data_mut();
        let place = state.stored_file(&this)?.map(|file| (file, Some(offset)));
        let stream = state.filesystem().write_via_stream(this, offset);
        state.counted(stream, place)
    })?;
    types.func_wrap("[method]descriptor.append-via-stream", |mut store, arguments| {
        let (this,): (Resource<Descriptor>,) = arguments;
        let state: &mut State = store.data_mut();
        let place = state.stored_file(&this)?.map(|file| (file, None));
        let stream = state.filesystem().append_via_stream(this);
        state.counted(stream, place)
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

fn answer<T>(result: FsResult<T>) -> Answer<T> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}

async fn open_at(
    state: &mut State,
    arguments: (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags),
) -> Answer<Resource<Descriptor>> {
    let (this, path_flags, path, open_flags, flags) = arguments;
    if state.open_files >= state.max_open_files {
        // What a program gets that has too many of its own open has no name in WASI.
        return Ok((Err(ErrorCode::Quota),));
    }
    let stored = state.wasi_files.stored.contains(&this.rep());
    let opened = state.filesystem().open_at(this, path_flags, path, open_flags, flags).await;
    if let Ok(opened) = &opened {
        state.open_files += 1;
        if stored {
            state.wasi_files.stored.insert(opened.rep());
        }
    }
    answer(opened)
}

async fn write(state: &mut State, arguments: (Resource<Descriptor>, Vec<u8>, u64)) -> Answer<u64> {
    let (this, bytes, offset) = arguments;
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
    if let Some(file) = state.stored_file(&this)?
        && state.grow(&file, size).is_err()
    {
        return Ok((Err(ErrorCode::InsufficientSpace),));
    }
    answer(state.filesystem().set_size(this, size).await)
}

type OpenFile = Arc<std::fs::File>;

fn length(file: &OpenFile) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

/// A stream into the storage. Its place is the file, and where in it; `None`: at its end.
struct Counted {
    stream: DynOutputStream,
    storage: Storage,
    file: OpenFile,
    at: Option<u64>,
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

    /// Takes room for a file that will end there.
    fn grow(&self, file: &OpenFile, end: u64) -> Result<(), crate::storage::Full> {
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
        let stream = self.table.delete(Resource::<DynOutputStream>::new_own(stream.rep()))?;
        let counted: DynOutputStream = Box::new(Counted { stream, storage, file, at });
        Ok((Ok(self.table.push(counted)?),))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Counted {
    async fn ready(&mut self) {
        self.stream.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Counted {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let size = bytes.len() as u64;
        let growth = match &mut self.at {
            None => size,
            Some(at) => {
                *at = at.saturating_add(size);
                at.saturating_sub(length(&self.file)).min(size)
            }
        };
        if self.storage.charge(growth).is_err() {
            let full = std::io::Error::from_raw_os_error(NO_SPACE);
            return Err(StreamError::LastOperationFailed(full.into()));
        }
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.stream.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.stream.check_write()
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}

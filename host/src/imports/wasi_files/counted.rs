//! An output stream into the plugin's storage that counts against the quota.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::storage::Storage;

/// `ENOSPC`, or its equivalent on Windows. WASI needs an error with a number.
const NO_SPACE: i32 = if cfg!(windows) { 112 } else { 28 };

pub(super) type OpenFile = Arc<std::fs::File>;

pub(super) fn length(file: &OpenFile) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

/// A stream into the storage. Its position is the file and an offset; `None` appends.
pub(super) struct Counted {
    pub(super) stream: DynOutputStream,
    pub(super) storage: Storage,
    pub(super) file: OpenFile,
    pub(super) at: Option<u64>,
}

impl Counted {
    /// Reserves room for a write.
    fn reserve(&mut self, size: u64) -> StreamResult<()> {
        let growth = match self.at {
            None => size,
            Some(at) => at.saturating_add(size).saturating_sub(length(&self.file)),
        };
        if self.storage.reserve(growth).is_err() {
            let full = std::io::Error::from_raw_os_error(NO_SPACE);
            return Err(StreamError::LastOperationFailed(full.into()));
        }
        self.at = self.at.map(|at| at.saturating_add(size));
        Ok(())
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
        self.reserve(bytes.len() as u64)?;
        self.stream.write(bytes)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.stream.write_ready().await?;
        self.reserve(bytes.len() as u64)?;
        self.stream.blocking_write_and_flush(bytes).await
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

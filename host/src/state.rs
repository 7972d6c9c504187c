use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, StoreLimits};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::cancel::CancelHandle;
use crate::directories::Locks;
use crate::error::StopReason;
use crate::grants::{Access, Grant};
use crate::ledger::Ledger;
use crate::sink::Sink;

/// Looks at every call of our own interfaces that a plugin makes, by its name in the WIT, before
/// it is carried out. `false` ends the plugin right there, as a crash would.
pub type HostCallHook = Arc<dyn Fn(&'static str) -> bool + Send + Sync>;

/// What belongs to one session.
pub(crate) struct State {
    pub(crate) plugin: Arc<str>,
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) limiter: Limiter,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) cancel: CancelHandle,
    pub(crate) ledger: Ledger,
    pub(crate) grants: Vec<Grant>,
    pub(crate) storage: Option<(PathBuf, Access)>,
    pub(crate) locks: Locks,
    pub(crate) copy_buffer: Vec<u8>,
    /// Whether questions may reach the user now.
    pub(crate) may_ask: bool,
    pub(crate) hook: Option<HostCallHook>,
}

/// Ends the plugin; the reason is in the session's [`CancelHandle`].
#[derive(Debug, thiserror::Error)]
#[error("the host ended the plugin")]
pub(crate) struct EndedByHost;

impl State {
    /// Begins a host call.
    pub(crate) fn enter(&mut self, call: &'static str) -> wasmtime::Result<()> {
        if let Some(hook) = &self.hook
            && !hook(call)
        {
            self.cancel.end(StopReason::Killed);
        }
        match self.cancel.ended() {
            None => Ok(()),
            Some(_) => Err(EndedByHost.into()),
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Refuses memory beyond the limit, and remembers that it did.
pub(crate) struct Limiter {
    limits: StoreLimits,
    cancel: CancelHandle,
    pub(crate) peak_memory_bytes: usize,
}

impl Limiter {
    pub(crate) fn new(limits: StoreLimits, cancel: CancelHandle) -> Self {
        Self { limits, cancel, peak_memory_bytes: 0 }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = self.limits.memory_growing(current, desired, maximum)?;
        match allowed {
            true => self.peak_memory_bytes = self.peak_memory_bytes.max(desired),
            false => {
                self.cancel.end(StopReason::Memory);
                return Err(EndedByHost.into());
            }
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = self.limits.table_growing(current, desired, maximum)?;
        if !allowed {
            self.cancel.end(StopReason::Memory);
            return Err(EndedByHost.into());
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}

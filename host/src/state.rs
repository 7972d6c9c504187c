use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::ResourceLimiter;
use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::contract::Description;
use crate::directories::{Fence, Locks, Reading, Writing};
use crate::error::{Denial, StopReason};
use crate::grants::{Capability, Grant};
use crate::journal::Journal;
use crate::limits::{Limits, size};
use crate::secrets::Secrets;
use crate::storage::Storage;
use crate::wasi_files::WasiFiles;
use crate::watch::Watch;

/// Looks at every call of our own interfaces that a plugin makes, by its name in the WIT, and at those
/// of WASI that change files, before it is carried out. `false` ends the plugin right there, as a crash would.
pub type HostCallHook = Arc<dyn Fn(&'static str) -> bool + Send + Sync>;

/// Where a session's journal is while its plugin waits in a system call, so that the run can be
/// ended without it.
pub(crate) type Parked = Arc<Mutex<Option<Box<Journal>>>>;

/// What belongs to one session.
pub(crate) struct State {
    pub(crate) plugin: Arc<str>,
    pub(crate) description: Arc<Description>,
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) limiter: Limiter,
    pub(crate) watch: Arc<Watch>,
    journal: Option<Box<Journal>>,
    parked: Parked,
    pub(crate) grants: Vec<Grant>,
    /// What is left out of every grant.
    pub(crate) fence: Fence,
    pub(crate) storage: Option<Storage>,
    pub(crate) secrets: Secrets,
    /// Shared with the session's owner, who releases them if the session does not return.
    pub(crate) locks: Arc<Mutex<Locks>>,
    pub(crate) writing: Writing,
    pub(crate) copy_buffer: Vec<u8>,
    pub(crate) reading: Reading,
    pub(crate) wasi_files: WasiFiles,
    /// Files and directories that are open.
    pub(crate) open_files: u64,
    pub(crate) max_open_files: u64,
    /// Calls of our own interfaces.
    pub(crate) host_calls: u64,
    /// Whether questions may reach the user now.
    pub(crate) may_ask: bool,
    pub(crate) hook: Option<HostCallHook>,
    /// Room for the text of a report.
    pub(crate) text: String,
}

/// What a session is made of, beside what is the same for all.
pub(crate) struct Parts {
    pub(crate) plugin: Arc<str>,
    pub(crate) description: Arc<Description>,
    pub(crate) wasi: WasiCtx,
    pub(crate) watch: Arc<Watch>,
    pub(crate) journal: Journal,
    pub(crate) grants: Vec<Grant>,
    pub(crate) fence: Fence,
    pub(crate) storage: Option<Storage>,
    pub(crate) secrets: Secrets,
    pub(crate) hook: Option<HostCallHook>,
}

/// Ends the plugin; the reason is in the session's [`Watch`].
#[derive(Debug, thiserror::Error)]
#[error("the host ended the plugin")]
pub(crate) struct EndedByHost;

impl State {
    pub(crate) fn new(parts: Parts, limits: &Limits) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(size(limits.handles));
        Self {
            plugin: parts.plugin,
            description: parts.description,
            table,
            wasi: parts.wasi,
            limiter: Limiter::new(limits, Arc::clone(&parts.watch)),
            watch: parts.watch,
            journal: Some(Box::new(parts.journal)),
            parked: Parked::default(),
            grants: parts.grants,
            fence: parts.fence,
            storage: parts.storage,
            secrets: parts.secrets,
            locks: Arc::default(),
            writing: Writing::default(),
            copy_buffer: Vec::new(),
            reading: Reading::default(),
            wasi_files: WasiFiles::default(),
            open_files: 0,
            max_open_files: limits.open_files,
            host_calls: 0,
            may_ask: false,
            hook: parts.hook,
            text: String::new(),
        }
    }

    /// Begins a host call.
    #[inline]
    pub(crate) fn enter(&mut self, call: &'static str) -> wasmtime::Result<()> {
        self.host_calls += 1;
        self.watch.sign_of_life();
        self.pass(call)
    }

    /// Shows a call to the hook, and ends it if the plugin is to end.
    #[inline]
    pub(crate) fn pass(&self, call: &'static str) -> wasmtime::Result<()> {
        if let Some(hook) = &self.hook
            && !hook(call)
        {
            self.watch.end(StopReason::Killed);
        }
        self.check_ended()
    }

    /// Ends a host call that takes long, if the plugin is to end.
    #[inline]
    pub(crate) fn check_ended(&self) -> wasmtime::Result<()> {
        match self.watch.ended() {
            None => Ok(()),
            Some(_) => Err(EndedByHost.into()),
        }
    }

    /// The session's journal. It is gone only from a session that was given up on.
    #[inline]
    pub(crate) fn journal(&mut self) -> wasmtime::Result<&mut Journal> {
        match &mut self.journal {
            Some(journal) => Ok(journal),
            None => Err(EndedByHost.into()),
        }
    }

    pub(crate) fn journal_ref(&self) -> Option<&Journal> {
        self.journal.as_deref()
    }

    pub(crate) fn take_journal(&mut self) -> Option<Box<Journal>> {
        self.journal.take()
    }

    pub(crate) fn parked(&self) -> Parked {
        Arc::clone(&self.parked)
    }

    /// Ends the plugin because it used what it was not granted.
    pub(crate) fn deny(&self, capability: Option<Capability>, interface: &str) -> wasmtime::Error {
        self.watch.deny(denial(&self.description, capability, interface));
        EndedByHost.into()
    }
}

/// What was denied, and what to do about it.
fn denial(description: &Description, capability: Option<Capability>, interface: &str) -> Denial {
    let Some(capability) = capability else {
        return Denial {
            asked: format!("the network (`{interface}`)"),
            remedy: "no option grants it".to_owned(),
        };
    };
    let (name, meaning) = (capability.name(), capability.meaning());
    let remedy = match description.requests.capability(capability) {
        true => format!("grant it with `--allow {name}`"),
        false => format!(
            "its author has to add `{name}` to its requests, and then `--allow {name}` grants it"
        ),
    };
    Denial { asked: format!("{meaning} (`{name}`)"), remedy }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A session whose plugin waits for the system, until this is dropped.
pub(crate) struct Waiting<'a> {
    state: &'a mut State,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(state: &'a mut State) -> Self {
        if let Some(journal) = &mut state.journal {
            journal.flush_due();
        }
        *state.parked.lock().unwrap_or_else(PoisonError::into_inner) = state.journal.take();
        Self { state }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.state.journal =
            self.state.parked.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl std::ops::Deref for Waiting<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state
    }
}

impl std::ops::DerefMut for Waiting<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.state
    }
}

/// Tells the linker that a host call waits for the system.
pub(crate) struct HasWaiting;

impl HasData for HasWaiting {
    type Data<'a> = Waiting<'a>;
}

/// Refuses memory beyond the limit, and remembers that it did.
pub(crate) struct Limiter {
    watch: Arc<Watch>,
    memory_bytes: usize,
    table_elements: usize,
    instances: usize,
    max_memory_bytes: usize,
    max_table_elements: usize,
    pub(crate) peak_memory_bytes: usize,
}

impl Limiter {
    fn new(limits: &Limits, watch: Arc<Watch>) -> Self {
        Self {
            watch,
            memory_bytes: 0,
            table_elements: 0,
            instances: size(limits.instances),
            max_memory_bytes: size(limits.memory_bytes),
            max_table_elements: size(limits.table_elements),
            peak_memory_bytes: 0,
        }
    }
}

/// What all of them come to when one grows; `None`: more than there is.
fn grown(total: usize, current: usize, desired: usize, limit: usize) -> Option<usize> {
    let grown = total.checked_add(desired.saturating_sub(current))?;
    (grown <= limit).then_some(grown)
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Its own maximum is the plugin's business.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let Some(grown) = grown(self.memory_bytes, current, desired, self.max_memory_bytes) else {
            self.watch.end(StopReason::Memory);
            return Err(EndedByHost.into());
        };
        // Stays counted if the system refuses it: wasmtime also tells of failures that were never
        // asked for here, so that they cannot be told apart.
        self.memory_bytes = grown;
        self.peak_memory_bytes = self.peak_memory_bytes.max(grown);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let Some(grown) = grown(self.table_elements, current, desired, self.max_table_elements)
        else {
            self.watch.end(StopReason::Tables);
            return Err(EndedByHost.into());
        };
        self.table_elements = grown;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}

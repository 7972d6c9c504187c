//! The context of a session, which the imports of its plugin use.

pub(crate) mod wasi_files;

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::component::description::Description;
use crate::error::{Denial, TerminationReason};
use crate::fs::fence::Fence;
use crate::fs::locks::Locks;
use crate::fs::open_files::OpenFiles;
use crate::grants::{Capability, Grant};
use crate::http::client::Notice;
use crate::http::hooks::HttpHooks;
use crate::limits::limiter::Limiter;
use crate::limits::monitor::{Monitor, Terminated};
use crate::limits::reading::Reading;
use crate::limits::{Limits, size};
use crate::output::OutputTail;
use crate::redact::Secrets;
use crate::storage::Storage;
use crate::sync_manager::SyncManager;
use crate::types::{ErrorCode, LogEntry, LogLevel};
use wasi_files::WasiFiles;

/// Receives the WIT name of every call of the contract's interfaces by a plugin, and of every WASI
/// call that changes files, before it is executed. Returning `false` terminates the plugin at that
/// point, like a crash.
pub type HostCallHook = Arc<dyn Fn(&'static str) -> bool + Send + Sync>;

/// Holds a session's [`SyncManager`] while its plugin is blocked in a system call, so that the run
/// can be reported without the thread, which may never return.
///
/// The manager is moved here and back, because a permanent lock would cost every report a fifth of
/// its time (108 ns instead of 89 ns); this way, only calls that may block pay for two moves of a
/// pointer.
pub(crate) type Parked = Arc<Mutex<Option<Box<SyncManager>>>>;

/// The context of one session: the grants and limits of the plugin, and the sync manager that
/// receives its callbacks.
///
/// A program that owns its store keeps it there: see [`SyncMgrView`].
pub struct SyncMgrCtx {
    pub(crate) plugin: Arc<str>,
    pub(crate) description: Arc<Description>,
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) http: WasiHttpCtx,
    pub(crate) http_hooks: HttpHooks,
    pub(crate) limiter: Limiter,
    pub(crate) limits: Limits,
    pub(crate) stderr: OutputTail,
    /// The granted capabilities.
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) monitor: Arc<Monitor>,
    manager: Option<Box<SyncManager>>,
    parked: Parked,
    pub(crate) grants: Vec<Grant>,
    /// The directories that are excluded from every grant.
    pub(crate) fence: Fence,
    pub(crate) storage: Option<Storage>,
    pub(crate) secrets: Secrets,
    /// Shared with the session's owner, who releases them if the session hangs.
    pub(crate) locks: Locks,
    /// Files outside the storage that are open for writing.
    pub(crate) writing: OpenFiles,
    pub(crate) copy_buffer: Vec<u8>,
    pub(crate) reading: Reading,
    pub(crate) wasi_files: WasiFiles,
    /// The number of open files and directories.
    pub(crate) open_files: u64,
    /// The number of calls of the contract's interfaces.
    pub(crate) host_calls: u64,
    /// Whether questions may reach the user now.
    pub(crate) may_ask: bool,
    pub(crate) hook: Option<HostCallHook>,
    /// A reusable buffer for the text of a report.
    pub(crate) text: String,
}

impl std::fmt::Debug for SyncMgrCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncMgrCtx").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

/// Gives access to the context of a session in the data of a store.
///
/// The implementation of [`WasiView::ctx`] must return that of the [`SyncMgrCtx`]: the sandbox
/// depends on it.
///
/// ```
/// use syncmgr_host::{SyncMgrCtx, SyncMgrView};
/// use wasmtime_wasi::{WasiCtxView, WasiView};
///
/// /// The data of the application's stores.
/// struct App {
///     syncmgr: SyncMgrCtx,
/// }
///
/// impl WasiView for App {
///     fn ctx(&mut self) -> WasiCtxView<'_> {
///         self.syncmgr.ctx()
///     }
/// }
///
/// impl SyncMgrView for App {
///     fn syncmgr(&mut self) -> &mut SyncMgrCtx {
///         &mut self.syncmgr
///     }
/// }
/// ```
pub trait SyncMgrView: WasiView + Send + 'static {
    /// Returns the context of the session.
    fn syncmgr(&mut self) -> &mut SyncMgrCtx;
}

impl SyncMgrView for SyncMgrCtx {
    #[inline]
    fn syncmgr(&mut self) -> &mut SyncMgrCtx {
        self
    }
}

/// The parts of a context that differ between sessions.
pub(crate) struct CtxInit {
    pub(crate) plugin: Arc<str>,
    pub(crate) description: Arc<Description>,
    pub(crate) wasi: WasiCtx,
    pub(crate) http: HttpHooks,
    pub(crate) stderr: OutputTail,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) manager: SyncManager,
    pub(crate) grants: Vec<Grant>,
    pub(crate) fence: Fence,
    pub(crate) storage: Option<Storage>,
    pub(crate) secrets: Secrets,
    pub(crate) hook: Option<HostCallHook>,
}

impl SyncMgrCtx {
    pub(crate) fn new(parts: CtxInit, limits: &Limits) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(size(limits.handles));
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(size(limits.http_header_bytes));
        Self {
            plugin: parts.plugin,
            description: parts.description,
            table,
            wasi: parts.wasi,
            http,
            http_hooks: parts.http,
            limiter: Limiter::new(limits, Arc::clone(&parts.monitor)),
            limits: limits.clone(),
            stderr: parts.stderr,
            capabilities: parts.capabilities,
            monitor: parts.monitor,
            manager: Some(Box::new(parts.manager)),
            parked: Parked::default(),
            grants: parts.grants,
            fence: parts.fence,
            storage: parts.storage,
            secrets: parts.secrets,
            locks: Locks::default(),
            writing: OpenFiles::default(),
            copy_buffer: Vec::new(),
            reading: Reading::default(),
            wasi_files: WasiFiles::default(),
            open_files: 0,
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
        self.monitor.touch();
        self.pass(call)
    }

    /// Passes a call to the hook, and fails it if the plugin must terminate.
    #[inline]
    pub(crate) fn pass(&self, call: &'static str) -> wasmtime::Result<()> {
        if let Some(hook) = &self.hook
            && !hook(call)
        {
            self.monitor.terminate(TerminationReason::Killed);
        }
        self.check_ended()
    }

    /// Fails a long host call if the plugin must terminate.
    #[inline]
    pub(crate) fn check_ended(&self) -> wasmtime::Result<()> {
        match self.monitor.terminated() {
            None => Ok(()),
            Some(_) => Err(Terminated.into()),
        }
    }

    /// Returns the session's sync manager. It is missing only in an abandoned session.
    #[inline]
    pub(crate) fn manager(&mut self) -> wasmtime::Result<&mut SyncManager> {
        match &mut self.manager {
            Some(manager) => Ok(manager),
            None => Err(Terminated.into()),
        }
    }

    /// Logs what the operator should know about HTTP requests.
    pub(crate) fn log_http(&mut self) {
        for notice in self.http_hooks.client.take_notices() {
            let (text, code) = match notice {
                Notice::Denied(denial) => (denial.to_string(), ErrorCode::AccessDenied),
                Notice::Replaced { origin } => {
                    let text = format!(
                        "the plugin's own credentials for {origin} were replaced by the granted ones"
                    );
                    (text, ErrorCode::InvalidArgument)
                }
                Notice::NoToken { server, error } => {
                    let text = format!("credentials for the server `{server}`: {error}");
                    (text, ErrorCode::AccessDenied)
                }
            };
            let level = LogLevel::Warning;
            let entry =
                LogEntry { level, text, item: None, jump: None, id: None, code: Some(code) };
            if let Some(manager) = &mut self.manager {
                manager.log_http(&entry);
            }
        }
        if let Some(manager) = &self.manager {
            // Requests are recorded without a call of the contract.
            manager.check_record();
        }
    }

    pub(crate) fn manager_ref(&self) -> Option<&SyncManager> {
        self.manager.as_deref()
    }

    pub(crate) fn take_manager(&mut self) -> Option<Box<SyncManager>> {
        self.manager.take()
    }

    pub(crate) fn parked(&self) -> Parked {
        Arc::clone(&self.parked)
    }

    /// Terminates the plugin because it used something that it was not granted.
    pub(crate) fn deny(&self, capability: Option<Capability>, interface: &str) -> wasmtime::Error {
        let requests = &self.description.requests;
        self.monitor.deny(Denial {
            capability,
            interface: interface.to_owned(),
            requested: capability.is_some_and(|capability| requests.capability(capability)),
        });
        Terminated.into()
    }
}

impl WasiView for SyncMgrCtx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for SyncMgrCtx {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.log_http();
        WasiHttpCtxView { hooks: &mut self.http_hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// A session whose sync manager is parked until this is dropped, because its plugin may be blocked
/// in a system call.
pub(crate) struct ParkedCtx<'a> {
    state: &'a mut SyncMgrCtx,
}

impl<'a> ParkedCtx<'a> {
    pub(crate) fn new(state: &'a mut SyncMgrCtx) -> Self {
        if let Some(manager) = &mut state.manager {
            manager.flush_due();
        }
        *state.parked.lock().unwrap_or_else(PoisonError::into_inner) = state.manager.take();
        Self { state }
    }
}

impl Drop for ParkedCtx<'_> {
    fn drop(&mut self) {
        self.state.manager =
            self.state.parked.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl std::ops::Deref for ParkedCtx<'_> {
    type Target = SyncMgrCtx;

    fn deref(&self) -> &SyncMgrCtx {
        self.state
    }
}

impl std::ops::DerefMut for ParkedCtx<'_> {
    fn deref_mut(&mut self) -> &mut SyncMgrCtx {
        self.state
    }
}

/// Marks a host call in the linker as potentially blocking.
pub(crate) struct HasParkedCtx;

impl HasData for HasParkedCtx {
    type Data<'a> = ParkedCtx<'a>;
}

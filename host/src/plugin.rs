use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::{Store, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::{FsPerms, WasiCtx};

use crate::bindings::HandlerPre;
use crate::cancel::CancelHandle;
use crate::contract::Description;
use crate::directories::Locks;
use crate::error::{GrantError, SessionError, StartError};
use crate::grants::{self, Access, Grant};
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::output::OutputTail;
use crate::session::Session;
use crate::sink::Sink;
use crate::state::{EndedByHost, HostCallHook, Limiter, State};

/// A compiled plugin, checked against the contract and ready for any number of sessions. Clones
/// share everything.
#[derive(Clone)]
pub struct Plugin {
    name: Arc<str>,
    pre: HandlerPre<State>,
    description: Arc<Description>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What one session of a plugin gets. Nothing is granted unless it is said here.
///
/// The defaults: no directories, no storage, no settings, no arguments, no standard input, no
/// network; the clocks and random numbers of the system; [`Limits::default`].
#[derive(Clone, Default)]
pub struct SessionOptions {
    grants: Vec<Grant>,
    storage: Option<PathBuf>,
    settings: Vec<(String, String)>,
    limits: Limits,
    read_only: bool,
    hook: Option<HostCallHook>,
}

impl std::fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Settings may be private.
        f.debug_struct("SessionOptions")
            .field("grants", &self.grants)
            .field("storage", &self.storage)
            .field("limits", &self.limits)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

impl SessionOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grants a directory.
    #[must_use]
    pub fn grant(mut self, grant: Grant) -> Self {
        self.grants.push(grant);
        self
    }

    /// Gives the plugin a directory to keep its own files in. It must exist.
    #[must_use]
    pub fn storage(mut self, path: impl Into<PathBuf>) -> Self {
        self.storage = Some(path.into());
        self
    }

    /// Gives the plugin a setting: an environment variable.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes every directory, and the storage, read-only, whatever was granted, so that nothing
    /// can change.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Looks at every call of our own interfaces before it is carried out: for tracing, and for
    /// crashing a plugin at a point of one's choice.
    #[must_use]
    pub fn host_call_hook(mut self, hook: HostCallHook) -> Self {
        self.hook = Some(hook);
        self
    }

    fn access(&self, access: Access) -> Access {
        if self.read_only { Access::ReadOnly } else { access }
    }
}

impl Plugin {
    pub(crate) fn new(name: &str, pre: HandlerPre<State>, description: Description) -> Self {
        Self { name: name.into(), pre, description: Arc::new(description) }
    }

    /// The name that messages use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its file tells.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Starts a session: one run of the handler, in an instance of its own.
    ///
    /// A session's file access blocks, so drive each one on a thread of its own, in a Tokio
    /// runtime; [`Session::run_blocking`] does both.
    ///
    /// # Errors
    /// [`StartError`]; what the plugin does while it is being instantiated counts as its
    /// `initialize`.
    pub async fn start(
        &self,
        options: SessionOptions,
        sink: impl Sink + 'static,
    ) -> Result<Session, StartError> {
        grants::check(&options.grants)?;
        let cancel = CancelHandle::new();
        let stderr = OutputTail::new(options.limits.stderr_bytes);
        let state = self.state(options, Box::new(sink), &cancel, &stderr)?;
        let mut store = Store::new(self.pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| match store.data().cancel.ended() {
            None => Ok(UpdateDeadline::Yield(1)),
            Some(_) => Err(EndedByHost.into()),
        });
        Ok(Session::start(self.name.clone(), &self.pre, store, cancel, stderr).await?)
    }

    /// [`Plugin::start`] for callers without an async runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_blocking(
        &self,
        options: SessionOptions,
        sink: impl Sink + 'static,
    ) -> Result<Session, StartError> {
        crate::run::runtime(&self.name)?.block_on(self.start(options, sink))
    }

    fn state(
        &self,
        options: SessionOptions,
        sink: Box<dyn Sink>,
        cancel: &CancelHandle,
        stderr: &OutputTail,
    ) -> Result<State, StartError> {
        let limits = &options.limits;
        let store_limits = StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .table_elements(limits.table_elements)
            .build();
        let mut table = wasmtime::component::ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let mut state = State {
            plugin: self.name.clone(),
            table,
            wasi: self.wasi(&options, stderr)?,
            limiter: Limiter::new(store_limits, cancel.clone()),
            sink,
            cancel: cancel.clone(),
            ledger: Ledger::default(),
            grants: Vec::new(),
            storage: None,
            locks: Locks::default(),
            copy_buffer: Vec::new(),
            may_ask: false,
            hook: options.hook.clone(),
        };
        state.storage =
            options.storage.clone().map(|path| (path, options.access(Access::ReadWrite)));
        state.grants = options
            .grants
            .iter()
            .map(|grant| grant.with_access(options.access(grant.access())))
            .collect();
        Ok(state)
    }

    fn wasi(&self, options: &SessionOptions, stderr: &OutputTail) -> Result<WasiCtx, StartError> {
        let mut wasi = WasiCtx::builder();
        wasi.stdout(OutputTail::new(options.limits.stderr_bytes))
            .stderr(stderr.clone())
            .envs(&options.settings)
            // A session has its thread, and handing every call to another one costs ten times
            // the call.
            .allow_blocking_current_thread(true);
        let perms = |access| match access {
            Access::ReadOnly => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        let storage = options
            .storage
            .iter()
            .map(|path| ("storage", path.as_path(), options.access(Access::ReadWrite)));
        // A directory that is not there is no reason not to start: the plugin may do without.
        let granted = options
            .grants
            .iter()
            .filter(|grant| grant.path().is_dir())
            .map(|grant| (grant.name(), grant.path(), options.access(grant.access())));
        for (name, path, access) in storage.chain(granted) {
            wasi.preopened_dir(path, format!("/{name}"), perms(access)).map_err(|error| {
                StartError::Grant(GrantError::Open {
                    name: name.to_owned(),
                    path: path.to_owned(),
                    source: std::io::Error::other(error.to_string()),
                })
            })?;
        }
        Ok(wasi.build())
    }
}

impl From<SessionError> for StartError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, HostWallClock, WasiCtx};

use crate::bindings::HandlerPre;
use crate::cancel::CancelHandle;
use crate::contract::Description;
use crate::denied::Links;
use crate::directories::{self, Fence, Locks};
use crate::error::{GrantError, SessionError, StartError};
use crate::grants::{self, Access, Capability, Grant};
use crate::journal::Journal;
use crate::limits::{Limits, size};
use crate::output::{Lines, OutputHook, OutputStream, OutputTail};
use crate::secrets::Secrets;
use crate::session::Session;
use crate::sink::Sink;
use crate::state::{EndedByHost, HostCallHook, Parked, Parts, State};
use crate::storage::{STORAGE, Storage};
use crate::ticker::Ticker;
use crate::watch::Watch;

/// A compiled plugin, checked against the contract and ready for any number of sessions. Clones
/// share everything.
#[derive(Clone)]
pub struct Plugin {
    name: Arc<str>,
    links: Arc<Links>,
    description: Arc<Description>,
    ticker: Ticker,
    /// What it died of, if it is not to be started again.
    quarantine: Arc<Mutex<Option<String>>>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What one session of a plugin gets: what is said here, as far as the plugin asks for it in its
/// [`Requests`](crate::Requests). Nothing else.
///
/// The defaults: no directories, no storage, no settings, no secrets, no time of day, no secret
/// random numbers, no arguments, no standard input, no network; [`Limits::default`].
#[derive(Clone, Default)]
pub struct SessionOptions {
    grants: Vec<Grant>,
    storage: Option<PathBuf>,
    left_out: Vec<PathBuf>,
    settings: Vec<(String, String)>,
    secrets: Vec<(String, String)>,
    capabilities: Vec<Capability>,
    limits: Limits,
    read_only: bool,
    cancel: Option<CancelHandle>,
    hook: Option<HostCallHook>,
    output_hook: Option<OutputHook>,
    clock: Option<WallClock>,
}

/// Tells the time of day, as the time since 1970-01-01T00:00:00Z.
type WallClock = Arc<dyn Fn() -> Duration + Send + Sync>;

impl std::fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Settings may be private, and secrets are.
        f.debug_struct("SessionOptions")
            .field("grants", &self.grants)
            .field("storage", &self.storage)
            .field("capabilities", &self.capabilities)
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

    /// Leaves a directory out of every grant, under whatever name it is reached: for what belongs
    /// to the host. The plugin's own storage may be in it. One that does not exist is not left out.
    #[must_use]
    pub fn leave_out(mut self, path: impl Into<PathBuf>) -> Self {
        self.left_out.push(path.into());
        self
    }

    /// Gives the plugin a setting: an environment variable. A later one replaces an earlier one
    /// of the same name.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.into()));
        self
    }

    /// Gives the plugin a secret: an environment variable, too, but wherever its value shows up in
    /// what the plugin says (reports, messages, errors, what it printed), `[secret]` takes its
    /// place.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.secrets.push((name.into(), value.into()));
        self
    }

    /// Lets the plugin have the time of day, or secret random numbers.
    #[must_use]
    pub fn allow(mut self, capability: Capability) -> Self {
        self.capabilities.push(capability);
        self
    }

    /// Has a plugin that may have the time of day take it from here: for trying what it does when
    /// the clock jumps. It is the time since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn wall_clock(mut self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }

    pub(crate) fn cancel_or_new(&self) -> CancelHandle {
        self.cancel.clone().unwrap_or_default()
    }

    /// Cancels through this handle, which may have been used already.
    #[must_use]
    pub fn cancel_handle(mut self, cancel: CancelHandle) -> Self {
        self.cancel = Some(cancel);
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

    /// Looks at every call of our own interfaces, and at those of WASI that change files, before it is
    /// carried out: for tracing, and for
    /// crashing a plugin at a point of one's choice.
    #[must_use]
    pub fn host_call_hook(mut self, hook: HostCallHook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Passes on what the plugin writes to standard output and standard error, line by line, as it
    /// comes. Otherwise only the end of it is kept, for the details of a crash.
    #[must_use]
    pub fn output_hook(mut self, hook: OutputHook) -> Self {
        self.output_hook = Some(hook);
        self
    }
}

/// One thing that an operator granted and a plugin does not ask for, in the words of the command
/// line, such as `--dir left`.
pub type Unrequested = String;

/// A session that is ready to be instantiated.
pub(crate) struct Prepared {
    pub(crate) plugin: Arc<str>,
    pub(crate) pre: HandlerPre<State>,
    pub(crate) store: Store<State>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) parked: Parked,
    pub(crate) locks: Arc<Mutex<Locks>>,
    pub(crate) stderr: OutputTail,
    pub(crate) max_items: u64,
}

impl Plugin {
    pub(crate) fn new(name: &str, links: Links, description: Description, ticker: Ticker) -> Self {
        Self {
            name: name.into(),
            links: Arc::new(links),
            description: Arc::new(description),
            ticker,
            quarantine: Arc::default(),
        }
    }

    /// The name that messages use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its file tells.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What is granted and not asked for, so that the plugin will not get it.
    pub fn unrequested(&self, options: &SessionOptions) -> Vec<Unrequested> {
        let requests = &self.description.requests;
        let mut unrequested = Vec::new();
        for grant in
            options.grants.iter().filter(|grant| requests.directory(grant.name()).is_none())
        {
            unrequested.push(format!("--dir {}", grant.name()));
        }
        for (name, _) in options.settings.iter().filter(|(name, _)| !requests.setting(name)) {
            unrequested.push(format!("--set {name}"));
        }
        for (name, _) in options.secrets.iter().filter(|(name, _)| !requests.secret(name)) {
            unrequested.push(format!("--secret {name}"));
        }
        let extra = |capability: &&Capability| !requests.capability(**capability);
        for capability in options.capabilities.iter().filter(extra) {
            unrequested.push(format!("--allow {}", capability.name()));
        }
        unrequested
    }

    /// Starts a session: one run of the handler, in an instance of its own.
    /// [`Plugin::run_blocking`] does a whole run.
    ///
    /// A session's file access blocks, so drive each one on a thread of its own, in a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`StartError`]; what the plugin does while it is being instantiated counts as its
    /// `initialize`.
    pub async fn start(
        &self,
        options: SessionOptions,
        sink: impl Sink + 'static,
    ) -> Result<Session, StartError> {
        let prepared = self.prepare(&options, Box::new(sink))?;
        Session::start(prepared).await.map_err(|(error, _)| StartError::Session(error))
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
        crate::run::Runtime::new(&self.name)?.block_on(self.start(options, sink))?
    }

    /// Lets it be started again after it died.
    pub fn release(&self) {
        *self.quarantine.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn quarantine(&self, death: &SessionError) {
        let mut quarantine = self.quarantine.lock().unwrap_or_else(PoisonError::into_inner);
        quarantine.get_or_insert_with(|| death.to_string());
    }

    pub(crate) fn prepare(
        &self,
        options: &SessionOptions,
        sink: Box<dyn Sink>,
    ) -> Result<Prepared, StartError> {
        let quarantine = self.quarantine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(death) = quarantine.clone() {
            return Err(StartError::Quarantined { plugin: self.name.to_string(), death });
        }
        drop(quarantine);
        let requests = &self.description.requests;
        let access = |access| if options.read_only { Access::ReadOnly } else { access };
        let grants: Vec<_> = options
            .grants
            .iter()
            .filter_map(|grant| {
                let wanted = requests.directory(grant.name())?;
                Some(grant.with_access(access(grant.access().min(wanted))))
            })
            .collect();
        grants::check(&options.grants)?;
        let fence = Fence::around(&options.left_out);
        for grant in &grants {
            directories::check_grant(grant.path(), &fence).map_err(|why| GrantError::NoFiles {
                name: grant.name().to_owned(),
                path: grant.path().to_owned(),
                why: why.to_string(),
            })?;
        }
        let storage = options.storage.clone().map(|path| {
            Storage::new(path, access(Access::ReadWrite), options.limits.storage_bytes)
        });
        let granted = |capability| {
            options.capabilities.contains(&capability) && requests.capability(capability)
        };
        let limits = &options.limits;
        let secrets = options.secrets.iter().filter(|(name, _)| requests.secret(name));
        let secrets = Secrets::new(secrets.map(|(_, value)| value.clone()));
        let output = |stream| {
            let hook = options.output_hook.clone();
            let lines = hook.map(|hook| Lines::new(stream, hook, secrets.clone()));
            OutputTail::new(size(limits.output_bytes), secrets.clone(), lines)
        };
        let stderr = output(OutputStream::Stderr);
        let mut wasi = WasiCtx::builder();
        // Whatever waits does so with the journal parked: see `wasi_files`.
        wasi.allow_blocking_current_thread(true);
        let stdout = output(OutputStream::Stdout);
        wasi.stdout(stdout).stderr(stderr.clone()).envs(&self.environment(options)?);
        match &options.clock {
            _ if !granted(Capability::WallClock) => {
                wasi.wall_clock(StoppedClock);
            }
            Some(clock) => {
                wasi.wall_clock(GivenClock(Arc::clone(clock)));
            }
            None => {}
        }
        for (name, path, access) in storage
            .iter()
            .map(|storage| (STORAGE, storage.path.as_path(), storage.access))
            // A directory that is not there is no reason not to start: the plugin may do without.
            .chain(
                grants
                    .iter()
                    .filter(|grant| grant.path().is_dir())
                    .map(|grant| (grant.name(), grant.path(), grant.access())),
            )
        {
            let perms = match access {
                Access::ReadOnly => FsPerms::ReadOnly,
                Access::ReadWrite => FsPerms::ReadWrite,
            };
            wasi.preopened_dir(path, format!("/{name}"), perms).map_err(|error| {
                GrantError::Open {
                    name: name.to_owned(),
                    path: path.to_owned(),
                    source: std::io::Error::other(error.to_string()),
                }
            })?;
        }
        let cancel = options.cancel_or_new();
        let watch = Arc::new(Watch::new(cancel, Arc::clone(&self.ticker.clock), limits));
        let state = State::new(
            Parts {
                plugin: Arc::clone(&self.name),
                description: Arc::clone(&self.description),
                wasi: wasi.build(),
                watch: Arc::clone(&watch),
                journal: Journal::new(sink, Arc::clone(&watch), limits),
                grants,
                fence,
                storage,
                secrets,
                hook: options.hook.clone(),
            },
            limits,
        );
        let pre = self.links.pre(granted).cloned().map_err(|source| SessionError::Host {
            plugin: self.name.to_string(),
            what: "link it for these grants",
            source,
        })?;
        let parked = state.parked();
        let locks = Arc::clone(&state.locks);
        let mut store = Store::new(pre.engine(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(size(limits.host_call_bytes));
        store.set_max_component_handles(size(limits.handles));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            state.watch.check_computing();
            if state.watch.ended().is_some() {
                return Err(EndedByHost.into());
            }
            state.journal()?.flush_due();
            Ok(UpdateDeadline::Yield(1))
        });
        self.ticker.watch(Arc::clone(&watch));
        Ok(Prepared {
            plugin: Arc::clone(&self.name),
            pre,
            store,
            watch,
            parked,
            locks,
            stderr,
            max_items: limits.items,
        })
    }

    /// The settings and secrets that the plugin asks for.
    fn environment(&self, options: &SessionOptions) -> Result<Vec<(String, String)>, GrantError> {
        let requests = &self.description.requests;
        let mut names = std::collections::HashSet::new();
        for (name, value) in options.settings.iter().chain(&options.secrets) {
            let refuse = |why| Err(GrantError::Setting { name: name.clone(), why });
            if name.is_empty() || name.contains(['=', '\0']) {
                return refuse("has a name that no environment variable can have");
            }
            if value.contains('\0') {
                return refuse("contains a NUL");
            }
            if !names.insert(name) {
                return refuse("is given twice");
            }
        }
        let settings = options.settings.iter().filter(|(name, _)| requests.setting(name));
        let secrets = options.secrets.iter().filter(|(name, _)| requests.secret(name));
        Ok(settings.chain(secrets).cloned().collect())
    }
}

/// Tells nothing to a plugin that was not granted the time of day.
#[derive(Debug)]
struct StoppedClock;

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

/// Tells what the embedder says.
struct GivenClock(WallClock);

impl HostWallClock for GivenClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        (self.0)()
    }
}

impl From<SessionError> for StartError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

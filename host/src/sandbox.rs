//! Builds a session from the plugin's requests and the operator's grants.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{FsPerms, HostWallClock, WasiCtx};

use crate::error::{GrantError, SessionError, StartError};
use crate::fs::fence::Fence;
use crate::fs::system;
use crate::grants::{self, Access, Capability};
use crate::http::client::HttpClient;
use crate::http::hooks::HttpHooks;
use crate::http::observed::Observed;
use crate::http::{HttpAuth, HttpGrant, HttpPolicy};
use crate::limits::monitor::{Monitor, Terminated};
use crate::limits::size;
use crate::output::{Lines, OutputStream, OutputTail};
use crate::plugin::Plugin;
use crate::redact::Secrets;
use crate::session::prepared::Prepared;
use crate::session_options::{SessionOptions, WallClock};
use crate::sink::Sink;
use crate::state::{CtxInit, SyncMgrCtx, SyncMgrView};
use crate::storage::{STORAGE, Storage};
use crate::sync_manager::SyncManager;

/// Creates a session's context and its store, and links the plugin for its grants.
pub(crate) fn prepare(
    plugin: &Plugin,
    options: &SessionOptions,
    sink: Box<dyn Sink>,
) -> Result<Prepared, StartError> {
    let context = context(plugin, options, sink)?;
    let granted = |capability| context.capabilities.contains(&capability);
    let pre = plugin.linked.pre(granted).cloned();
    let pre = pre.map_err(|source| link_error(plugin.name(), source))?;
    let mut store = Store::new(pre.engine(), context);
    limit(&mut store);
    Ok(Prepared { pre, store })
}

/// Returns the error of linking a plugin whose types match.
pub(crate) fn link_error(plugin: &str, source: wasmtime::Error) -> SessionError {
    SessionError::host(plugin, "link it for these grants", source)
}

/// Creates the context of a session.
pub(crate) fn context(
    plugin: &Plugin,
    options: &SessionOptions,
    sink: Box<dyn Sink>,
) -> Result<SyncMgrCtx, StartError> {
    let requests = &plugin.description.requests;
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
    let fence =
        Fence::around(options.left_out.iter().filter_map(|path| system::identity(path).ok()));
    // A missing directory does not prevent the start: the plugin may not need it.
    let mut preopened = Vec::with_capacity(grants.len() + 1);
    for grant in &grants {
        let exists = system::check_grant(grant.path(), &fence);
        let exists = exists.map_err(|why| GrantError::NoFiles {
            name: grant.name().to_owned(),
            path: grant.path().to_owned(),
            why: why.to_string(),
        })?;
        if exists {
            preopened.push((grant.name(), grant.path(), grant.access()));
        }
    }
    let storage = options
        .storage
        .clone()
        .map(|path| Storage::new(path, access(Access::ReadWrite), options.limits.storage_bytes));
    let granted =
        |capability| options.capabilities.contains(&capability) && requests.capability(capability);
    let limits = &options.limits;
    let servers = servers(plugin, options)?;
    let auth = http_auth(options, &servers)?;
    let secrets = options.secrets.iter().filter(|(name, _)| requests.secret(name));
    let secrets = secrets.map(|(_, value)| value.clone());
    let secrets = Secrets::new(secrets.chain(auth.iter().flat_map(|(_, auth)| auth.secrets())));
    let output = |stream| {
        let hook = options.output_hook.clone();
        let lines = hook.map(|hook| Lines::new(stream, hook, secrets.clone()));
        OutputTail::new(size(limits.output_bytes), secrets.clone(), lines)
    };
    let stderr = output(OutputStream::Stderr);
    let mut wasi = WasiCtx::builder();
    // Calls block the session's thread: see `imports::wasi_files`.
    wasi.allow_blocking_current_thread(true);
    let stdout = output(OutputStream::Stdout);
    wasi.stdout(stdout).stderr(stderr.clone()).envs(&environment(plugin, options, &servers)?);
    match &options.clock {
        _ if !granted(Capability::WallClock) => {
            wasi.wall_clock(StoppedClock);
        }
        Some(clock) => {
            wasi.wall_clock(GivenClock(Arc::clone(clock)));
        }
        None => {}
    }
    let stored = storage.iter().map(|storage| (STORAGE, &*storage.path, storage.access));
    for (name, path, access) in stored.chain(preopened) {
        let perms = match access {
            Access::ReadOnly => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        wasi.preopened_dir(path, format!("/{name}"), perms).map_err(|error| GrantError::Open {
            name: name.to_owned(),
            path: path.to_owned(),
            source: std::io::Error::other(error.to_string()),
        })?;
    }
    let cancel = options.cancel_or_new();
    let monitor = Arc::new(Monitor::new(cancel, Arc::clone(&plugin.ticker.clock), limits));
    let capabilities = options.capabilities.iter().copied().filter(|&one| granted(one)).collect();
    let observed = options.http_observer.clone().map(|observer| {
        let headers = auth.iter().filter_map(|(_, auth)| auth.header().cloned());
        Arc::new(Observed::new(observer, secrets.clone(), headers))
    });
    let client = HttpClient::new(
        HttpPolicy::new(servers),
        auth,
        secrets.clone(),
        plugin.network.clone(),
        Arc::clone(&monitor),
        limits,
    );
    let context = SyncMgrCtx::new(
        CtxInit {
            plugin: Arc::clone(&plugin.name),
            description: Arc::clone(&plugin.description),
            wasi: wasi.build(),
            http: HttpHooks { client: Arc::new(client), observed },
            stderr,
            capabilities,
            monitor: Arc::clone(&monitor),
            manager: SyncManager::with_monitor(&plugin.name, sink, Arc::clone(&monitor), limits),
            grants,
            fence,
            storage,
            secrets,
            hook: options.hook.clone(),
        },
        limits,
    );
    plugin.ticker.monitor(monitor);
    Ok(context)
}

/// Applies the limits of a session to its store.
pub(crate) fn limit<T: SyncMgrView>(store: &mut Store<T>) {
    let limits = store.data_mut().syncmgr().limits.clone();
    store.limiter(|data| &mut data.syncmgr().limiter);
    store.set_hostcall_fuel(size(limits.host_call_bytes));
    store.set_max_component_handles(size(limits.handles));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        let context = store.data_mut().syncmgr();
        context.monitor.check_computing();
        if context.monitor.terminated().is_some() {
            return Err(Terminated.into());
        }
        context.manager()?.flush_due();
        Ok(UpdateDeadline::Yield(1))
    });
}

/// Returns the granted servers that the plugin requests, each with the weaker access.
fn servers(plugin: &Plugin, options: &SessionOptions) -> Result<Vec<HttpGrant>, GrantError> {
    let requests = &plugin.description.requests;
    let mut servers: Vec<HttpGrant> = Vec::new();
    for grant in &options.http {
        let name = || grant.name().to_owned();
        if servers.iter().any(|known| known.name() == grant.name()) {
            return Err(GrantError::ServerTwice { name: name() });
        }
        let Some(request) = requests.server(grant.name()) else { continue };
        if let Some(requested) = &request.url
            && !HttpGrant::new(grant.name(), requested, request.access)
                .is_ok_and(|requested| requested.contains(grant))
        {
            return Err(GrantError::OtherServer { name: name(), requested: requested.clone() });
        }
        let access = match options.read_only {
            true => Access::ReadOnly,
            false => grant.access().min(request.access),
        };
        servers.push(grant.with_access(access));
    }
    Ok(servers)
}

/// Returns the credentials of the servers in use.
fn http_auth(
    options: &SessionOptions,
    servers: &[HttpGrant],
) -> Result<Vec<(String, HttpAuth)>, GrantError> {
    let mut used = Vec::new();
    for (name, auth) in &options.http_auth {
        if !options.http.iter().any(|grant| grant.name() == name) {
            return Err(GrantError::AuthWithoutServer { name: name.clone() });
        }
        let Some(server) = servers.iter().find(|server| server.name() == name) else { continue };
        if !server.is_private() {
            return Err(GrantError::AuthUnencrypted { name: name.clone() });
        }
        used.push((name.clone(), auth.clone()));
    }
    Ok(used)
}

/// Returns the settings and secrets that the plugin requests, and the URLs of the granted servers.
fn environment(
    plugin: &Plugin,
    options: &SessionOptions,
    servers: &[HttpGrant],
) -> Result<Vec<(String, String)>, GrantError> {
    let requests = &plugin.description.requests;
    let mut names = std::collections::HashSet::new();
    let servers: Vec<_> =
        servers.iter().map(|one| (one.name().to_owned(), one.url().to_owned())).collect();
    for (name, value) in options.settings.iter().chain(&options.secrets).chain(&servers) {
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
    plugin.check_settings(options)?;
    let secrets = options.secrets.iter().filter(|(name, _)| requests.secret(name));
    Ok(options.settings.iter().chain(secrets).chain(&servers).cloned().collect())
}

/// The clock of a plugin without a grant of the time of day.
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

/// A clock provided by the embedder.
struct GivenClock(WallClock);

impl HostWallClock for GivenClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        (self.0)()
    }
}

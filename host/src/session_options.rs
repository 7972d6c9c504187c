//! The options of a session.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cancel::CancelHandle;
use crate::grants::{Capability, Grant};
use crate::http::observed::Observer;
use crate::http::{HttpAuth, HttpGrant, HttpObserver};
use crate::limits::Limits;
use crate::output::OutputHook;
use crate::state::HostCallHook;

/// The options of a session: the grants to a plugin. A grant is effective only if the plugin's
/// [`Requests`](crate::Requests) include it.
///
/// By default, there are no directories, storage, settings, secrets, time of day, secret random
/// numbers, arguments, standard input or network; the limits are [`Limits::default`].
#[derive(Clone, Default)]
pub struct SessionOptions {
    pub(crate) grants: Vec<Grant>,
    pub(crate) storage: Option<PathBuf>,
    pub(crate) left_out: Vec<PathBuf>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) secrets: Vec<(String, String)>,
    pub(crate) http: Vec<HttpGrant>,
    pub(crate) http_auth: Vec<(String, HttpAuth)>,
    pub(crate) http_observer: Option<Observer>,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) limits: Limits,
    pub(crate) read_only: bool,
    pub(crate) cancel: Option<CancelHandle>,
    pub(crate) hook: Option<HostCallHook>,
    pub(crate) output_hook: Option<OutputHook>,
    pub(crate) clock: Option<WallClock>,
}

/// Returns the time of day, as the time since 1970-01-01T00:00:00Z.
pub(crate) type WallClock = Arc<dyn Fn() -> Duration + Send + Sync>;

impl std::fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets and possibly settings are private.
        f.debug_struct("SessionOptions")
            .field("grants", &self.grants)
            .field("storage", &self.storage)
            .field("http", &self.http)
            .field("capabilities", &self.capabilities)
            .field("limits", &self.limits)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

impl SessionOptions {
    /// Creates the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grants a directory.
    #[must_use]
    pub fn grant(mut self, grant: Grant) -> Self {
        self.grants.push(grant);
        self
    }

    /// Grants a directory for the plugin's files. It must exist.
    #[must_use]
    pub fn storage(mut self, path: impl Into<PathBuf>) -> Self {
        self.storage = Some(path.into());
        self
    }

    /// Excludes a directory from every grant, by whatever path it is reached. Use it for the files
    /// of the host. The plugin's storage may be inside it. A directory that does not exist is not
    /// excluded.
    #[must_use]
    pub fn leave_out(mut self, path: impl Into<PathBuf>) -> Self {
        self.left_out.push(path.into());
        self
    }

    /// Passes a setting to the plugin, as an environment variable. A later one replaces an earlier
    /// one with the same name.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.into()));
        self
    }

    /// Passes a secret to the plugin, as an environment variable whose value is redacted, as
    /// `[secret]`, in everything that the plugin reports, logs and prints.
    #[must_use]
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.secrets.push((name.into(), value.into()));
        self
    }

    /// Grants a server. The plugin receives its URL as the setting of that name.
    #[must_use]
    pub fn http(mut self, grant: HttpGrant) -> Self {
        self.http.push(grant);
        self
    }

    /// Adds credentials to every request to the granted server of this name. The plugin does not
    /// receive them, and they are redacted in everything that it reports, logs and prints. A later
    /// call for the same server replaces an earlier one.
    ///
    /// The server must be granted with `https`, or be on this machine.
    #[must_use]
    pub fn http_auth(mut self, server: impl Into<String>, auth: HttpAuth) -> Self {
        let server = server.into();
        self.http_auth.retain(|(known, _)| *known != server);
        self.http_auth.push((server, auth));
        self
    }

    /// Passes the HTTP requests of the plugin to an observer, which may answer them in place of the
    /// network.
    #[must_use]
    pub fn http_observer(mut self, observer: Arc<dyn HttpObserver>) -> Self {
        self.http_observer = Some(Observer::new(observer));
        self
    }

    /// Grants a capability: the time of day or secret random numbers.
    #[must_use]
    pub fn allow(mut self, capability: Capability) -> Self {
        self.capabilities.push(capability);
        self
    }

    /// Sets the time of day for a plugin that may read it, as the time since 1970-01-01T00:00:00Z.
    /// Use it to test clock jumps.
    #[must_use]
    pub fn wall_clock(mut self, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(now));
        self
    }

    pub(crate) fn cancel_or_new(&self) -> CancelHandle {
        self.cancel.clone().unwrap_or_default()
    }

    /// Sets the handle that cancels the session. It may have been used already.
    #[must_use]
    pub fn cancel_with(mut self, cancel: CancelHandle) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes every directory, the storage and every server read-only, whatever was granted, so that
    /// nothing can change.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Calls the hook before every call of the contract's interfaces, and before WASI calls that
    /// change files. Use it for tracing, or to crash a plugin at a chosen point.
    #[must_use]
    pub fn host_call_hook(mut self, hook: HostCallHook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Passes the plugin's standard output and standard error to the hook, line by line. Without a
    /// hook, only the end is kept, for crash details.
    #[must_use]
    pub fn output_hook(mut self, hook: OutputHook) -> Self {
        self.output_hook = Some(hook);
        self
    }
}

/// A grant that the plugin does not request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExcessGrant {
    /// A directory, by its name.
    Directory(String),
    /// A secret, by its name.
    Secret(String),
    /// A server, by its name.
    Server(String),
    /// A capability.
    Capability(Capability),
}

/// Formats as ``the directory `left` ``.
impl std::fmt::Display for ExcessGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(name) => write!(f, "the directory `{name}`"),
            Self::Secret(name) => write!(f, "the secret `{name}`"),
            Self::Server(name) => write!(f, "the server `{name}`"),
            Self::Capability(capability) => write!(f, "the capability `{}`", capability.name()),
        }
    }
}

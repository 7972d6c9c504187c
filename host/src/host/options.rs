//! The options of a host.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use wasmtime::{Config, Engine};

#[cfg(feature = "compiler")]
use crate::compiler::CompilerProgram;
use crate::engine;
use crate::error::HostError;
use crate::http::network::Network;
use crate::http::proxy::Proxy;
use crate::limits::LoadLimits;

/// The options of a [`Host`](crate::Host).
#[derive(Clone, Debug)]
pub struct HostOptions {
    pub(super) limits: LoadLimits,
    pub(super) signals_based_traps: bool,
    pub(super) pooled: Option<u32>,
    pub(super) configure: Option<Configure>,
    pub(super) engine: Option<Engine>,
    pub(super) http_roots: Vec<CertificateDer<'static>>,
    pub(super) http_proxy: Option<Proxy>,
    #[cfg(feature = "compiler")]
    pub(super) compiler: Option<CompilerProgram>,
}

/// A callback that changes the configuration of the engine.
#[derive(Clone)]
pub(super) struct Configure(pub(super) Arc<dyn Fn(&mut Config) + Send + Sync>);

impl std::fmt::Debug for Configure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Configure")
    }
}

impl Default for HostOptions {
    /// Returns options with [`LoadLimits::default`], signal handlers for hardware traps, and
    /// [`Allocation::OnDemand`](crate::Allocation::OnDemand).
    fn default() -> Self {
        Self {
            limits: LoadLimits::default(),
            signals_based_traps: true,
            pooled: None,
            configure: None,
            engine: None,
            http_roots: Vec::new(),
            http_proxy: None,
            #[cfg(feature = "compiler")]
            compiler: None,
        }
    }
}

impl HostOptions {
    /// Creates the default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limits on loading a plugin.
    #[must_use]
    pub fn limits(mut self, limits: LoadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Compiles explicit checks instead of relying on signals (on Windows: vectored exceptions).
    /// Use it in a library whose process installs signal handlers. Plugins run somewhat slower.
    #[must_use]
    pub fn without_signal_handlers(mut self) -> Self {
        self.signals_based_traps = false;
        self
    }

    /// Compiles in a separate process, within the limits `compile-memory` and `compile-time`.
    /// Without this option, the host's process compiles: `compile-memory` does not apply, and the
    /// compiler continues beyond `compile-time`.
    #[cfg(feature = "compiler")]
    #[must_use]
    pub fn compiler(mut self, program: CompilerProgram) -> Self {
        self.compiler = Some(program);
        self
    }

    /// Reserves memory for `sessions` concurrent sessions, which halves the start time of a
    /// session. It reserves address space, at least 4 GiB for each session, and uses no memory
    /// before a session needs it. If the system refuses the reservation, the host emits a
    /// warning with [`tracing`], and [`Host::allocation`](crate::Host::allocation) returns the reason.
    ///
    /// Further concurrent sessions fail with [`SessionError::Host`](crate::SessionError::Host).
    #[must_use]
    pub fn pooled(mut self, sessions: u32) -> Self {
        self.pooled = Some(sessions);
        self
    }

    /// Changes the configuration of the engine after this library has set its options. The limits
    /// of sessions rely on them: do not change the epoch interruption, the stack sizes or the
    /// WebAssembly features.
    ///
    /// Compiled code depends on some options. A [`CompilerProgram`](Self::compiler) does not know
    /// them, so its code is refused if they differ.
    #[must_use]
    pub fn configure(mut self, configure: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        self.configure = Some(Configure(Arc::new(configure)));
        self
    }

    /// Uses an engine of the embedder instead of a new one. Create its configuration with
    /// [`HostOptions::engine_config`], which may be changed as in [`HostOptions::configure`]. The
    /// host advances the epoch of the engine every [`TICK`](crate::TICK).
    ///
    /// [`HostOptions::pooled`] and [`HostOptions::configure`] then have no effect.
    #[must_use]
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Trusts the certificates in a PEM text, in addition to those of the system, for the HTTP
    /// requests of plugins. `name` is for messages.
    ///
    /// # Errors
    /// Returns [`HostError`] if the text contains no certificate, or an invalid one.
    pub fn http_ca(mut self, name: &str, pem: &[u8]) -> Result<Self, HostError> {
        let invalid = |why: String| {
            wasmtime::Error::msg(format!("{name} has no valid certificate in PEM: {why}"))
        };
        let before = self.http_roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            self.http_roots.push(certificate.map_err(|error| invalid(error.to_string()))?);
        }
        if self.http_roots.len() == before {
            return Err(invalid("there is no `BEGIN CERTIFICATE`".to_owned()).into());
        }
        Ok(self)
    }

    /// Sends the HTTP requests of plugins through the proxy at `http://[USER:PASSWORD@]HOST[:PORT]`,
    /// with a tunnel for each connection. The proxy resolves names, so it decides which addresses
    /// are reached. Requests to `localhost`, to local addresses, and to names with `local:` do not
    /// use it.
    ///
    /// # Errors
    /// Returns [`HostError`] if the URL is invalid.
    pub fn http_proxy(mut self, url: &str) -> Result<Self, HostError> {
        // The URL may contain a password.
        let invalid =
            "the URL of the proxy must have the form `http://[USER:PASSWORD@]HOST[:PORT]`";
        let proxy = Proxy::parse(url).ok_or_else(|| wasmtime::Error::msg(invalid))?;
        self.http_proxy = Some(proxy);
        Ok(self)
    }

    /// Returns a network with these certificates and this proxy.
    pub(crate) fn network(&self) -> Network {
        Network::new(self.http_roots.clone(), self.http_proxy.clone())
    }

    /// Returns the configuration that plugins require of an engine, for [`HostOptions::engine`].
    pub fn engine_config(&self) -> Config {
        engine::config(self.limits.stack_bytes, self.signals_based_traps)
    }
}

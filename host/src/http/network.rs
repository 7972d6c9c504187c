//! The thread of a host that serves all connections.
//!
//! A session's own thread turns only while its plugin waits, and cannot serve connections.

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::proxy::Proxy;

/// The network of a host. Its thread starts with the first request, and ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Network(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Trusted in addition to the certificates of the system.
    roots: Vec<CertificateDer<'static>>,
    proxy: Option<Proxy>,
    running: OnceLock<Result<Running, String>>,
}

/// The configuration of TLS; an error if the system has no usable certificates. Servers without TLS
/// are still reached.
pub(super) type Tls = Result<Arc<ClientConfig>, Arc<rustls::Error>>;

#[derive(Debug)]
struct Running {
    handle: Handle,
    tls: Tls,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl Network {
    pub(crate) fn new(roots: Vec<CertificateDer<'static>>, proxy: Option<Proxy>) -> Self {
        Self(Arc::new(Shared { roots, proxy, running: OnceLock::new() }))
    }

    /// Returns the proxy of the operator.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.0.proxy.as_ref()
    }

    /// Returns the thread's runtime and the configuration of TLS.
    pub(crate) fn get(&self) -> Result<(&Handle, &Tls), &str> {
        let start = || start(&self.0.roots).map_err(|error| error.to_string());
        let running = self.0.running.get_or_init(start).as_ref().map_err(String::as_str)?;
        Ok((&running.handle, &running.tls))
    }
}

fn tls(roots: &[CertificateDer<'static>]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots.iter().cloned(), Arc::clone(&provider));
    let verifier = Arc::new(verifier?);
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

fn start(roots: &[CertificateDer<'static>]) -> io::Result<Running> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::Builder::new().name("syncmgr-network".to_owned()).spawn(move || {
        // The sender is only dropped.
        let _ = runtime.block_on(stopped);
        runtime.shutdown_background();
    })?;
    let tls = tls(roots).map(Arc::new).map_err(Arc::new);
    Ok(Running { handle, tls, _stop: stop })
}

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

/// The network of a host. Its thread starts with the first request, and ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Network(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Trusted in addition to the certificates of the system.
    roots: Vec<CertificateDer<'static>>,
    running: OnceLock<Result<Running, String>>,
}

#[derive(Debug)]
struct Running {
    handle: Handle,
    tls: Arc<ClientConfig>,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl Network {
    pub(crate) fn new(roots: Vec<CertificateDer<'static>>) -> Self {
        Self(Arc::new(Shared { roots, running: OnceLock::new() }))
    }

    /// Returns the thread's runtime and the configuration of TLS.
    pub(super) fn get(&self) -> Result<(&Handle, &Arc<ClientConfig>), &str> {
        let start = || start(&self.0.roots).map_err(|error| error.to_string());
        let running = self.0.running.get_or_init(start).as_ref().map_err(String::as_str)?;
        Ok((&running.handle, &running.tls))
    }
}

fn start(roots: &[CertificateDer<'static>]) -> io::Result<Running> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(roots.iter().cloned(), Arc::clone(&provider));
    let verifier = Arc::new(verifier.map_err(io::Error::other)?);
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::Builder::new().name("syncmgr-network".to_owned()).spawn(move || {
        // The sender is only dropped.
        let _ = runtime.block_on(stopped);
        runtime.shutdown_background();
    })?;
    Ok(Running { handle, tls: Arc::new(tls), _stop: stop })
}

//! Connects to exactly the addresses that the policy allows.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;
use url::Host;

use super::network::Tls;
use super::proxy::Proxy;
use super::{Allowed, HttpDenial, HttpPolicy};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Denied(HttpDenial),
    #[error("the connection was not established in time")]
    Timeout,
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("the proxy cannot connect")]
    Proxy(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the system has no usable certificates")]
    Roots(#[source] Arc<rustls::Error>),
    #[error("cannot agree on TLS")]
    Tls(#[source] io::Error),
}

/// Connects for one session.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) policy: Arc<HttpPolicy>,
    pub(super) tls: Tls,
    pub(super) proxy: Option<Proxy>,
    /// For resolving, connecting and the handshake together.
    pub(super) limit: Duration,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let connected = tokio::time::timeout(connector.limit, connector.connect(&uri)).await;
            connected.unwrap_or(Err(ConnectError::Timeout))
        })
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri) -> Result<Stream, ConnectError> {
        let url = uri.to_string();
        let allowed = self.policy.check_origin(&url).map_err(ConnectError::Denied)?;
        let stream = match self.proxy.as_ref().filter(|_| !allowed.is_local()) {
            Some(proxy) => {
                let host = allowed.host().to_string();
                proxy.connect(&host, allowed.port()).await.map_err(ConnectError::Proxy)?
            }
            None => {
                let resolved = resolve(&allowed).await.map_err(ConnectError::Denied)?;
                let addresses = allowed.addresses(&resolved).map_err(ConnectError::Denied)?;
                self.open(&allowed, &addresses).await?
            }
        };
        if uri.scheme() != Some(&http::uri::Scheme::HTTPS) {
            return Ok(Stream::Plain(TokioIo::new(stream)));
        }
        let name = match allowed.host() {
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|error| ConnectError::Tls(io::Error::other(error)))?,
            Host::Ipv4(address) => ServerName::from(std::net::IpAddr::V4(*address)),
            Host::Ipv6(address) => ServerName::from(std::net::IpAddr::V6(*address)),
        };
        let tls = self.tls.as_ref().map_err(|error| ConnectError::Roots(Arc::clone(error)))?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
        Ok(Stream::Tls(Box::new(TokioIo::new(stream.map_err(ConnectError::Tls)?))))
    }

    /// Connects to the first address that answers. Each one has an equal share of the time, so that
    /// one that is silent does not hide the next.
    async fn open(
        &self,
        allowed: &Allowed<'_>,
        addresses: &[SocketAddr],
    ) -> Result<TcpStream, ConnectError> {
        let share = self.limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut failure = ConnectError::Timeout;
        for address in addresses {
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // A transparent proxy may lead elsewhere, but this is what the system reports.
                    let peer = stream.peer_addr().map_err(ConnectError::Connect)?;
                    allowed.addresses(&[peer]).map_err(ConnectError::Denied)?;
                    // Requests are written in one piece as far as possible.
                    stream.set_nodelay(true).map_err(ConnectError::Connect)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = ConnectError::Connect(error),
                Err(_) => failure = ConnectError::Timeout,
            }
        }
        Err(failure)
    }
}

async fn resolve(allowed: &Allowed<'_>) -> Result<Vec<SocketAddr>, HttpDenial> {
    let port = allowed.port();
    match allowed.host() {
        Host::Domain(name) => match tokio::net::lookup_host((name.as_str(), port)).await {
            Ok(resolved) => Ok(resolved.collect()),
            Err(source) => {
                Err(HttpDenial::Resolve { origin: allowed.origin(), source: Arc::new(source) })
            }
        },
        Host::Ipv4(address) => Ok(vec![SocketAddr::from((*address, port))]),
        Host::Ipv6(address) => Ok(vec![SocketAddr::from((*address, port))]),
    }
}

/// A connection, with or without TLS.
pub(super) enum Stream {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }
}

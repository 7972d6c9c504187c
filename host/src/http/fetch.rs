//! Requests of a program itself, such as for the plugins that it installs.

use std::error::Error as _;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;

use super::connector::{ConnectError, Connector};
use super::network::Network;
use super::{HttpDenial, HttpGrant, HttpPolicy};
use crate::error::full_message;
use crate::host::HostOptions;

/// The largest head of a response in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The time to connect, and the time in which each part of an answer must arrive.
const STEP_TIME: Duration = Duration::from_secs(60);

/// The time for a whole request.
const TOTAL_TIME: Duration = Duration::from_secs(30 * 60);

/// Sends the requests of a program itself. They have the certificates, the proxy and the rules for
/// addresses of the requests of plugins. Redirects are not followed.
///
/// # Examples
/// ```no_run
/// use syncmgr_host::http::{HttpFetcher, HttpGrant};
/// use syncmgr_host::{Access, HostOptions};
///
/// let fetcher = HttpFetcher::new(&HostOptions::new());
/// let server = HttpGrant::new("server", "https://example.com/", Access::ReadOnly)?;
/// let request = http::Request::get("https://example.com/file").body(bytes::Bytes::new())?;
/// let mut answer = fetcher.send(request, server)?;
/// while let Some(part) = answer.next_part()? {
///     println!("{} bytes", part.len());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HttpFetcher {
    network: Network,
}

/// An answer to a request of a program itself.
#[derive(Debug)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    network: Network,
    deadline: Instant,
}

/// Why a request of a program itself has no complete answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct FetchError {
    why: String,
}

impl FetchError {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

impl HttpFetcher {
    /// Creates a sender with the certificates and the proxy of these options.
    pub fn new(options: &HostOptions) -> Self {
        Self { network: options.network() }
    }

    /// Returns whether requests to public servers go through a proxy.
    pub fn has_proxy(&self) -> bool {
        self.network.proxy().is_some()
    }

    /// Sends a request, and waits for the head of its answer. The request must be for the origin of
    /// `server`, which also determines the addresses that its name may resolve to.
    ///
    /// Blocks, and must not be called by an asynchronous task.
    ///
    /// # Errors
    /// Returns [`FetchError`] if the server cannot be reached, or does not answer in time. Its
    /// message contains no header of the request.
    pub fn send(&self, request: Request<Bytes>, server: HttpGrant) -> Result<Fetched, FetchError> {
        let (network, tls) = self.network.get().map_err(FetchError::new)?;
        let connector = Connector {
            policy: Arc::new(HttpPolicy::new(vec![server])),
            tls: tls.clone(),
            proxy: self.network.proxy().cloned(),
            limit: STEP_TIME,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .build(connector);
        let deadline = Instant::now() + TOTAL_TIME;
        // The body may be large, so only the whole time limits it.
        let limit = if request.body().is_empty() { STEP_TIME * 2 } else { TOTAL_TIME };
        let request = client.request(request.map(Full::new));
        // The timer needs the runtime.
        let response = network.block_on(async { in_time(limit, request).await })?;
        let (head, body) = response.map_err(|error| reason(&error))?.into_parts();
        let (status, headers) = (head.status, head.headers);
        Ok(Fetched { status, headers, body, network: self.network.clone(), deadline })
    }
}

impl Fetched {
    /// Waits for the next part of the body. Returns `None` at its end.
    ///
    /// # Errors
    /// Returns [`FetchError`] if the connection ends early, or nothing arrives in time.
    pub fn next_part(&mut self) -> Result<Option<Bytes>, FetchError> {
        let network = self.network.clone();
        let (network, _) = network.get().map_err(FetchError::new)?;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now()).min(STEP_TIME);
            let frame = network.block_on(async { in_time(left, self.body.frame()).await })?;
            match frame {
                None => return Ok(None),
                // Trailers have no meaning here.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(_)) => return Err(FetchError::new("the connection ended early")),
            }
        }
    }
}

/// Limits the time of a future.
async fn in_time<F: Future>(limit: Duration, future: F) -> Result<F::Output, FetchError> {
    let limited = tokio::time::timeout(limit, future).await;
    limited.map_err(|_| FetchError::new("the server did not answer in time"))
}

/// Returns why there was no answer.
fn reason(error: &legacy::Error) -> FetchError {
    let source = error.source().and_then(|cause| cause.downcast_ref::<ConnectError>());
    FetchError::new(match source {
        Some(ConnectError::Denied(HttpDenial::Address { origin, kind })) => {
            format!("{origin} is at {kind}, which is not allowed here")
        }
        Some(error) => full_message(error),
        None => "the connection ended, or the answer is not HTTP".to_owned(),
    })
}

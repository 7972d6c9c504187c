//! Sends the requests of one session's plugin, and counts them.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http::header::HOST;
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::auth::HttpAuth;
use super::body::{RequestBody, ResponseBody, Upload};
use super::connector::{ConnectError, Connector};
use super::network::Network;
use super::usage::UsageByOrigin;
use super::{HttpDenial, HttpPolicy};
use crate::cancel::CancelHandle;
use crate::grants::Access;
use crate::limits::monitor::Monitor;
use crate::limits::{Limits, size};

/// Connections that stay open without a request, for each origin.
const MAX_IDLE: usize = 8;

/// How long they do.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// The smallest buffer that the HTTP library accepts.
const MIN_HEADER_BYTES: usize = 8 << 10;

/// The maximum number of denials of a session that are shown.
const MAX_DENIALS: usize = 64;

/// Headers that make some servers use another method.
const METHOD_HEADERS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// The client of one session. Its connections are shared with nobody.
pub(crate) struct HttpClient {
    policy: Arc<HttpPolicy>,
    /// By the name of the grant.
    auth: Vec<(String, HttpAuth)>,
    network: Network,
    pool: OnceLock<Client<Connector, RequestBody>>,
    monitor: Arc<Monitor>,
    in_flight: Arc<AtomicU64>,
    max_in_flight: u64,
    connect_time: Duration,
    idle_time: Duration,
    header_bytes: u64,
    max_up: u64,
    max_down: u64,
    up: AtomicU64,
    down: AtomicU64,
    usage: Mutex<UsageByOrigin>,
    notices: Mutex<Notices>,
}

/// What the operator should know, each once.
#[derive(Debug, Default)]
struct Notices {
    seen: BTreeSet<(&'static str, String)>,
    new: Vec<Notice>,
}

/// What the operator should know about a request.
#[derive(Debug)]
pub(crate) enum Notice {
    /// It was denied.
    Denied(HttpDenial),
    /// The plugin's own credentials were replaced.
    Replaced {
        /// The origin.
        origin: String,
    },
}

/// A request in flight, until this is dropped.
pub(super) struct InFlight(Arc<AtomicU64>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Ends a task of the network's thread when it is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Shows no secret.
impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// A response, or the future of one.
type Sent = Box<dyn Future<Output = Result<Response<WasiBody>, Error>> + Send>;

/// A request that was admitted, and its time limit.
struct Admitted {
    request: Request<RequestBody>,
    upload: Arc<Upload>,
    origin: Arc<str>,
}

impl HttpClient {
    pub(crate) fn new(
        policy: HttpPolicy,
        auth: Vec<(String, HttpAuth)>,
        network: Network,
        monitor: Arc<Monitor>,
        limits: &Limits,
    ) -> Self {
        Self {
            policy: Arc::new(policy),
            auth,
            network,
            pool: OnceLock::new(),
            monitor,
            in_flight: Arc::default(),
            max_in_flight: limits.http_requests,
            connect_time: limits.http_connect_time,
            idle_time: limits.http_idle_time,
            header_bytes: limits.http_header_bytes,
            max_up: limits.http_bytes_up,
            max_down: limits.http_bytes_down,
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            usage: Mutex::default(),
            notices: Mutex::default(),
        }
    }

    /// Returns the number of requests and bytes so far, by origin.
    pub(crate) fn usage(&self) -> UsageByOrigin {
        self.lock_usage().clone()
    }

    /// Returns what was not returned before.
    pub(crate) fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.notices.lock().unwrap_or_else(PoisonError::into_inner).new)
    }

    /// Sends a request. The future is to be polled by the session.
    pub(super) fn send(
        self: Arc<Self>,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Sent {
        let (mut parts, body) = request.into_parts();
        let (uri, origin) = match self.admit(&mut parts) {
            Ok(admitted) => admitted,
            Err(denial) => {
                self.deny(denial);
                return refuse(body, Error::HttpRequestDenied);
            }
        };
        parts.uri = uri;
        let in_flight = InFlight(Arc::clone(&self.in_flight));
        if self.in_flight.fetch_add(1, Ordering::AcqRel) >= self.max_in_flight {
            return refuse(body, Error::ConnectionLimitReached);
        }
        let (pool, network) = match (self.pool(), self.network.get()) {
            (Ok(pool), Ok((network, _))) => (pool.clone(), network.clone()),
            (Err(error), _) | (_, Err(error)) => {
                return refuse(body, Error::InternalError(Some(error.to_owned())));
            }
        };
        self.lock_usage().entry(origin.to_string()).or_default().requests += 1;
        let upload = Arc::new(Upload::default());
        let (client, upload_of_body) = (Arc::clone(&self), Arc::clone(&upload));
        let body = RequestBody {
            inner: body,
            client,
            origin: Arc::clone(&origin),
            upload: upload_of_body,
        };
        let admitted = Admitted { request: Request::from_parts(parts, body), upload, origin };
        let (sender, response) = oneshot::channel();
        let task = network.spawn(async move {
            // The receiver is gone if the plugin dropped the request.
            let _ = sender.send(self.exchange(&pool, admitted, options, in_flight).await);
        });
        let abort = AbortOnDrop(task.abort_handle());
        Box::new(async move {
            let _abort = abort;
            response.await.unwrap_or(Err(Error::ConnectionTerminated))
        })
    }

    /// Checks a request, and prepares its head for sending. Returns its URL and origin.
    fn admit(&self, parts: &mut http::request::Parts) -> Result<(Uri, Arc<str>), HttpDenial> {
        let allowed = self.policy.check(parts.method.as_str(), &parts.uri.to_string())?;
        let origin = allowed.origin();
        let grant = allowed.grant();
        if grant.access() == Access::ReadOnly {
            for name in METHOD_HEADERS {
                parts.headers.remove(name);
            }
        }
        parts.headers.remove(HOST);
        let mut url = allowed.url().clone();
        let auth = self.auth.iter().find(|(name, _)| name == grant.name());
        if let Some((_, auth)) = auth
            && auth.add(&mut parts.headers, &mut url)
        {
            self.notice("replaced", &origin.clone(), || Notice::Replaced { origin });
        }
        let origin = allowed.origin();
        let uri = url.as_str().parse();
        let uri = uri.map_err(|_| HttpDenial::NoServer { origin: origin.clone() })?;
        Ok((uri, origin.into()))
    }

    fn pool(&self) -> Result<&Client<Connector, RequestBody>, &str> {
        let (_, tls) = self.network.get()?;
        Ok(self.pool.get_or_init(|| {
            let connector = Connector {
                policy: Arc::clone(&self.policy),
                tls: Arc::clone(tls),
                limit: self.connect_time,
            };
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIME)
                .pool_max_idle_per_host(MAX_IDLE)
                .http1_max_buf_size(size(self.header_bytes).max(MIN_HEADER_BYTES))
                .set_host(true)
                .build(connector)
        }))
    }

    /// Sends a request and receives the head of its response, on the network's thread.
    async fn exchange(
        self: Arc<Self>,
        pool: &Client<Connector, RequestBody>,
        admitted: Admitted,
        options: RequestOptions,
        in_flight: InFlight,
    ) -> Result<Response<WasiBody>, Error> {
        let limit = |wanted: Option<Duration>| wanted.unwrap_or(Duration::MAX).min(self.idle_time);
        let first_byte = limit(options.first_byte_timeout);
        let Admitted { request, upload, origin } = admitted;
        self.wait_for_network(self.connect_time.saturating_add(first_byte));
        let response = tokio::select! {
            response = pool.request(request) => response.map_err(|error| self.failure(&error))?,
            () = upload.stalled(first_byte) => return Err(Error::HttpResponseTimeout),
            () = cancelled(self.monitor.cancel.clone()) => return Err(Error::ConnectionTerminated),
        };
        let limit = limit(options.between_bytes_timeout);
        Ok(response.map(|inner| {
            let cancelled = Box::pin(cancelled(self.monitor.cancel.clone()));
            let body = ResponseBody {
                inner,
                client: self,
                origin,
                limit,
                cancelled,
                wait: None,
                waited: Duration::ZERO,
                received: 0,
                _in_flight: in_flight,
            };
            body.boxed_unsync()
        }))
    }

    /// Returns the error for the plugin.
    fn failure(&self, error: &legacy::Error) -> Error {
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(error) = cause.downcast_ref::<ConnectError>() {
                return self.not_connected(error);
            }
            if let Some(error) = cause.downcast_ref::<Error>() {
                return match *error {
                    Error::HttpRequestBodySize(limit) => Error::HttpRequestBodySize(limit),
                    // The plugin did not finish the body.
                    _ => Error::HttpProtocolError,
                };
            }
            if let Some(error) = cause.downcast_ref::<hyper::Error>() {
                if error.is_parse_too_large() {
                    return Error::HttpResponseHeaderSectionSize(
                        u32::try_from(self.header_bytes).ok(),
                    );
                }
                if error.is_parse() {
                    return Error::HttpProtocolError;
                }
                if error.is_timeout() {
                    return Error::ConnectionReadTimeout;
                }
            }
            source = cause.source();
        }
        Error::ConnectionTerminated
    }

    fn not_connected(&self, error: &ConnectError) -> Error {
        match error {
            ConnectError::Denied(denial) => {
                self.deny(denial.clone());
                match denial {
                    HttpDenial::Resolve { .. } | HttpDenial::NoAddress { .. } => {
                        Error::DnsError { rcode: None, info_code: None }
                    }
                    HttpDenial::Address { .. } | HttpDenial::Astray { .. } => {
                        Error::DestinationIpProhibited
                    }
                    HttpDenial::Url { .. }
                    | HttpDenial::Scheme { .. }
                    | HttpDenial::NoServer { .. }
                    | HttpDenial::UserInfo { .. }
                    | HttpDenial::Path { .. }
                    | HttpDenial::NotGranted { .. }
                    | HttpDenial::Method { .. }
                    | HttpDenial::ReadOnly { .. } => Error::HttpRequestDenied,
                }
            }
            ConnectError::Timeout => Error::ConnectionTimeout,
            ConnectError::Connect(_) => Error::ConnectionRefused,
            ConnectError::Tls(error) => {
                match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
                    Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
                    Some(_) | None => Error::TlsProtocolError,
                }
            }
        }
    }

    /// Excuses silence of the plugin for this time from now on.
    pub(super) fn wait_for_network(&self, limit: Duration) {
        self.monitor.wait_for_network(limit);
    }

    /// Counts bytes that are sent. Returns the limit if it is exceeded.
    pub(super) fn count_up(&self, origin: &str, bytes: u64) -> Result<(), u64> {
        self.lock_usage().entry(origin.to_owned()).or_default().bytes_up += bytes;
        match self.up.fetch_add(bytes, Ordering::AcqRel).saturating_add(bytes) > self.max_up {
            true => Err(self.max_up),
            false => Ok(()),
        }
    }

    /// Counts bytes that were received. Returns the limit if it is exceeded.
    pub(super) fn count_down(&self, origin: &str, bytes: u64) -> Result<(), u64> {
        self.lock_usage().entry(origin.to_owned()).or_default().bytes_down += bytes;
        match self.down.fetch_add(bytes, Ordering::AcqRel).saturating_add(bytes) > self.max_down {
            true => Err(self.max_down),
            false => Ok(()),
        }
    }

    fn lock_usage(&self) -> MutexGuard<'_, UsageByOrigin> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deny(&self, denial: HttpDenial) {
        let origin = denial.origin().unwrap_or_default().to_owned();
        // A plugin can make up any number of origins.
        let mut usage = self.lock_usage();
        if usage.contains_key(&origin) || usage.len() < MAX_DENIALS {
            usage.entry(origin.clone()).or_default().denied += 1;
        }
        drop(usage);
        self.notice(denial.code(), &origin, || Notice::Denied(denial));
    }

    fn notice(&self, code: &'static str, origin: &str, notice: impl FnOnce() -> Notice) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.seen.len() < MAX_DENIALS && notices.seen.insert((code, origin.to_owned())) {
            notices.new.push(notice());
        }
    }
}

/// Returns when the plugin must stop all items.
async fn cancelled(cancel: CancelHandle) {
    cancel.wait_cancelled(None).await;
}

/// Returns an error without sending the request. The plugin may still write the body: otherwise, it
/// would see a closed stream before the reason.
fn refuse(mut body: WasiBody, error: Error) -> Sent {
    if let Ok(session) = tokio::runtime::Handle::try_current() {
        session.spawn(async move { while let Some(Ok(_)) = body.frame().await {} });
    }
    Box::new(async { Err(error) })
}

//! Sends the requests of one session's plugin, and counts them.

mod failure;
mod sign_in;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::header::HOST;
use http::{Request, Response, Uri};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use self::sign_in::SignIn;
use super::auth::HttpAuth;
use super::auth_error::HttpAuthError;
use super::body::{self, RequestBody, ResponseBody, Upload};
use super::connector::Connector;
use super::network::Network;
use super::usage::{InFlight, Meter, UsageByOrigin};
use super::{HttpAnswer, HttpDenial, HttpPolicy, header};
use crate::cancel::CancelHandle;
use crate::limits::monitor::Monitor;
use crate::limits::{Limits, size};
use crate::redact::Secrets;

/// Connections that stay open without a request, for each origin.
const MAX_IDLE: usize = 8;

/// How long they do.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// The buffer of a connection, which bounds its frames: each one wakes the session's thread.
const BUFFER_BYTES: usize = 256 << 10;

/// The maximum number of denials of a session that are shown.
const MAX_DENIALS: usize = 64;

/// The connections of a session.
type Pool = Client<Connector, RequestBody>;

/// The client of one session. It does not share its connections.
pub(crate) struct HttpClient {
    policy: Arc<HttpPolicy>,
    /// By the name of the grant.
    auth: Vec<(String, HttpAuth)>,
    /// The texts to redact, including renewed tokens.
    secrets: Secrets,
    network: Network,
    pool: OnceLock<Pool>,
    meter: Arc<Meter>,
    connect_time: Duration,
    idle_time: Duration,
    header_bytes: u64,
    notices: Mutex<Notices>,
}

/// The notices for the operator, each once.
#[derive(Debug, Default)]
struct Notices {
    seen: BTreeSet<(&'static str, String)>,
    new: Vec<Notice>,
}

/// A notice for the operator about a request.
#[derive(Debug)]
pub(crate) enum Notice {
    /// It was denied.
    Denied(HttpDenial),
    /// The plugin's own credentials were replaced.
    Replaced {
        /// The origin.
        origin: String,
    },
    /// There is no valid token for it.
    NoToken {
        /// The name of the server.
        server: String,
        /// The reason.
        error: HttpAuthError,
    },
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
    origin: Arc<str>,
    sign_in: Option<SignIn>,
}

impl HttpClient {
    pub(crate) fn new(
        policy: HttpPolicy,
        auth: Vec<(String, HttpAuth)>,
        secrets: Secrets,
        network: Network,
        monitor: Arc<Monitor>,
        limits: &Limits,
    ) -> Self {
        let policy = policy.with_auth(auth.iter().map(|(name, auth)| (name.as_str(), auth)));
        Self {
            policy: Arc::new(policy),
            auth,
            secrets,
            network,
            pool: OnceLock::new(),
            meter: Arc::new(Meter::new(monitor, limits)),
            connect_time: limits.http_connect_time,
            idle_time: limits.http_idle_time,
            header_bytes: limits.http_header_bytes,
            notices: Mutex::default(),
        }
    }

    /// Returns the number of requests and bytes so far, by origin.
    pub(crate) fn usage(&self) -> UsageByOrigin {
        self.meter.usage()
    }

    /// Returns what was not returned before.
    pub(crate) fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.notices.lock().unwrap_or_else(PoisonError::into_inner).new)
    }

    /// Sends a request, unless it has an answer. The future is to be polled by the session.
    pub(super) fn send(
        self: Arc<Self>,
        request: Request<WasiBody>,
        options: RequestOptions,
        answer: Option<HttpAnswer>,
    ) -> Sent {
        let (mut parts, body) = request.into_parts();
        let (uri, origin, sign_in) = match self.admit(&mut parts) {
            Ok(admitted) => admitted,
            Err(denial) => {
                self.deny(denial);
                return refuse(body, Error::HttpRequestDenied);
            }
        };
        if let Some(answer) = answer {
            return self.answered(body, answer);
        }
        parts.uri = uri;
        let (pool, network) = match (self.pool(), self.network.get()) {
            (Ok(pool), Ok((network, _))) => (pool.clone(), network.clone()),
            (Err(error), _) | (_, Err(error)) => {
                return refuse(body, Error::InternalError(Some(error.to_owned())));
            }
        };
        let Some(in_flight) = self.meter.begin(&origin) else {
            return refuse(body, Error::ConnectionLimitReached);
        };
        let body = RequestBody {
            inner: body,
            meter: Arc::clone(&self.meter),
            origin: Arc::clone(&origin),
            upload: Arc::new(Upload::default()),
        };
        let request = Request::from_parts(parts, body);
        let admitted = Admitted { request, origin, sign_in };
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

    /// Returns an answer when the plugin has finished the body of its request.
    fn answered(&self, mut body: WasiBody, answer: HttpAnswer) -> Sent {
        let cancel = self.meter.monitor.cancel.clone();
        Box::new(async move {
            tokio::select! {
                biased;
                () = async { while let Some(Ok(_)) = body.frame().await {} } => answer.into_result(),
                () = cancelled(cancel) => Err(Error::ConnectionTerminated),
            }
        })
    }

    /// Checks a request, and prepares its head for sending. Returns its URL, its origin, and the
    /// login that it needs.
    fn admit(
        &self,
        parts: &mut http::request::Parts,
    ) -> Result<(Uri, Arc<str>, Option<SignIn>), HttpDenial> {
        let allowed = self.policy.check(parts.method.as_str(), &parts.uri.to_string())?;
        header::check(&self.policy, &allowed, &mut parts.headers)?;
        let origin = allowed.origin();
        let grant = allowed.grant();
        parts.headers.remove(HOST);
        let mut url = allowed.url().clone();
        let auth = self.auth.iter().find(|(name, _)| name == grant.name());
        if let Some((_, auth)) = auth
            && auth.add(parts.method.as_str(), &mut parts.headers, &mut url)
        {
            self.notice("replaced", &origin.clone(), || Notice::Replaced { origin });
        }
        let origin = allowed.origin();
        let uri = url.as_str().parse();
        let uri = uri.map_err(|_| HttpDenial::NoServer { origin: origin.clone() })?;
        let login = auth.and_then(|(server, auth)| {
            Some(SignIn { server: server.clone(), login: auth.login()?.clone() })
        });
        Ok((uri, origin.into(), login))
    }

    fn pool(&self) -> Result<&Pool, &str> {
        let (_, tls) = self.network.get()?;
        Ok(self.pool.get_or_init(|| {
            let connector = Connector {
                policy: Arc::clone(&self.policy),
                tls: tls.clone(),
                proxy: self.network.proxy().cloned(),
                limit: self.connect_time,
            };
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIME)
                .pool_max_idle_per_host(MAX_IDLE)
                .http1_max_buf_size(size(self.header_bytes).max(BUFFER_BYTES))
                .set_host(true)
                .build(connector)
        }))
    }

    /// Sends a request and receives the head of its response, on the network's thread.
    async fn exchange(
        self: Arc<Self>,
        pool: &Pool,
        admitted: Admitted,
        options: RequestOptions,
        in_flight: InFlight,
    ) -> Result<Response<WasiBody>, Error> {
        let limit = |wanted: Option<Duration>| wanted.unwrap_or(Duration::MAX).min(self.idle_time);
        let first_byte = limit(options.first_byte_timeout);
        let Admitted { request, origin, sign_in } = admitted;
        let exchange = async {
            match &sign_in {
                None => self.send_once(pool, request, first_byte).await,
                Some(sign_in) => self.send_signed_in(sign_in, pool, request, first_byte).await,
            }
        };
        let response = tokio::select! {
            response = exchange => response?,
            () = cancelled(self.meter.monitor.cancel.clone()) => return Err(Error::ConnectionTerminated),
        };
        // The client requests no other protocol.
        if response.status().is_informational() {
            return Err(Error::HttpUpgradeFailed);
        }
        if head_bytes(&response) > self.header_bytes {
            return Err(self.header_too_large());
        }
        let limit = limit(options.between_bytes_timeout);
        Ok(response.map(|inner| {
            let cancelled = Box::pin(cancelled(self.meter.monitor.cancel.clone()));
            let body = ResponseBody {
                left: inner.size_hint().exact(),
                frames: body::receive(inner),
                meter: Arc::clone(&self.meter),
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

    /// Sends a request as it is, and receives the head of its response.
    async fn send_once(
        &self,
        pool: &Pool,
        request: Request<RequestBody>,
        first_byte: Duration,
    ) -> Result<Response<Incoming>, Error> {
        let upload = Arc::clone(&request.body().upload);
        self.meter.wait_for_network(self.connect_time.saturating_add(first_byte));
        tokio::select! {
            response = pool.request(request) => response.map_err(|error| self.failure(&error)),
            () = upload.stalled(first_byte) => Err(Error::HttpResponseTimeout),
        }
    }

    fn deny(&self, denial: HttpDenial) {
        let origin = denial.origin().unwrap_or_default().to_owned();
        self.meter.count_denied(&origin);
        self.notice(denial.code(), &origin, || Notice::Denied(denial));
    }

    fn notice(&self, code: &'static str, about: &str, notice: impl FnOnce() -> Notice) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.seen.len() < MAX_DENIALS && notices.seen.insert((code, about.to_owned())) {
            notices.new.push(notice());
        }
    }
}

/// Returns the length of the headers of a response as they are sent.
fn head_bytes<B>(response: &Response<B>) -> u64 {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().len() + ": ".len() + value.len() + "\r\n".len()) as u64
    };
    response.headers().iter().map(header).sum()
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

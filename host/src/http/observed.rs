//! Passes the requests of a session to its observer.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HeaderMap, HeaderName, SET_COOKIE};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use wasmtime_wasi_http::{Error, WasiBody};

use super::exchange::{HttpAnswer, HttpBody, HttpExchange, HttpFailure, HttpObserver, HttpRequest};
use crate::redact::{MASK, Secrets};

/// The replacement of a method or the name of a header that contains a secret.
const NAME: &str = "redacted";

/// An observer, and the number of requests of its run.
#[derive(Clone)]
pub(crate) struct Observer {
    observer: Arc<dyn HttpObserver>,
    sent: Arc<AtomicU64>,
}

impl Observer {
    pub(crate) fn new(observer: Arc<dyn HttpObserver>) -> Self {
        Self { observer, sent: Arc::default() }
    }
}

/// Redacts the requests of one session for its observer.
pub(crate) struct Observed {
    observer: Observer,
    secrets: Secrets,
    /// The headers in which the host sends credentials.
    credentials: Vec<HeaderName>,
    /// The maximum size of a body for the observer.
    max_bytes: usize,
}

/// A request on its way.
struct Sent {
    observed: Arc<Observed>,
    request: HttpRequest,
    body: Mutex<Transfer>,
}

/// The answer to a request, until it is complete or dropped.
pub(super) struct Answering {
    sent: Arc<Sent>,
    answer: Result<Response<()>, HttpFailure>,
    body: Transfer,
}

/// A body so far.
#[derive(Default)]
struct Transfer {
    length: u64,
    /// Empty if it is too long.
    content: Vec<u8>,
    /// The length that its sender has announced.
    announced: Option<u64>,
    end: Option<Result<(), HttpFailure>>,
}

impl Observed {
    pub(crate) fn new(
        observer: Observer,
        secrets: Secrets,
        credentials: impl Iterator<Item = HeaderName>,
    ) -> Self {
        let max_bytes = observer.observer.max_body_bytes();
        Self { observer, secrets, credentials: credentials.collect(), max_bytes }
    }

    /// Begins a request of the plugin. Returns it, its answer unless it is to be sent, and the
    /// receiver of the answer.
    pub(super) fn begin(
        self: &Arc<Self>,
        request: Request<WasiBody>,
    ) -> (Request<WasiBody>, Option<HttpAnswer>, Answering) {
        let (parts, inner) = request.into_parts();
        let number = self.observer.sent.fetch_add(1, Ordering::AcqRel) + 1;
        let head = HttpRequest {
            number,
            method: self.method(&parts.method),
            url: self.url(&parts.uri),
            headers: self.headers(&parts.headers),
        };
        let answer = self.observer.observer.answer(&head);
        let mut transfer = Transfer { announced: announced(&parts.headers), ..Transfer::default() };
        transfer.check_end(&inner);
        let observed = Arc::clone(self);
        let sent = Arc::new(Sent { observed, request: head, body: Mutex::new(transfer) });
        let body = RequestBody { inner, sent: Arc::clone(&sent) }.boxed_unsync();
        let answering =
            Answering { sent, answer: Err(HttpFailure::DROPPED), body: Transfer::default() };
        (Request::from_parts(parts, body), answer, answering)
    }

    fn method(&self, method: &Method) -> Method {
        match self.has_secret(method.as_str()) {
            true => Method::from_bytes(NAME.as_bytes()).unwrap_or_default(),
            false => method.clone(),
        }
    }

    fn url(&self, uri: &Uri) -> String {
        let mut url = uri.to_string();
        let authority = uri.authority().map_or("", Authority::as_str);
        if let (Some((user, _)), Some(scheme)) = (authority.rsplit_once('@'), url.find("://")) {
            let at = scheme + "://".len();
            url.replace_range(at..at + user.len(), MASK);
        }
        String::from_utf8_lossy(&self.secrets.redact_encoded(url.as_bytes())).into_owned()
    }

    fn headers(&self, headers: &HeaderMap) -> HeaderMap {
        let mut shown = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            let redacted = match self.is_credential(name) {
                true => MASK.as_bytes().to_vec(),
                false => self.secrets.redact_encoded(value.as_bytes()),
            };
            let name = match self.has_secret(name.as_str()) {
                true => HeaderName::from_static(NAME),
                false => name.clone(),
            };
            // The rest of a valid value is valid.
            let value = HeaderValue::try_from(redacted);
            shown.append(name, value.unwrap_or_else(|_| HeaderValue::from_static(MASK)));
        }
        shown
    }

    fn has_secret(&self, name: &str) -> bool {
        self.secrets.redact_encoded(name.as_bytes()) != name.as_bytes()
    }

    fn is_credential(&self, name: &HeaderName) -> bool {
        [AUTHORIZATION, COOKIE, SET_COOKIE].contains(name)
            || ["authentication-info", "x-amz-security-token"].contains(&name.as_str())
            || name.as_str().starts_with("proxy-")
            || self.credentials.contains(name)
    }

    fn body(&self, transfer: &Transfer) -> HttpBody {
        let failure = match transfer.end {
            Some(Ok(())) => None,
            Some(Err(failure)) => Some(failure),
            None if transfer.announced == Some(transfer.length) => None,
            None => Some(HttpFailure::DROPPED),
        };
        let content = &transfer.content;
        // A secret may be cut off by the end of an incomplete body.
        let end = match failure {
            Some(_) => self.secrets.last_cut(content, true),
            None => content.len(),
        };
        let mut redacted = self.secrets.redact_encoded(&content[..end]);
        if end < content.len() {
            redacted.extend(MASK.as_bytes());
        }
        let is_kept = content.len() as u64 == transfer.length;
        HttpBody { length: transfer.length, content: is_kept.then_some(redacted), failure }
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Transfer {
    fn add(&mut self, frame: Option<&Result<Frame<Bytes>, Error>>, max: usize) {
        match frame.map(|frame| frame.as_ref().map(Frame::data_ref)) {
            Some(Ok(Some(data))) => {
                let is_kept = self.content.len() as u64 == self.length;
                self.length += data.len() as u64;
                match is_kept && self.length <= max as u64 {
                    true => self.content.extend_from_slice(data),
                    false => self.content = Vec::new(),
                }
            }
            // Trailers end a body.
            Some(Ok(None)) | None => self.end = Some(Ok(())),
            Some(Err(error)) => self.end = Some(Err(HttpFailure::of(error))),
        }
    }

    /// Records that nothing follows. Not every reader asks for it.
    fn check_end(&mut self, body: &WasiBody) {
        if self.end.is_none() && body.is_end_stream() {
            self.end = Some(Ok(()));
        }
    }
}

impl Sent {
    fn body(&self) -> MutexGuard<'_, Transfer> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answering {
    /// Receives the answer.
    pub(super) fn answered(
        mut self,
        answer: Result<Response<WasiBody>, Error>,
    ) -> Result<Response<WasiBody>, Error> {
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                self.answer = Err(HttpFailure::of(&error));
                return Err(error);
            }
        };
        let mut head = Response::new(());
        *head.status_mut() = response.status();
        *head.headers_mut() = self.sent.observed.headers(response.headers());
        self.answer = Ok(head);
        self.body.check_end(response.body());
        Ok(response.map(|inner| ResponseBody { inner, answering: self }.boxed_unsync()))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let observed = &self.sent.observed;
        let answer = match &self.answer {
            Ok(head) => HttpAnswer::Response(head.clone().map(|()| observed.body(&self.body))),
            Err(failure) => HttpAnswer::Failure(*failure),
        };
        let (request, body) = (self.sent.request.clone(), observed.body(&self.sent.body()));
        observed.observer.observer.exchanged(&HttpExchange { request, body, answer });
    }
}

/// The body of a request.
struct RequestBody {
    inner: WasiBody,
    sent: Arc<Sent>,
}

/// The body of a response.
struct ResponseBody {
    inner: WasiBody,
    answering: Answering,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let mut transfer = self.sent.body();
        transfer.add(frame.as_ref(), self.sent.observed.max_bytes);
        transfer.check_end(&self.inner);
        drop(transfer);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        let max = this.answering.sent.observed.max_bytes;
        this.answering.body.add(frame.as_ref(), max);
        this.answering.body.check_end(&this.inner);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of an answer of the observer.
struct AnswerBody {
    content: Bytes,
    failure: Option<Error>,
}

impl HttpAnswer {
    /// Returns the answer for the plugin.
    pub(super) fn into_result(self) -> Result<Response<WasiBody>, Error> {
        match self {
            Self::Failure(failure) => Err(failure.error()),
            Self::Response(response) => Ok(response.map(|body| {
                let is_known = body.content.is_some() || body.length == 0;
                let failure = match is_known {
                    true => body.failure.map(HttpFailure::error),
                    false => Some(Error::HttpResponseIncomplete),
                };
                let content = body.content.unwrap_or_default().into();
                AnswerBody { content, failure }.boxed_unsync()
            })),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let content = std::mem::take(&mut self.content);
        Poll::Ready(match content.is_empty() {
            false => Some(Ok(Frame::data(content))),
            true => self.failure.take().map(Err),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_empty() && self.failure.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.len() as u64)
    }
}

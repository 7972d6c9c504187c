//! Requests over `wasi:http`.

use std::time::Duration;

use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode as HttpError, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::{Body, Request, Response, shown, split};
use crate::error::{Error, ErrorCode, Interrupt};
use crate::sync_context;

/// The size of reads and writes.
const CHUNK: u64 = 64 << 10;

/// The body of a response.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    // Dropped in this order, as WASI requires.
    stream: InputStream,
    _body: IncomingBody,
    cancelled: Pollable,
    url: String,
}

/// A request and its response.
pub(super) struct Exchange<'a> {
    url: String,
    upload: Option<Upload<'a>>,
    // Dropped in this order, as WASI requires.
    ready: Pollable,
    response: FutureIncomingResponse,
}

/// A body on its way.
struct Upload<'a> {
    from: Body<'a>,
    left: u64,
    /// Bytes of a reader, and how many of them were written.
    buffer: Vec<u8>,
    written: usize,
    // Dropped in this order, as WASI requires.
    ready: Pollable,
    stream: OutputStream,
    body: OutgoingBody,
}

/// A time to wait for.
pub(super) struct Timer(Pollable);

impl Timer {
    pub(super) fn new(wait: Duration) -> Self {
        let nanoseconds = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Self(monotonic_clock::subscribe_duration(nanoseconds))
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.ready()
    }

    pub(super) fn pollable(&self) -> &Pollable {
        &self.0
    }
}

impl<'a> Exchange<'a> {
    pub(super) fn start(request: &Request<'_>, body: Option<Body<'a>>) -> Result<Self, Error> {
        let invalid = |what: &str, value: &str| {
            Error::new(ErrorCode::InvalidArgument, format!("the {what} `{value}` is invalid"))
        };
        let (scheme, authority, path) = split(&request.url)?;
        let headers = Fields::new();
        for (name, value) in &request.headers {
            headers.append(name, value.as_bytes()).map_err(|_| invalid("header", name))?;
        }
        let length = match &body {
            Some(Body::Bytes(bytes)) => Some(bytes.len() as u64),
            Some(Body::Reader(length, _)) => Some(*length),
            None => None,
        };
        if let Some(length) = length {
            headers
                .set("content-length", &[length.to_string().into_bytes()])
                .map_err(|_| invalid("header", "content-length"))?;
        }
        let outgoing = OutgoingRequest::new(headers);
        outgoing
            .set_method(&method(&request.method))
            .map_err(|()| invalid("method", &request.method))?;
        let scheme = match scheme.eq_ignore_ascii_case("https") {
            true => Scheme::Https,
            false => Scheme::Http,
        };
        let url = || invalid("URL", shown(&request.url));
        outgoing.set_scheme(Some(&scheme)).map_err(|()| url())?;
        outgoing.set_authority(Some(authority)).map_err(|()| url())?;
        outgoing.set_path_with_query(Some(path)).map_err(|()| url())?;
        // The two calls fail only if they are repeated.
        let parts = body.zip(length).and_then(|(from, left)| {
            let body = outgoing.body().ok()?;
            let stream = body.write().ok()?;
            let ready = stream.subscribe();
            Some(Upload { from, left, buffer: Vec::new(), written: 0, ready, stream, body })
        });
        // Started before the body is written: the host buffers little of it.
        let response = outgoing_handler::handle(outgoing, None)
            .map_err(|error| failure(&request.url, &error))?;
        let ready = response.subscribe();
        Ok(Self { url: request.url.clone(), upload: parts, ready, response })
    }

    /// Does what is possible without waiting. Returns the result, once.
    pub(super) fn step(&mut self) -> Option<Result<Response, Interrupt>> {
        if let Some(upload) = &mut self.upload {
            match upload.step() {
                Ok(Progress::Waits) => {}
                Ok(Progress::Finished) => {
                    if let Some(upload) = self.upload.take()
                        && let Err(error) = upload.finish()
                        && !self.ready.ready()
                    {
                        return Some(Err(failure(&self.url, &error).into()));
                    }
                }
                // The reason is in the response.
                Ok(Progress::Refused) => self.upload = None,
                Err(error) => return Some(Err(error)),
            }
        }
        // The outer error is for a second `get`.
        let response = self.response.get()?.unwrap_or(Err(HttpError::InternalError(None)));
        Some(match response {
            Ok(response) => received(&self.url, &response),
            Err(error) => Err(sync_context::check_cancelled()
                .err()
                .unwrap_or_else(|| failure(&self.url, &error).into())),
        })
    }

    /// Adds what to wait for.
    pub(super) fn add_pollables<'b>(&'b self, to: &mut Vec<&'b Pollable>) {
        to.push(&self.ready);
        if let Some(upload) = &self.upload {
            to.push(&upload.ready);
        }
    }
}

fn received(url: &str, response: &IncomingResponse) -> Result<Response, Interrupt> {
    let headers = response.headers().entries();
    let headers = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name, String::from_utf8(value).ok()?)))
        .collect();
    let status = response.status();
    let no_body = |()| Error::new(ErrorCode::InputOutput, "the answer has no body");
    let incoming = response.consume().map_err(no_body)?;
    let stream = incoming.stream().map_err(no_body)?;
    let (url, cancelled) = (url.to_owned(), sync_context::cancelled());
    let body = ResponseBody { stream, _body: incoming, cancelled, url: url.clone() };
    Ok(Response { status, headers, url, body })
}

enum Progress {
    Waits,
    Finished,
    /// The host takes no more of the body.
    Refused,
}

impl Upload<'_> {
    /// Writes what the host takes without waiting.
    fn step(&mut self) -> Result<Progress, Interrupt> {
        while self.left > 0 {
            let room = match self.stream.check_write() {
                Ok(0) => return Ok(Progress::Waits),
                Ok(room) => usize::try_from(room).unwrap_or(usize::MAX),
                Err(_) => return Ok(Progress::Refused),
            };
            let rest = match &mut self.from {
                Body::Bytes(bytes) => {
                    &bytes[bytes.len() - usize::try_from(self.left).unwrap_or(0)..]
                }
                Body::Reader(_, reader) => {
                    if self.written == self.buffer.len() {
                        let wanted = usize::try_from(CHUNK.min(self.left)).unwrap_or(0);
                        self.buffer.resize(wanted, 0);
                        let read = reader.read(&mut self.buffer)?;
                        if read == 0 {
                            let message = format!("the body ended {} bytes early", self.left);
                            return Err(Error::new(ErrorCode::InputOutput, message).into());
                        }
                        self.buffer.truncate(read);
                        self.written = 0;
                    }
                    &self.buffer[self.written..]
                }
            };
            let size = room.min(rest.len());
            if self.stream.write(&rest[..size]).is_err() {
                return Ok(Progress::Refused);
            }
            self.written += size;
            self.left -= size as u64;
        }
        match self.stream.flush() {
            Ok(()) => Ok(Progress::Finished),
            Err(_) => Ok(Progress::Refused),
        }
    }

    fn finish(self) -> Result<(), HttpError> {
        let Self { ready, stream, body, .. } = self;
        drop(ready);
        drop(stream);
        OutgoingBody::finish(body, None)
    }
}

/// Waits for one of them, or for the user to cancel.
pub(super) fn wait(pollables: &[&Pollable]) -> Result<(), Interrupt> {
    let cancelled = sync_context::cancelled();
    let mut all = pollables.to_vec();
    all.push(&cancelled);
    poll(&all);
    Ok(())
}

impl ResponseBody {
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Interrupt> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let wanted = (buffer.len() as u64).min(CHUNK);
        loop {
            match self.stream.read(wanted) {
                Ok(bytes) if bytes.is_empty() => {
                    let ready = self.stream.subscribe();
                    poll(&[&ready, &self.cancelled]);
                    sync_context::check_cancelled()?;
                }
                Ok(bytes) => {
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    return Ok(bytes.len());
                }
                Err(StreamError::Closed) => return Ok(0),
                Err(StreamError::LastOperationFailed(error)) => {
                    sync_context::check_cancelled()?;
                    let error = wasip2::http::types::http_error_code(&error);
                    let error = error.unwrap_or(HttpError::HttpResponseIncomplete);
                    return Err(failure(&self.url, &error).into());
                }
            }
        }
    }
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

/// Returns the error of the contract for one of `wasi:http`.
fn failure(url: &str, error: &HttpError) -> Error {
    let code = match error {
        HttpError::HttpRequestDenied | HttpError::DestinationIpProhibited => {
            ErrorCode::AccessDenied
        }
        HttpError::DnsTimeout
        | HttpError::ConnectionTimeout
        | HttpError::ConnectionReadTimeout
        | HttpError::ConnectionWriteTimeout
        | HttpError::HttpResponseTimeout => ErrorCode::Timeout,
        HttpError::DnsError(_)
        | HttpError::DestinationNotFound
        | HttpError::DestinationUnavailable
        | HttpError::DestinationIpUnroutable
        | HttpError::ConnectionRefused
        | HttpError::TlsProtocolError
        | HttpError::TlsCertificateError
        | HttpError::TlsAlertReceived(_) => ErrorCode::NotConnected,
        HttpError::ConnectionLimitReached => ErrorCode::Busy,
        HttpError::HttpRequestMethodInvalid
        | HttpError::HttpRequestUriInvalid
        | HttpError::HttpRequestUriTooLong
        | HttpError::HttpRequestHeaderSectionSize(_)
        | HttpError::HttpRequestHeaderSize(_)
        | HttpError::HttpRequestLengthRequired => ErrorCode::InvalidArgument,
        HttpError::ConnectionTerminated
        | HttpError::HttpRequestBodySize(_)
        | HttpError::HttpRequestTrailerSectionSize(_)
        | HttpError::HttpRequestTrailerSize(_)
        | HttpError::HttpResponseIncomplete
        | HttpError::HttpResponseHeaderSectionSize(_)
        | HttpError::HttpResponseHeaderSize(_)
        | HttpError::HttpResponseBodySize(_)
        | HttpError::HttpResponseTrailerSectionSize(_)
        | HttpError::HttpResponseTrailerSize(_)
        | HttpError::HttpResponseTransferCoding(_)
        | HttpError::HttpResponseContentCoding(_)
        | HttpError::HttpUpgradeFailed
        | HttpError::HttpProtocolError
        | HttpError::LoopDetected
        | HttpError::ConfigurationError
        | HttpError::InternalError(_) => ErrorCode::InputOutput,
    };
    // `ErrorCode::HTTP-request-denied` and so on, as WASI names them.
    Error::new(code, format!("{}: {error:?}", shown(url)))
}

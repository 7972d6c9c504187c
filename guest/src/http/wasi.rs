//! Requests over `wasi:http`.

use std::io::Read;

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode as HttpError, Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, StreamError};

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

pub(crate) fn send(request: &Request, body: Body<'_>) -> Result<Response, Interrupt> {
    let invalid = |what: &str, value: &str| {
        Error::new(ErrorCode::InvalidArgument, format!("the {what} `{value}` is invalid"))
    };
    let (scheme, authority, path) = split(&request.url)?;
    let headers = Fields::new();
    for (name, value) in &request.headers {
        headers.append(name, value.as_bytes()).map_err(|_| invalid("header", name))?;
    }
    if let Body::Reader(length, _) = &body {
        headers
            .set("content-length", &[length.to_string().into_bytes()])
            .map_err(|_| invalid("header", "content-length"))?;
    }
    let outgoing = OutgoingRequest::new(headers);
    outgoing
        .set_method(&method(&request.method))
        .map_err(|()| invalid("method", &request.method))?;
    let scheme = match scheme {
        https if https.eq_ignore_ascii_case("https") => Scheme::Https,
        http if http.eq_ignore_ascii_case("http") => Scheme::Http,
        other => Scheme::Other(other.to_owned()),
    };
    let url = || invalid("URL", shown(&request.url));
    outgoing.set_scheme(Some(&scheme)).map_err(|()| url())?;
    outgoing.set_authority(Some(authority)).map_err(|()| url())?;
    outgoing.set_path_with_query(Some(path)).map_err(|()| url())?;
    let cancelled = sync_context::cancelled();
    let outgoing_body = match &body {
        Body::None => None,
        // It fails only if it is called twice.
        Body::Reader(..) => outgoing.body().ok(),
    };
    let failed = |error: HttpError| failure(&request.url, &error);
    // Started before the body is written: the host buffers little of it.
    let future = outgoing_handler::handle(outgoing, None).map_err(failed)?;
    if let (Body::Reader(length, reader), Some(outgoing_body)) = (body, outgoing_body) {
        // The reason for a closed stream is in the response.
        if write(&outgoing_body, length, reader, &cancelled)? {
            let finished = OutgoingBody::finish(outgoing_body, None);
            if let Err(error) = finished
                && future.get().is_none()
            {
                return Err(failed(error).into());
            }
        }
    }
    let ready = future.subscribe();
    let response = loop {
        if let Some(response) = future.get() {
            break response;
        }
        wait(&ready, &cancelled)?;
    };
    drop(ready);
    // The outer error is for a second `get`.
    let response = response.unwrap_or(Err(HttpError::InternalError(None))).map_err(|error| {
        sync_context::check_cancelled().err().unwrap_or_else(|| failed(error).into())
    })?;
    let headers = response.headers().entries();
    let headers = headers
        .into_iter()
        .filter_map(|(name, value)| Some((name, String::from_utf8(value).ok()?)))
        .collect();
    let status = response.status();
    let no_body = |()| Error::new(ErrorCode::InputOutput, "the answer has no body");
    let incoming = response.consume().map_err(no_body)?;
    let stream = incoming.stream().map_err(no_body)?;
    let url = request.url.clone();
    let body = ResponseBody { stream, _body: incoming, cancelled, url: url.clone() };
    Ok(Response { status, headers, url, body })
}

/// Writes a body. Returns `false` if the host does not take all of it.
fn write(
    body: &OutgoingBody,
    length: u64,
    reader: &mut dyn Read,
    cancelled: &Pollable,
) -> Result<bool, Interrupt> {
    let Ok(stream) = body.write() else { return Ok(false) };
    let ready = stream.subscribe();
    let mut left = length;
    let mut buffer = vec![0; usize::try_from(CHUNK.min(length)).unwrap_or(0)];
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = reader.read(&mut buffer[..wanted])?;
        if read == 0 {
            let message = format!("the body ended {left} bytes early");
            return Err(Error::new(ErrorCode::InputOutput, message).into());
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let room = match stream.check_write() {
                Ok(0) => {
                    wait(&ready, cancelled)?;
                    continue;
                }
                Ok(room) => usize::try_from(room).unwrap_or(usize::MAX).min(rest.len()),
                Err(_) => return Ok(false),
            };
            if stream.write(&rest[..room]).is_err() {
                return Ok(false);
            }
            rest = &rest[room..];
        }
        left -= read as u64;
    }
    Ok(stream.flush().is_ok())
}

/// Waits, and returns an interrupt once the user cancelled.
fn wait(ready: &Pollable, cancelled: &Pollable) -> Result<(), Interrupt> {
    poll(&[ready, cancelled]);
    sync_context::check_cancelled()
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
                    wait(&ready, &self.cancelled)?;
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

//! HTTP requests to the servers that the operator granted.
//!
//! A plugin requests a server by name (see [`request!`](crate::request)), and reads the granted URL
//! as the setting of that name. The host adds the credentials, if the operator gave some: the
//! plugin never sees them. A request to any other server fails with
//! [`AccessDenied`](ErrorCode::AccessDenied).
//!
//! ```no_run
//! use syncmgr_plugin::prelude::*;
//! use syncmgr_plugin::http;
//!
//! fn download(context: &mut SyncContext) -> Result<Vec<u8>, Interrupt> {
//!     let server = settings::get(None, "remote").unwrap_or_default();
//!     let response = http::get(&format!("{server}list")).header("Accept", "text/plain").send()?;
//!     let mut response = response.check_status()?;
//!     context.set_total_bytes(response.content_length().unwrap_or(0))?;
//!     Ok(response.read_to_vec(1 << 20)?)
//! }
//! # fn main() {}
//! ```
//!
//! Every call that waits returns an [`Interrupt`] as soon as the user cancels the run or the item
//! in progress.

#[cfg(target_family = "wasm")]
mod wasi;

use std::io::{self, Read};

use crate::error::{Error, ErrorCode, Interrupt};
use crate::sync_context;

#[cfg(not(target_family = "wasm"))]
use crate::native::http as transport;
#[cfg(target_family = "wasm")]
use wasi as transport;

/// The maximum number of redirects of one request.
const MAX_REDIRECTS: u32 = 10;

/// The maximum number of bytes of an answer that an error message quotes.
const QUOTED_BYTES: u64 = 200;

/// A request that has not been sent.
#[derive(Clone, Debug)]
#[must_use = "nothing happens before `send`"]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// Creates a `GET` request.
pub fn get(url: &str) -> Request {
    request("GET", url)
}

/// Creates a `PUT` request.
pub fn put(url: &str) -> Request {
    request("PUT", url)
}

/// Creates a `POST` request.
pub fn post(url: &str) -> Request {
    request("POST", url)
}

/// Creates a `DELETE` request.
pub fn delete(url: &str) -> Request {
    request("DELETE", url)
}

/// Creates a request with any method, such as `PROPFIND`.
pub fn request(method: &str, url: &str) -> Request {
    Request { method: method.to_owned(), url: url.to_owned(), headers: Vec::new() }
}

/// The body of a request.
pub(crate) enum Body<'a> {
    None,
    /// The length, and at least that many bytes.
    Reader(u64, &'a mut dyn Read),
}

impl Request {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends the request without a body, and returns the response as soon as its head has arrived.
    /// Follows at most 10 redirects of a `GET` or `HEAD`, but none from `https` to `http`. Each one
    /// leads to a granted server, or fails.
    ///
    /// # Errors
    /// Returns [`Interrupt::All`] or [`Interrupt::Item`] once the user cancelled, and otherwise
    /// [`Interrupt::Failed`]:
    /// - [`AccessDenied`](ErrorCode::AccessDenied) if the request is not granted;
    /// - [`NotConnected`](ErrorCode::NotConnected) if there is no connection;
    /// - [`Timeout`](ErrorCode::Timeout) if the server does not answer;
    /// - [`InvalidArgument`](ErrorCode::InvalidArgument) if the URL, the method or a header is
    ///   invalid;
    /// - [`InputOutput`](ErrorCode::InputOutput) if the connection fails or the answer is invalid.
    ///
    /// A status such as 404 is not an error: see [`Response::check_status`].
    pub fn send(mut self) -> Result<Response, Interrupt> {
        let mut redirects = 0;
        loop {
            let response = transport::send(&self, Body::None)?;
            let follows = self.method == "GET" || self.method == "HEAD";
            let location = match response.status {
                301 | 302 | 303 | 307 | 308 if follows => response.header("location"),
                _ => None,
            };
            let Some(location) = location else { return Ok(response) };
            redirects += 1;
            if redirects > MAX_REDIRECTS {
                let message = format!("{} exceeded {MAX_REDIRECTS} redirects", shown(&self.url));
                return Err(Error::new(ErrorCode::InputOutput, message).into());
            }
            self.url = join(&self.url, location)?;
        }
    }

    /// Sends the request with a body. Redirects are not followed.
    ///
    /// # Errors
    /// See [`Request::send`].
    pub fn send_bytes(self, body: &[u8]) -> Result<Response, Interrupt> {
        let mut body = body;
        let length = body.len() as u64;
        transport::send(&self, Body::Reader(length, &mut body))
    }

    /// Sends the request with `length` bytes from a reader, which are streamed. The header
    /// `Content-Length` is set. Redirects are not followed.
    ///
    /// # Errors
    /// See [`Request::send`]. If reading fails or ends early, fails with the error of the reader,
    /// and the server receives an incomplete request.
    pub fn send_reader(self, length: u64, mut body: impl Read) -> Result<Response, Interrupt> {
        transport::send(&self, Body::Reader(length, &mut body))
    }
}

/// A response. Reading it returns the body.
#[derive(Debug)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) url: String,
    pub(crate) body: transport::ResponseBody,
}

impl Response {
    /// Returns the status, such as 200.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the length of the body, if the server states it.
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Returns an error for a status other than 2xx.
    ///
    /// # Errors
    /// Fails with [`AccessDenied`](ErrorCode::AccessDenied) for 401 and 403,
    /// [`NotFound`](ErrorCode::NotFound) for 404 and 410, [`Busy`](ErrorCode::Busy) for 423, 429
    /// and 503, [`NoSpace`](ErrorCode::NoSpace) for 507, [`Timeout`](ErrorCode::Timeout) for 408
    /// and 504, [`AlreadyExists`](ErrorCode::AlreadyExists) for 409 and 412, and with
    /// [`Failed`](ErrorCode::Failed) for any other. The message begins with the status and quotes
    /// the start of the body.
    pub fn check_status(mut self) -> Result<Self, Interrupt> {
        let code = match self.status {
            200..=299 => return Ok(self),
            401 | 403 => ErrorCode::AccessDenied,
            404 | 410 => ErrorCode::NotFound,
            408 | 504 => ErrorCode::Timeout,
            409 | 412 => ErrorCode::AlreadyExists,
            423 | 429 | 503 => ErrorCode::Busy,
            507 => ErrorCode::NoSpace,
            _ => ErrorCode::Failed,
        };
        let mut quoted = Vec::new();
        // The status is the error, whatever happens to the body.
        let _ = (&mut self).take(QUOTED_BYTES).read_to_end(&mut quoted);
        let quoted = String::from_utf8_lossy(&quoted);
        let message = format!("{} answered {}: {quoted}", shown(&self.url), self.status);
        Err(Error::new(code, message.trim_end_matches([':', ' '])).into())
    }

    /// Reads the whole body, at most `limit` bytes.
    ///
    /// # Errors
    /// Fails with [`OutOfMemory`](ErrorCode::OutOfMemory) if the body is longer, and with the
    /// errors of [`Request::send`].
    pub fn read_to_vec(&mut self, limit: u64) -> Result<Vec<u8>, Interrupt> {
        let mut body = Vec::new();
        let read = self.take(limit.saturating_add(1)).read_to_end(&mut body);
        match read {
            Ok(length) if length as u64 > limit => {
                let message = format!("the answer of {} exceeds {limit} bytes", shown(&self.url));
                Err(Error::new(ErrorCode::OutOfMemory, message).into())
            }
            Ok(_) => Ok(body),
            Err(error) => Err(interrupt(error)),
        }
    }
}

/// Once the user cancelled, reading fails; pass the error to [`interrupt`].
impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer).map_err(|interrupt| match interrupt {
            Interrupt::Failed(error) => io::Error::new(kind(error.code), error.message),
            Interrupt::Item | Interrupt::All => io::Error::other(Cancelled),
        })
    }
}

/// The error of reading a body once the user cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cancelled;

impl std::fmt::Display for Cancelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// Returns the reason why reading a body ended: a cancellation, or a failure.
pub fn interrupt(error: io::Error) -> Interrupt {
    match error.get_ref().is_some_and(|inner| inner.is::<Cancelled>()) {
        true => sync_context::interrupt(),
        false => Error::from(error).into(),
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "others have no kind of their own")]
fn kind(code: ErrorCode) -> io::ErrorKind {
    match code {
        ErrorCode::AccessDenied => io::ErrorKind::PermissionDenied,
        ErrorCode::NotConnected => io::ErrorKind::NotConnected,
        ErrorCode::Timeout => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    }
}

/// Returns a URL for a message: without its query, which may be secret.
fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Splits a URL into its scheme, authority, and path with query.
pub(crate) fn split(url: &str) -> Result<(&str, &str, &str), Error> {
    let invalid = || {
        let message = format!("`{}` is not a URL that begins with `https://`", shown(url));
        Error::new(ErrorCode::InvalidArgument, message)
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
    let rest = rest.split('#').next().unwrap_or(rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    Ok((scheme, authority, path))
}

/// Returns the target of a redirect.
fn join(from: &str, location: &str) -> Result<String, Error> {
    let (scheme, authority, path) = split(from)?;
    let to = match location {
        absolute if absolute.contains("://") => absolute.to_owned(),
        other_host if other_host.starts_with("//") => format!("{scheme}:{other_host}"),
        other_path if other_path.starts_with('/') => format!("{scheme}://{authority}{other_path}"),
        relative => {
            let path = path.split('?').next().unwrap_or(path);
            let directory = path.rfind('/').map_or("/", |end| &path[..=end]);
            format!("{scheme}://{authority}{directory}{relative}")
        }
    };
    let (to_scheme, ..) = split(&to)?;
    if scheme.eq_ignore_ascii_case("https") && !to_scheme.eq_ignore_ascii_case("https") {
        let message =
            format!("{} redirects to {}, which is not encrypted", shown(from), shown(&to));
        return Err(Error::new(ErrorCode::AccessDenied, message));
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved() {
        for (from, location, to) in [
            ("https://a.example/x/y?q", "z", Some("https://a.example/x/z")),
            ("https://a.example/x/y", "/z", Some("https://a.example/z")),
            ("https://a.example/x", "//b.example/z", Some("https://b.example/z")),
            ("https://a.example", "https://b.example/z?q", Some("https://b.example/z?q")),
            ("http://a.example/", "https://a.example/", Some("https://a.example/")),
            ("https://a.example/", "http://a.example/", None),
            ("https://a.example/", "ftp://a.example/", None),
        ] {
            assert_eq!(join(from, location).ok().as_deref(), to, "{from} to {location}");
        }
    }
}

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
//!     response.read_to_vec(1 << 20)
//! }
//! # fn main() {}
//! ```
//!
//! Every call that waits returns an [`Interrupt`] as soon as the user cancels the run or the item
//! in progress.

mod date;
mod response;
mod sending;
#[cfg(target_family = "wasm")]
mod wasi;

use std::collections::VecDeque;
use std::io::Read;

use crate::error::{Error, ErrorCode, Interrupt};
use sending::{Sending, wait};

pub use response::{Response, interrupt};

#[cfg(not(target_family = "wasm"))]
use crate::native::http as transport;
#[cfg(target_family = "wasm")]
use wasi as transport;

/// A request that has not been sent.
#[must_use = "nothing happens before `send`"]
pub struct Request<'a> {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Body<'a>>,
    /// The length of the body, and what opens it for each attempt.
    opener: Option<(u64, Opener<'a>)>,
    repetitions: u32,
    /// Other statuses after which the request is repeated.
    repeated_statuses: &'static [u16],
    is_safe: bool,
}

/// Opens a body.
type Opener<'a> = Box<dyn FnMut() -> Result<Box<dyn Read + 'a>, Error> + 'a>;

/// The body of a request.
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    /// The length, and at least that many bytes.
    Reader(u64, Box<dyn Read + 'a>),
}

/// Shows no headers and no body, which may be secret.
impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({} {})", self.method, shown(&self.url))
    }
}

/// Creates a `GET` request.
pub fn get(url: &str) -> Request<'static> {
    request("GET", url)
}

/// Creates a `PUT` request.
pub fn put(url: &str) -> Request<'static> {
    request("PUT", url)
}

/// Creates a `POST` request.
pub fn post(url: &str) -> Request<'static> {
    request("POST", url)
}

/// Creates a `DELETE` request.
pub fn delete(url: &str) -> Request<'static> {
    request("DELETE", url)
}

/// Creates a request with any method, such as `PROPFIND`.
pub fn request(method: &str, url: &str) -> Request<'static> {
    Request {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: None,
        opener: None,
        repetitions: 0,
        repeated_statuses: &[],
        is_safe: false,
    }
}

impl<'a> Request<'a> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body. The header `Content-Length` is added.
    pub fn body<'b>(self, body: &'b [u8]) -> Request<'b>
    where
        'a: 'b,
    {
        self.with(Some(Body::Bytes(body)), None)
    }

    /// Sets a body of `length` bytes from a reader, which are streamed. The header `Content-Length`
    /// is added. If the reader fails or ends early, sending fails, and the server receives an
    /// incomplete request.
    pub fn body_from<'b>(self, length: u64, body: impl Read + 'b) -> Request<'b>
    where
        'a: 'b,
    {
        self.with(Some(Body::Reader(length, Box::new(body))), None)
    }

    /// Sets a body of `length` bytes from a reader that `open` returns. Unlike one of
    /// [`Request::body_from`], it can be sent again: each attempt opens it. Sending fails with the
    /// error of `open`.
    pub fn body_with<'b>(
        self,
        length: u64,
        open: impl FnMut() -> Result<Box<dyn Read + 'b>, Error> + 'b,
    ) -> Request<'b>
    where
        'a: 'b,
    {
        self.with(None, Some((length, Box::new(open))))
    }

    fn with<'b>(self, body: Option<Body<'b>>, opener: Option<(u64, Opener<'b>)>) -> Request<'b> {
        let Self { method, url, headers, repetitions, repeated_statuses, is_safe, .. } = self;
        Request { method, url, headers, body, opener, repetitions, repeated_statuses, is_safe }
    }

    /// Repeats the request at most this many times if the server answers 429, 502, 503 or 504, or
    /// if the connection fails. Waits as long as the header `Retry-After` requires, at most 2
    /// minutes, otherwise half a second, and twice as long each time.
    ///
    /// Only requests that are safe to repeat are repeated: those with the methods `GET`, `HEAD`,
    /// `OPTIONS`, `PROPFIND`, `PUT` and `DELETE`, and those that are
    /// [declared](Request::safe_to_repeat) so, without a body from a reader.
    pub fn retry(mut self, times: u32) -> Self {
        self.repetitions = times;
        self
    }

    /// Repeats the request also if the server answers one of these statuses, such as 500 of a service
    /// that answers so when it is busy. See [`Request::retry`].
    pub fn retry_on(mut self, statuses: &'static [u16]) -> Self {
        self.repeated_statuses = statuses;
        self
    }

    /// Declares that it does no harm if the server executes the request twice, whatever its method
    /// is. The response may be that to the second time, such as 404 after a `MOVE`.
    pub fn safe_to_repeat(mut self) -> Self {
        self.is_safe = true;
        self
    }

    /// Sends the request, and returns the response as soon as its head has arrived. Follows at most
    /// 10 redirects of a `GET` or `HEAD`, but none from `https` to `http`. Each one leads to a
    /// granted server, or fails.
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
    pub fn send(self) -> Result<Response, Interrupt> {
        let mut sending = Sending::new(self);
        loop {
            match sending.step() {
                Some(result) => return result,
                None => wait(std::slice::from_ref(&sending))?,
            }
        }
    }

    fn is_repeatable(&self) -> bool {
        let methods = ["GET", "HEAD", "OPTIONS", "PROPFIND", "PUT", "DELETE"];
        (self.is_safe || methods.contains(&self.method.as_str()))
            && !matches!(self.body, Some(Body::Reader(..)))
    }

    fn follows_redirects(&self) -> bool {
        self.method == "GET" || self.method == "HEAD"
    }
}

/// Sends many requests, at most `at_once` at the same time, and calls `each` with the response to
/// each one, in their order. Responses whose heads have arrived wait for `each`, without taking
/// memory of the plugin.
///
/// # Errors
/// Returns the interrupt once the user cancelled, or the one of `each`. Failed requests are passed
/// to `each`.
///
/// # Examples
/// ```no_run
/// use syncmgr_plugin::prelude::*;
///
/// fn delete_all(urls: &[String]) -> Result<(), Interrupt> {
///     let requests = urls.iter().map(|url| http::delete(url).retry(2));
///     http::send_all(requests, 8, |_, response| {
///         response?.check_status()?;
///         Ok(())
///     })
/// }
/// # fn main() {}
/// ```
pub fn send_all<'a>(
    requests: impl IntoIterator<Item = Request<'a>>,
    at_once: usize,
    mut each: impl FnMut(usize, Result<Response, Interrupt>) -> Result<(), Interrupt>,
) -> Result<(), Interrupt> {
    let mut requests = requests.into_iter();
    let mut in_flight: VecDeque<Sending<'a>> = VecDeque::new();
    let mut next = 0;
    loop {
        while in_flight.len() < at_once.max(1)
            && let Some(request) = requests.next()
        {
            in_flight.push_back(Sending::new(request));
        }
        for sending in &mut in_flight {
            sending.advance();
        }
        let Some(first) = in_flight.front_mut() else { return Ok(()) };
        match first.step() {
            Some(Err(interrupt @ (Interrupt::Item | Interrupt::All))) => return Err(interrupt),
            Some(result) => {
                in_flight.pop_front();
                each(next, result)?;
                next += 1;
            }
            None => wait(in_flight.make_contiguous())?,
        }
    }
}

/// Returns a URL for a message: without its query, which may be secret.
fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Splits a URL into its scheme, authority, and path with query.
pub(crate) fn split(url: &str) -> Result<(&str, &str, &str), Error> {
    let invalid = || {
        let message = format!("`{}` does not begin with `https://` or `http://`", shown(url));
        Error::new(ErrorCode::InvalidArgument, message)
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
    if !["https", "http"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(invalid());
    }
    let rest = rest.split('#').next().unwrap_or(rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    Ok((scheme, authority, path))
}

#[cfg(test)]
mod tests;

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
mod sending;
#[cfg(target_family = "wasm")]
mod wasi;

use std::collections::VecDeque;
use std::io::{self, Read};

use crate::error::{Error, ErrorCode, Interrupt};
use crate::sync_context;
use sending::{Sending, wait};

#[cfg(not(target_family = "wasm"))]
use crate::native::http as transport;
#[cfg(target_family = "wasm")]
use wasi as transport;

/// The maximum number of bytes of an answer that an error message quotes.
const QUOTED_BYTES: u64 = 200;

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
    /// Only what is safe to repeat is repeated: the methods `GET`, `HEAD`, `OPTIONS`, `PROPFIND`,
    /// `PUT` and `DELETE`, and requests that are [declared](Request::safe_to_repeat) so, without a
    /// body from a reader.
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
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::native::session::Session;
    use crate::testing::{Reply, SyncManager};

    const URL: &str = "https://dav.example/me/";

    /// Does something in a run.
    fn within<T>(manager: SyncManager, work: impl FnOnce() -> T) -> T {
        let _session = Session::open(manager.0);
        work()
    }

    #[test]
    fn requests_reach_the_server_of_the_test_only() {
        let rows = [
            ("GET", "https://dav.example/me/echo", Some(200)),
            ("GET", "https://dav.example/me", Some(200)),
            ("GET", "https://dav.example/men", None),
            ("GET", "http://dav.example/me/echo", None),
            ("PUT", "https://dav.example/me/echo", Some(200)),
            ("PUT", "https://read.example/a", None),
            ("PROPFIND", "https://read.example/a", Some(200)),
        ];
        for (method, url, expected) in rows {
            let manager = SyncManager::new()
                .server("remote", URL, |_| Reply::new(200))
                .server_read_only("read", "https://read.example/", |_| Reply::new(200));
            let sent = within(manager, move || request(method, url).body(b"x").send());
            let status = sent.as_ref().map(Response::status);
            match expected {
                Some(expected) => assert_eq!(status.ok(), Some(expected), "{method} {url}"),
                None => {
                    let Err(Interrupt::Failed(error)) = sent else { panic!("{method} {url}") };
                    assert_eq!(error.code, ErrorCode::AccessDenied, "{method} {url}");
                }
            }
        }
    }

    #[test]
    fn what_is_safe_to_repeat_is_repeated() {
        for (method, replies, retries, requests, status) in [
            ("GET", &[503, 429, 200][..], 2, 3, 200),
            ("GET", &[503, 429, 200], 1, 2, 429),
            ("GET", &[503, 200], 0, 1, 503),
            ("GET", &[500, 200], 2, 1, 500),
            ("PUT", &[503, 201], 2, 2, 201),
            ("POST", &[503, 200], 2, 1, 503),
            ("MOVE", &[503, 200], 2, 1, 503),
            ("safe MOVE", &[503, 200], 2, 2, 200),
            ("PUT on", &[500, 409, 201], 2, 3, 201),
            ("PUT on", &[400, 201], 2, 1, 400),
        ] {
            let asked = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&asked);
            let manager = SyncManager::new().server("remote", URL, move |received| {
                assert_eq!(received.body, if received.method == "PUT" { &b"x"[..] } else { b"" });
                Reply::new(replies[count.fetch_add(1, Ordering::SeqCst) as usize])
            });
            let sent = within(manager, move || {
                let mut request =
                    match (method.strip_prefix("safe "), method.strip_suffix(" on")) {
                        (Some(method), _) => request(method, URL).safe_to_repeat(),
                        (None, Some(method)) => request(method, URL).retry_on(&[409, 500]),
                        (None, None) => request(method, URL),
                    }
                    .retry(retries);
                if method.starts_with("PUT") {
                    request = request.body(b"x");
                }
                request.send().map(|response| response.status())
            });
            assert_eq!(sent.ok(), Some(status), "{method} {replies:?}");
            assert_eq!(asked.load(Ordering::SeqCst), requests, "{method} {replies:?}");
        }
    }

    #[test]
    fn many_requests_keep_their_order() {
        let manager = SyncManager::new().server("remote", URL, |received| {
            let number: u16 = received.path().trim_start_matches("/me/").parse().unwrap_or(0);
            Reply::new(200 + number)
        });
        let statuses = within(manager, || {
            let urls: Vec<_> = (0..50).map(|number| format!("{URL}{number}")).collect();
            let mut statuses = Vec::new();
            let sent = send_all(urls.iter().map(|url| get(url)), 8, |at, response| {
                statuses.push((at, response?.status()));
                Ok(())
            });
            sent.map(|()| statuses)
        });
        let expected: Vec<_> = (0..50).map(|at| (usize::from(at), 200 + at)).collect();
        assert_eq!(statuses.ok(), Some(expected));
    }

    #[test]
    fn a_body_that_ends_early_is_an_error() {
        for cut in
            [Reply::cut, |reply: Reply| reply.cut_after(1), |reply: Reply| reply.cut_after(0)]
        {
            let manager =
                SyncManager::new().server("remote", URL, move |_| cut(Reply::new(200).body("ab")));
            let read = within(manager, || {
                get(URL).send().and_then(|mut response| response.read_to_vec(9))
            });
            let Err(Interrupt::Failed(error)) = read else { panic!("{read:?}") };
            assert_eq!(error.code, ErrorCode::InputOutput);
        }
        let manager = SyncManager::new().server("remote", URL, |_| Reply::new(200));
        let sent = within(manager, || put(URL).body_from(3, &b"ab"[..]).send());
        assert!(matches!(sent, Err(Interrupt::Failed(_))), "{sent:?}");
    }

    #[test]
    fn a_body_that_can_be_opened_is_sent_again() {
        for (replies, expected) in [
            // The answer is lost after the server acted; the source changes before the third
            // attempt.
            (&[None, Some(201)][..], Ok(201)),
            (&[None, None, Some(201)], Err("the source changed")),
        ] {
            let bodies = Arc::new(AtomicU32::new(0));
            let count = Arc::clone(&bodies);
            let manager = SyncManager::new().server("remote", URL, move |received| {
                assert_eq!(received.body, b"abc");
                let reply = replies[count.fetch_add(1, Ordering::SeqCst) as usize];
                reply.map_or_else(Reply::lost, Reply::new)
            });
            let sent = within(manager, || {
                let mut opened = 0;
                let open = || {
                    opened += 1;
                    match opened > 2 {
                        true => Err(Error::new(ErrorCode::Changed, "the source changed")),
                        false => Ok(Box::new(&b"abcd"[..]) as Box<dyn Read>),
                    }
                };
                put(URL).body_with(3, open).retry(4).send().map(|response| response.status())
            });
            match (sent, expected) {
                (Ok(status), Ok(expected)) => assert_eq!(status, expected),
                (Err(Interrupt::Failed(error)), Err(words)) => assert_eq!(error.message, words),
                (sent, expected) => panic!("{sent:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn redirects_are_followed_within_bounds() {
        for (method, location, expected) in [
            ("GET", "https://dav.example/me/there", Some("GET")),
            ("HEAD", "there", Some("HEAD")),
            ("PUT", "there", None),
            ("GET", "loop", None),
            ("GET", "https://other.example/", None),
            ("GET", "http://dav.example/me/there", None),
        ] {
            let manager =
                SyncManager::new().server("remote", URL, move |received| match received.path() {
                    "/me/there" => Reply::new(200).header("x-method", &received.method),
                    _ => Reply::new(302).header("location", location),
                });
            let sent = within(manager, move || request(method, &format!("{URL}loop")).send());
            let found = sent.ok().filter(|response| response.status() == 200);
            let found = found.as_ref().and_then(|response| response.header("x-method"));
            assert_eq!(found, expected, "{method} {location}");
        }
    }
}

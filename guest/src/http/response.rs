//! Responses.

use std::io::{self, Read};

use super::{shown, transport};
use crate::error::{Error, ErrorCode, Interrupt};
use crate::sync_context;

/// The maximum number of bytes of an answer that an error message quotes.
const QUOTED_BYTES: u64 = 200;

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
    /// errors of [`Request::send`](super::Request::send).
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

//! Requests and answers as data, and the observer of those of a session.

use std::fmt;
use std::mem::discriminant;

use http::{HeaderMap, Method, Response};
use wasmtime_wasi_http::Error;

/// Observes the HTTP requests of a session's plugin, and may answer them in place of the network.
///
/// All data is redacted as every text of a plugin is: secrets, also percent-encoded ones, and the
/// values of `authorization`, `cookie`, `set-cookie`, `authentication-info`, `proxy-*` and
/// `x-amz-security-token` headers, and of the headers in which the host sends credentials.
///
/// The methods run on a thread of the session's runtime, which waits for them.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use syncmgr_host::SessionOptions;
/// use syncmgr_host::http::{HttpExchange, HttpObserver};
///
/// /// Counts the bytes of complete and incomplete uploads.
/// #[derive(Default)]
/// struct Uploads(AtomicU64);
///
/// impl HttpObserver for Uploads {
///     fn exchanged(&self, exchange: &HttpExchange) {
///         self.0.fetch_add(exchange.body.length, Ordering::Relaxed);
///     }
/// }
///
/// let uploads = Arc::new(Uploads::default());
/// let options = SessionOptions::new().http_observer(uploads.clone());
/// ```
pub trait HttpObserver: Send + Sync {
    /// Returns the maximum size of the bodies that an exchange contains. Larger ones have a length
    /// only.
    fn max_body_bytes(&self) -> usize {
        0
    }

    /// Returns the answer to a request, or `None` to send it. A request that the grants do not
    /// allow is denied, whatever the answer. The plugin receives the answer when it has finished
    /// the body of the request. If all requests have one, the session uses no network.
    fn answer(&self, request: &HttpRequest) -> Option<HttpAnswer> {
        let _ = request;
        None
    }

    /// Receives a request with its answer, when the answer is complete or the plugin drops it.
    fn exchanged(&self, exchange: &HttpExchange) {
        let _ = exchange;
    }
}

/// The head of a request as the plugin sent it, without the headers that the host adds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpRequest {
    /// The number of the request in the run, from 1, in the order of the plugin's calls.
    pub number: u64,
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: String,
    /// The headers.
    pub headers: HeaderMap,
}

/// A body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpBody {
    /// The number of bytes that were transferred. The content may differ in length if secrets were
    /// redacted.
    pub length: u64,
    /// The bytes; `None` if they are too many. In an answer to a request, reading them then fails.
    pub content: Option<Vec<u8>>,
    /// The failure after these bytes.
    pub failure: Option<HttpFailure>,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum HttpAnswer {
    /// A response. Its body may be incomplete.
    Response(Response<HttpBody>),
    /// There was no response.
    Failure(HttpFailure),
}

/// A request of a plugin and its answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpExchange {
    /// The head of the request.
    pub request: HttpRequest,
    /// The body of the request.
    pub body: HttpBody,
    /// The answer.
    pub answer: HttpAnswer,
}

/// The failure of a request, with the name that `wasi:http` gives it, such as
/// `HTTP-request-denied`. A limit of bytes follows some names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpFailure {
    name: &'static str,
    limit: Option<u64>,
}

type WithLimit = fn(Option<u64>) -> Error;

/// All failures. The first of several names for an error is that of the error.
const FAILURES: [(&str, WithLimit); 21] = [
    ("DNS-error", |_| Error::DnsError { rcode: None, info_code: None }),
    ("destination-unavailable", |_| Error::DestinationUnavailable),
    ("destination-IP-prohibited", |_| Error::DestinationIpProhibited),
    ("connection-refused", |_| Error::ConnectionRefused),
    ("connection-terminated", |_| Error::ConnectionTerminated),
    ("connection-timeout", |_| Error::ConnectionTimeout),
    ("connection-read-timeout", |_| Error::ConnectionReadTimeout),
    ("connection-limit-reached", |_| Error::ConnectionLimitReached),
    ("TLS-protocol-error", |_| Error::TlsProtocolError),
    ("TLS-certificate-error", |_| Error::TlsCertificateError),
    ("HTTP-request-denied", |_| Error::HttpRequestDenied),
    ("HTTP-request-body-size", Error::HttpRequestBodySize),
    ("HTTP-response-incomplete", |_| Error::HttpResponseIncomplete),
    ("HTTP-response-header-section-size", |limit| {
        Error::HttpResponseHeaderSectionSize(limit.and_then(|limit| limit.try_into().ok()))
    }),
    ("HTTP-response-body-size", Error::HttpResponseBodySize),
    ("HTTP-response-timeout", |_| Error::HttpResponseTimeout),
    ("HTTP-upgrade-failed", |_| Error::HttpUpgradeFailed),
    ("HTTP-protocol-error", |_| Error::HttpProtocolError),
    ("configuration-error", |_| Error::ConfigurationError),
    (HttpFailure::INTERNAL.name, |_| Error::InternalError(None)),
    (HttpFailure::DROPPED.name, |_| Error::ConnectionTerminated),
];

impl HttpFailure {
    /// The host failed.
    pub const INTERNAL: Self = Self { name: "internal-error", limit: None };

    /// The plugin dropped the request or the body before its end. As an answer, it is
    /// `connection-terminated`.
    pub const DROPPED: Self = Self { name: "dropped", limit: None };

    /// Returns the failure with this displayed form.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, limit) = match text.split_once(' ') {
            Some((name, limit)) => (name, Some(limit.parse().ok()?)),
            None => (text, None),
        };
        let (name, error) = FAILURES.iter().find(|(known, _)| *known == name)?;
        // Not every failure has a limit.
        (Self::of(&error(limit)).limit == limit).then_some(Self { name, limit })
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the others have no limit")]
    pub(super) fn of(error: &Error) -> Self {
        let limit = match *error {
            Error::HttpRequestBodySize(limit) | Error::HttpResponseBodySize(limit) => limit,
            Error::HttpResponseHeaderSectionSize(limit) => limit.map(u64::from),
            _ => None,
        };
        let kind = discriminant(error);
        let known = FAILURES.iter().find(|(_, known)| discriminant(&known(None)) == kind);
        known.map_or(Self::INTERNAL, |&(name, _)| Self { name, limit })
    }

    pub(super) fn error(self) -> Error {
        let known = FAILURES.iter().find(|(name, _)| *name == self.name);
        known.map_or(Error::InternalError(None), |(_, error)| error(self.limit))
    }
}

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        match self.limit {
            Some(limit) => write!(f, " {limit}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_one_displayed_form() {
        for (name, error) in FAILURES {
            let failure = HttpFailure::parse(name).unwrap();
            assert_eq!((failure.to_string().as_str(), failure.limit), (name, None));
            assert_eq!(discriminant(&failure.error()), discriminant(&error(None)), "{name}");
        }
        for (text, valid) in [
            ("HTTP-response-body-size 1000", true),
            ("HTTP-request-body-size 18446744073709551615", true),
            ("HTTP-response-header-section-size 65536", true),
            ("HTTP-response-header-section-size 4294967296", false),
            ("HTTP-response-body-size -1", false),
            ("HTTP-response-body-size ", false),
            ("connection-refused 1", false),
            ("magic", false),
            ("", false),
        ] {
            let parsed = HttpFailure::parse(text).map(|failure| failure.to_string());
            assert_eq!(parsed.as_deref(), valid.then_some(text));
        }
        let same = HttpFailure::of(&Error::HttpResponseBodySize(Some(7)));
        assert_eq!(HttpFailure::of(&same.error()), same);
        assert_eq!(HttpFailure::of(&Error::LoopDetected), HttpFailure::INTERNAL);
    }
}

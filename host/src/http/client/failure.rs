//! The errors of failed requests.

use std::error::Error as _;

use hyper_util::client::legacy;
use wasmtime_wasi_http::Error;

use super::HttpClient;
use crate::http::HttpDenial;
use crate::http::connector::ConnectError;

impl HttpClient {
    /// Returns the error for the plugin.
    #[allow(clippy::wildcard_enum_match_arm, reason = "a body fails with no others")]
    pub(super) fn failure(&self, error: &legacy::Error) -> Error {
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(error) = cause.downcast_ref::<ConnectError>() {
                return self.not_connected(error);
            }
            if let Some(error) = cause.downcast_ref::<Error>() {
                // Otherwise, the plugin did not finish the body.
                return match *error {
                    Error::HttpRequestBodySize(limit) => Error::HttpRequestBodySize(limit),
                    _ => Error::HttpProtocolError,
                };
            }
            if let Some(error) = cause.downcast_ref::<hyper::Error>() {
                if error.is_parse_too_large() {
                    return self.header_too_large();
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

    pub(super) fn header_too_large(&self) -> Error {
        Error::HttpResponseHeaderSectionSize(u32::try_from(self.header_bytes).ok())
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
            ConnectError::Proxy(_) => Error::DestinationUnavailable,
            ConnectError::Connect(_) => Error::ConnectionRefused,
            ConnectError::Roots(_) => Error::ConfigurationError,
            ConnectError::Tls(error) => {
                match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
                    Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
                    Some(_) | None => Error::TlsProtocolError,
                }
            }
        }
    }
}

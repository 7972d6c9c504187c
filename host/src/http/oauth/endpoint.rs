//! The request for new tokens.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::login::{Login, Tokens, is_token};
use super::token_file::TokenFile;
use crate::convert::cut;
use crate::error::full_message;
use crate::http::auth_error::HttpAuthError;
use crate::http::connector::{ConnectError, Connector};
use crate::http::network::Tls;
use crate::http::proxy::Proxy;
use crate::http::{AddressKind, HttpDenial};

/// The largest head, and the largest body, of an answer in bytes.
const MAX_BYTES: usize = 64 << 10;

/// The longest lifetime of a token in seconds.
const MAX_LIFETIME: u64 = 10 * 366 * 24 * 3600;

/// The longest error code, and the longest reason, that are shown.
const CODE_BYTES: usize = 64;
const REASON_BYTES: usize = 512;

/// How to reach a token endpoint.
#[derive(Clone)]
pub(in crate::http) struct Transport {
    tls: Tls,
    proxy: Option<Proxy>,
    /// For the lock of the file, and for the request.
    pub(super) limit: Duration,
}

/// Why there are no new tokens.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoTokens {
    /// The server refused, with this error code.
    Refused(String),
    /// For this reason.
    Failed(String),
}

impl NoTokens {
    pub(super) fn of(self, file: &TokenFile) -> HttpAuthError {
        match self {
            Self::Refused(code) => HttpAuthError::Refused { path: file.path().to_owned(), code },
            Self::Failed(why) => HttpAuthError::Renewal { why },
        }
    }
}

impl Transport {
    const MAX_LIMIT: Duration = Duration::from_secs(30);

    /// The longest duration of a renewal.
    pub(in crate::http) const MAX_WAIT: Duration = Duration::from_secs(2 * 30 + 5);

    pub(in crate::http) fn new(tls: Tls, proxy: Option<Proxy>, limit: Duration) -> Self {
        Self { tls, proxy, limit: limit.min(Self::MAX_LIMIT) }
    }
}

/// Requests new tokens. Follows no redirect.
pub(super) async fn request(login: &Login, transport: &Transport) -> Result<Tokens, NoTokens> {
    let failed = |why: &str| NoTokens::Failed(cut(why.to_owned(), REASON_BYTES));
    match tokio::time::timeout(transport.limit, exchange(login, transport)).await {
        Ok(Ok((status, body))) => tokens(status, &body),
        Ok(Err(why)) => Err(failed(&why)),
        Err(_) => Err(failed("the token endpoint did not answer in time")),
    }
}

/// Sends the request, and returns the status and the body of the answer.
async fn exchange(login: &Login, transport: &Transport) -> Result<(u16, Bytes), String> {
    let (url, policy) = login.endpoint()?;
    let connector = Connector {
        policy: Arc::new(policy),
        tls: transport.tls.clone(),
        proxy: transport.proxy.clone(),
        limit: transport.limit,
    };
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .http1_max_buf_size(MAX_BYTES)
        .build(connector);
    let (form, basic) = login.request();
    let mut request = Request::post(url.as_str())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json");
    if let Some(basic) = basic {
        let mut value = HeaderValue::try_from(basic).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(Full::new(Bytes::from(form))).map_err(|error| error.to_string())?;
    let response = client.request(request).await.map_err(|error| reason(&error))?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
    let body = body.map_err(|_| {
        format!("the answer of the token endpoint is incomplete, or larger than {MAX_BYTES} bytes")
    })?;
    Ok((status, body.to_bytes()))
}

/// Returns why there was no answer.
fn reason(error: &legacy::Error) -> String {
    let source = error.source().and_then(|cause| cause.downcast_ref::<ConnectError>());
    let why = match source {
        Some(ConnectError::Denied(HttpDenial::Address { origin, kind })) => {
            let remedy = match kind {
                AddressKind::Loopback | AddressKind::Private => "; begin `token_url` with `local:`",
                AddressKind::LinkLocal
                | AddressKind::Metadata
                | AddressKind::Multicast
                | AddressKind::Reserved => "",
            };
            format!("{origin} is at {kind}{remedy}")
        }
        Some(error) => full_message(error),
        None => "the connection ended, or the answer is not HTTP".to_owned(),
    };
    format!("the token endpoint cannot be reached: {why}")
}

/// Reads an answer. The text of the server is hostile: only its error code is kept.
pub(super) fn tokens(status: u16, body: &[u8]) -> Result<Tokens, NoTokens> {
    let failed = |why: &str| Err(NoTokens::Failed(format!("the token endpoint {why}")));
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    // Some servers refuse with the status 200.
    if matches!(status, 200 | 400 | 401 | 403)
        && let Some(code) = answer.get("error").and_then(Value::as_str)
    {
        return Err(NoTokens::Refused(shown(code)));
    }
    match status {
        200 => {}
        300..=399 => return failed(&format!("redirects (status {status}); correct `token_url`")),
        _ => return failed(&format!("answered with the status {status}")),
    }
    let is_bearer = |kind: &Value| kind.as_str().is_some_and(|k| k.eq_ignore_ascii_case("bearer"));
    if !answer.is_object() {
        return failed("did not answer with a JSON object");
    }
    if !answer.get("token_type").is_none_or(is_bearer) {
        return failed("issues tokens of another type than `Bearer`");
    }
    let token = |key: &str| match answer.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(token)) if is_token(token) => Ok(Some(token.clone())),
        Some(_) => Err(()),
    };
    let (Ok(Some(access_token)), Ok(refresh_token)) =
        (token("access_token"), token("refresh_token"))
    else {
        return failed("answered without a valid token");
    };
    // Some servers send a text.
    let seconds = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let expires_in = answer.get("expires_in").and_then(seconds);
    let expires_in = expires_in.map(|seconds| seconds.min(MAX_LIFETIME));
    Ok(Tokens { access_token, refresh_token, expires_in })
}

/// Returns an error code that is safe to show.
fn shown(code: &str) -> String {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    match (1..=CODE_BYTES).contains(&code.len()) && code.bytes().all(good) {
        true => code.to_owned(),
        false => "an invalid error code".to_owned(),
    }
}

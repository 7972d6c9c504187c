//! Adds the access tokens of logins to requests.

use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use wasmtime_wasi_http::Error;

use super::{HttpClient, Notice, Pool};
use crate::http::auth_error::HttpAuthError;
use crate::http::body::RequestBody;
use crate::http::oauth::{OAuth, Transport};

/// A login for a request.
pub(super) struct SignIn {
    /// The name of the grant.
    pub(super) server: String,
    pub(super) login: OAuth,
}

impl HttpClient {
    /// Sends a request with the token of a login. If the server rejects the token, the next request
    /// has another one, and so has this one if it has no body.
    pub(super) async fn send_signed_in(
        &self,
        with: &SignIn,
        pool: &Pool,
        mut request: Request<RequestBody>,
        first_byte: Duration,
    ) -> Result<Response<Incoming>, Error> {
        let again = repeated(&request);
        let token = self.sign_in(with, &mut request).await?;
        let response = self.send_once(pool, request, first_byte).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        with.login.reject(&token).await;
        let Some(mut request) = again else { return Ok(response) };
        match self.sign_in(with, &mut request).await? == token {
            true => Ok(response),
            false => self.send_once(pool, request, first_byte).await,
        }
    }

    /// Adds the current token to a request, and returns it. Returns the error for the plugin if
    /// there is none.
    async fn sign_in(
        &self,
        with: &SignIn,
        request: &mut Request<RequestBody>,
    ) -> Result<HeaderValue, Error> {
        let (_, tls) = self.network.get().map_err(|_| Error::ConfigurationError)?;
        let limit = self.connect_time.saturating_add(self.idle_time);
        let transport = Transport::new(tls.clone(), self.network.proxy().cloned(), limit);
        self.meter.wait_for_network(Transport::MAX_WAIT);
        match with.login.authorization(transport, &self.secrets).await {
            // The plugin may have ended in the meantime.
            Ok(_) if self.meter.monitor.terminated().is_some() => Err(Error::ConnectionTerminated),
            Ok(token) => {
                request.headers_mut().insert(AUTHORIZATION, token.clone());
                Ok(token)
            }
            Err(error) => {
                let outcome = denied(&error);
                let server = with.server.clone();
                self.notice(error.code(), &with.server, || Notice::NoToken { server, error });
                Err(outcome)
            }
        }
    }

    /// Waits for renewals of tokens, which must not be interrupted.
    pub(crate) fn settle(&self) {
        let logins = self.auth.iter().filter_map(|(_, auth)| auth.login());
        logins.for_each(|login| login.settle(&self.network));
    }
}

/// Returns another request with the same head, if it has no body.
fn repeated(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let old = request.body();
    if !old.is_end_stream() {
        return None;
    }
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.headers_mut() = request.headers().clone();
    Some(head.map(|()| RequestBody {
        inner: Empty::new().map_err(|never| match never {}).boxed_unsync(),
        meter: Arc::clone(&old.meter),
        origin: Arc::clone(&old.origin),
        upload: Arc::default(),
    }))
}

/// Returns the error for a plugin whose request has no token.
const fn denied(error: &HttpAuthError) -> Error {
    match error {
        HttpAuthError::Refused { .. } => Error::HttpRequestDenied,
        HttpAuthError::Renewal { .. } => Error::DestinationUnavailable,
        HttpAuthError::Kind { .. }
        | HttpAuthError::Header { .. }
        | HttpAuthError::Keys
        | HttpAuthError::Empty
        | HttpAuthError::Characters
        | HttpAuthError::Basic
        | HttpAuthError::FileRead { .. }
        | HttpAuthError::FileMode { .. }
        | HttpAuthError::FileContent { .. }
        | HttpAuthError::FileWrite { .. } => Error::ConfigurationError,
    }
}

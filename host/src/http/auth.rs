use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use url::{Url, form_urlencoded};

use super::auth_error::HttpAuthError;
use super::oauth::OAuth;
use super::sigv4::Signer;
use super::spellings::spellings;

/// The credentials for a granted server, which the host adds to requests. The plugin does not
/// receive them.
#[derive(Clone)]
pub struct HttpAuth {
    place: Place,
    /// The texts to redact.
    secrets: Vec<String>,
}

#[derive(Clone)]
enum Place {
    Header(HeaderName, HeaderValue),
    Query(String, String),
    Signature(Signer),
    Login(OAuth),
}

/// Shows no secret.
impl fmt::Debug for HttpAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Header(name, _) => write!(f, "HttpAuth(header {name})"),
            Place::Query(name, _) => write!(f, "HttpAuth(query {name})"),
            Place::Signature(_) => f.write_str("HttpAuth(signature)"),
            Place::Login(_) => f.write_str("HttpAuth(login)"),
        }
    }
}

impl HttpAuth {
    /// Creates credentials of a kind from a secret:
    /// - `basic`: the secret is `USER:PASSWORD`.
    /// - `bearer`: the secret is a token.
    /// - `header:NAME`: the secret is the value of that header.
    /// - `query:NAME`: the secret is the value of that parameter in the query of the URL.
    /// - `aws-sigv4:REGION`: the secret is `ACCESS_KEY:SECRET_KEY`, followed by `:TOKEN` for
    ///   temporary keys. The host signs each request for the service `s3`, without its body. A
    ///   plugin may also list the keys below the granted path, by a request for their bucket.
    ///
    /// Line breaks at the end of the secret are ignored, since files end with one.
    ///
    /// # Errors
    /// Returns [`HttpAuthError`] for an unknown kind or an unusable secret.
    pub fn new(kind: &str, secret: &str) -> Result<Self, HttpAuthError> {
        let secret = secret.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(HttpAuthError::Empty);
        }
        let header = |name, value: String, also: &[&str]| {
            let mut secrets = vec![secret.to_owned(), value.clone()];
            secrets.extend(also.iter().map(|&one| one.to_owned()));
            let mut value = HeaderValue::try_from(value).map_err(|_| HttpAuthError::Characters)?;
            value.set_sensitive(true);
            Ok(Self { place: Place::Header(name, value), secrets })
        };
        match kind.split_once(':').unwrap_or((kind, "")) {
            ("basic", "") => {
                let (_, password) = secret.split_once(':').ok_or(HttpAuthError::Basic)?;
                let encoded = BASE64_STANDARD.encode(secret);
                header(AUTHORIZATION, format!("Basic {encoded}"), &[password, &encoded])
            }
            ("bearer", "") => header(AUTHORIZATION, format!("Bearer {secret}"), &[]),
            ("header", name) => {
                let name = HeaderName::try_from(name)
                    .ok()
                    .filter(|name| !super::header::is_forbidden(name))
                    .ok_or_else(|| HttpAuthError::Header { name: name.to_owned() })?;
                header(name, secret.to_owned(), &[])
            }
            ("query", name) if !name.is_empty() => Ok(Self {
                place: Place::Query(name.to_owned(), secret.to_owned()),
                secrets: vec![secret.to_owned()],
            }),
            ("aws-sigv4", region) => {
                let signer = Signer::new(region, secret)?;
                let mut secrets = signer.secrets();
                secrets.push(secret.to_owned());
                Ok(Self { place: Place::Signature(signer), secrets })
            }
            (_, _) => Err(HttpAuthError::Kind { kind: kind.to_owned() }),
        }
    }

    /// Reads a login by OAuth 2.0 from a token file, a JSON object with these keys:
    /// - `token_url`: the token endpoint, with `https`, or on this machine. With the prefix
    ///   `local:`, its name may resolve to loopback and private addresses, as for an
    ///   [`HttpGrant`](super::HttpGrant).
    /// - `client_id`, and `client_secret` if the client has one.
    /// - `refresh_token`.
    /// - `access_token` and `expires_at`, in seconds since 1970; optional.
    /// - `scope`: optional.
    ///
    /// Requests have the access token in the header `Authorization`. The host renews it (RFC 6749,
    /// section 6) if it is missing, if it expires within a minute, or after an answer with the
    /// status 401. It then replaces the file, before it uses the new tokens, and keeps other keys.
    /// Sessions and processes with the same file do not disturb each other. No other user may be
    /// able to read the file.
    ///
    /// # Errors
    /// Returns [`HttpAuthError`] for an unusable file.
    pub fn oauth2(path: impl AsRef<Path>) -> Result<Self, HttpAuthError> {
        let (login, secrets) = OAuth::read(path.as_ref())?;
        Ok(Self { place: Place::Login(login), secrets })
    }

    /// Returns the login, whose token is to be added to requests.
    pub(super) const fn login(&self) -> Option<&OAuth> {
        match &self.place {
            Place::Login(login) => Some(login),
            Place::Header(..) | Place::Query(..) | Place::Signature(_) => None,
        }
    }

    /// Returns whether requests are signed for S3.
    pub(super) const fn is_signature(&self) -> bool {
        match &self.place {
            Place::Signature(_) => true,
            Place::Header(..) | Place::Query(..) | Place::Login(_) => false,
        }
    }

    /// Adds the credentials to a request, except the token of a login, and removes those of the
    /// plugin. Returns whether there were some.
    pub(crate) fn add(&self, method: &str, headers: &mut HeaderMap, url: &mut Url) -> bool {
        let mut had = headers.remove(AUTHORIZATION).is_some();
        match &self.place {
            Place::Header(name, value) => {
                had |= headers.insert(name.clone(), value.clone()).is_some();
            }
            Place::Query(name, value) => {
                // The rest stays as it is written: servers may distinguish `a` and `a=`.
                let query = url.query().unwrap_or_default().to_owned();
                let pairs = query.split('&').filter(|pair| !pair.is_empty());
                let own = |pair: &str| {
                    form_urlencoded::parse(pair.as_bytes()).any(|(one, _)| one == *name)
                };
                let (removed, mut kept): (Vec<_>, Vec<_>) = pairs.partition(|&pair| own(pair));
                had |= !removed.is_empty();
                let added = form_urlencoded::Serializer::new(String::new())
                    .append_pair(name, value)
                    .finish();
                kept.push(&added);
                url.set_query(Some(&kept.join("&")));
            }
            Place::Signature(signer) => signer.sign(method, url, headers, Timestamp::now()),
            Place::Login(_) => {}
        }
        had
    }

    /// Returns the header with the credentials, if they are in one of their own.
    pub(crate) fn header(&self) -> Option<&HeaderName> {
        match &self.place {
            Place::Header(name, _) => Some(name),
            Place::Query(..) | Place::Signature(_) | Place::Login(_) => None,
        }
    }

    /// Returns every form of the secret in which a server could return it, to redact them.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = String> {
        spellings(&self.secrets)
    }
}

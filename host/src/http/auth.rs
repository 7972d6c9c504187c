use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Url, form_urlencoded};

use super::auth_error::HttpAuthError;
use super::sigv4::Signer;

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
}

/// Shows no secret.
impl fmt::Debug for HttpAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Header(name, _) => write!(f, "HttpAuth(header {name})"),
            Place::Query(name, _) => write!(f, "HttpAuth(query {name})"),
            Place::Signature(_) => f.write_str("HttpAuth(signature)"),
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
    ///   temporary keys. The host signs each request for the service `s3`, without its body.
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

    /// Adds the credentials to a request, and removes those of the plugin. Returns whether there
    /// were some.
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
        }
        had
    }

    /// Returns the header with the credentials, if they are in one of their own.
    pub(crate) fn header(&self) -> Option<&HeaderName> {
        match &self.place {
            Place::Header(name, _) => Some(name),
            Place::Query(..) | Place::Signature(_) => None,
        }
    }

    /// Returns every form of the secret in which a server could return it, to redact them.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = String> {
        self.secrets.iter().flat_map(|secret| {
            let form = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
            [secret.clone(), form, percent]
        })
    }
}

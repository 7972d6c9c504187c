//! The requests to one repository, and the login that they need.

use http::header::{ACCEPT, CONTENT_TYPE, LINK, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use syncmgr_host::HostOptions;
use syncmgr_host::http::Fetched;
use url::Url;

use super::challenge::Challenge;
use super::credentials::{DockerConfig, Login, is_docker_hub};
use super::digest::Digest;
use super::error::OciError;
use super::manifest::{INDEX, Index, MANIFEST, MAX_BYTES};
use super::reference::Reference;
use super::transport::{Call, Expected, Transport, location, origin, read};

/// The host of Docker Hub's registry.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// The most bytes of the answer of a token service, and of an error.
const MAX_ANSWER: u64 = 64 << 10;

/// The longest token in bytes.
const MAX_TOKEN: usize = 16 << 10;

/// How to reach registries.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// The certificates and the proxy.
    pub host: HostOptions,
    /// Whether a registry on this machine has TLS, too. Every other registry has it always.
    pub tls_on_loopback: bool,
    /// Where the credentials are.
    pub docker: DockerConfig,
}

/// The access to a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Pull,
    Push,
}

impl Scope {
    const fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        }
    }
}

/// A repository, with the login for it.
#[derive(Debug)]
pub(crate) struct Client {
    transport: Transport,
    reference: Reference,
    scope: Scope,
    docker: DockerConfig,
    authorization: Option<HeaderValue>,
    has_credentials: bool,
}

/// The answer of a token service.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Client {
    pub(crate) fn new(
        options: &RegistryOptions,
        reference: &Reference,
        scope: Scope,
    ) -> Result<Self, OciError> {
        let host = match is_docker_hub(reference.registry()) {
            true => DOCKER_HUB,
            false => reference.registry(),
        };
        let scheme = match reference.is_loopback() && !options.tls_on_loopback {
            true => "http",
            false => "https",
        };
        let home = Url::parse(&format!("{scheme}://{host}/v2/{}/", reference.repository()));
        let home = home.map_err(|_| OciError::Reference {
            reference: reference.to_string(),
            why: "the registry is not a valid host",
        })?;
        Ok(Self {
            transport: Transport::new(&options.host, home),
            reference: reference.clone(),
            scope,
            docker: options.docker.clone(),
            authorization: None,
            has_credentials: false,
        })
    }

    pub(crate) const fn reference(&self) -> &Reference {
        &self.reference
    }

    pub(crate) fn registry(&self) -> &str {
        self.reference.registry()
    }

    /// Returns a request for a path in the repository.
    pub(crate) fn call(&self, method: Method, path: &str) -> Result<Call, OciError> {
        let url = self.transport.home().join(path);
        let url = url.map_err(|error| self.unexpected(path, &error.to_string()))?;
        Ok(Call::new(method, url))
    }

    /// Sends a request, after a login if the registry requires one. A redirect is an error.
    pub(crate) fn send(&mut self, call: &Call) -> Result<Fetched, OciError> {
        let answer = self.sent(call)?;
        if answer.status.is_redirection() {
            let target = location(&answer.headers, &call.url).unwrap_or_else(|| call.url.clone());
            return Err(self.transport.refused(&target, "only contents may be elsewhere"));
        }
        Ok(answer)
    }

    /// Sends a request, after a login if the registry requires one.
    fn sent(&mut self, call: &Call) -> Result<Fetched, OciError> {
        self.logged_in(call, |transport, call, authorization| {
            Ok((transport.send(call, authorization)?, call.url.clone()))
        })
    }

    /// Returns whether the registry has a content.
    pub(crate) fn has(&mut self, digest: &Digest) -> Result<bool, OciError> {
        let head = self.call(Method::HEAD, &format!("blobs/{digest}"))?;
        match self.sent(&head)?.status {
            // It may be elsewhere.
            status if status == StatusCode::OK || status.is_redirection() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(self.status(&format!("the content {digest}"), status)),
        }
    }

    /// Sends a request to a URL that the registry has returned for an upload.
    pub(crate) fn upload_url(&self, answer: &Fetched, from: &Url) -> Result<Url, OciError> {
        let url = location(&answer.headers, from)
            .ok_or_else(|| self.unexpected("an upload", "there is no valid URL for it"))?;
        match self.transport.is_home(&url) {
            true => Ok(url),
            false => Err(self.transport.refused(&url, "uploads must be to the registry itself")),
        }
    }

    /// Sends a request once, or twice if the registry wants a login. The wish of another host is none:
    /// it must not receive the user's credentials.
    fn logged_in(
        &mut self,
        call: &Call,
        send: impl Fn(&Transport, &Call, Option<&HeaderValue>) -> Result<(Fetched, Url), OciError>,
    ) -> Result<Fetched, OciError> {
        let (mut answer, from) = send(&self.transport, call, self.authorization.as_ref())?;
        if answer.status == StatusCode::UNAUTHORIZED && self.transport.is_home(&from) {
            let challenges = answer.headers.get_all(WWW_AUTHENTICATE).iter();
            let mut challenges =
                challenges.filter_map(|value| Challenge::parse(value.to_str().ok()?));
            let challenge = challenges.next().ok_or_else(|| {
                self.unexpected("the login", "it requires neither a password nor a bearer token")
            })?;
            self.log_in(&challenge)?;
            (answer, _) = send(&self.transport, call, self.authorization.as_ref())?;
        }
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied(answer.status)),
            _ => Ok(answer),
        }
    }

    fn log_in(&mut self, challenge: &Challenge) -> Result<(), OciError> {
        let login = self.docker.login(self.registry())?;
        self.has_credentials = login.is_some();
        let authorization = match challenge {
            Challenge::Basic => {
                let basic = login.as_ref().and_then(Login::basic);
                basic.ok_or_else(|| self.denied(StatusCode::UNAUTHORIZED))?
            }
            Challenge::Bearer { realm, service } => {
                let token = self.token(realm, service.as_deref(), login.as_ref())?;
                format!("Bearer {token}")
            }
        };
        let value = HeaderValue::try_from(authorization);
        let invalid = |_| self.unexpected("the login", "the credentials have other characters");
        self.authorization = Some(value.map_err(invalid)?);
        Ok(())
    }

    /// Requests a token. The scope is what this program needs, whatever the registry asks for.
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        login: Option<&Login>,
    ) -> Result<String, OciError> {
        let scope = format!("repository:{}:{}", self.reference.repository(), self.scope.actions());
        let mut url = Url::parse(realm)
            .map_err(|_| self.unexpected("the login", "the URL of its token service is invalid"))?;
        let (mut call, mut authorization) = (Call::new(Method::GET, url.clone()), None);
        let named = service.map(|service| ("service", service));
        match login {
            Some(Login::Identity(token)) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(named).append_pair("scope", &scope);
                form.append_pair("grant_type", "refresh_token");
                form.append_pair("client_id", "syncmgr").append_pair("refresh_token", token);
                call.method = Method::POST;
                call.body = form.finish().into_bytes();
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                call.headers.insert(CONTENT_TYPE, kind);
            }
            Some(Login::Password { .. }) | None => {
                url.query_pairs_mut().extend_pairs(named).append_pair("scope", &scope);
                call.url = url;
                let basic = login.and_then(Login::basic);
                let value = basic.map(HeaderValue::try_from).transpose();
                let invalid = |_| self.unexpected("the login", "the password is no header");
                authorization = value.map_err(invalid)?;
            }
        }
        let answer = self.transport.send(&call, authorization.as_ref())?;
        let server = origin(&call.url);
        let invalid = |why: String| OciError::Answer {
            server: server.clone(),
            what: "the login".to_owned(),
            why,
        };
        match answer.status {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(self.denied(status));
            }
            status => {
                return Err(invalid(format!("the status of the token is {}", status.as_u16())));
            }
        }
        let answer = read(answer, "the token", MAX_ANSWER)?;
        // The message of the parser could contain a part of the token.
        let answer: Token = serde_json::from_slice(&answer)
            .map_err(|_| invalid("the token is not in a JSON object".to_owned()))?;
        let token = answer.token.or(answer.access_token);
        let is_token = |token: &String| {
            let visible = token.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
            (1..=MAX_TOKEN).contains(&token.len()) && visible
        };
        token.filter(is_token).ok_or_else(|| invalid("there is no valid token".to_owned()))
    }

    /// Requests a manifest or a list by tag or digest. Returns `None` if the registry has none.
    pub(crate) fn manifest(&mut self, name: &str) -> Result<Option<(Vec<u8>, Digest)>, OciError> {
        let mut call = self.call(Method::GET, &format!("manifests/{name}"))?;
        for kind in [MANIFEST, INDEX] {
            call.headers.append(ACCEPT, HeaderValue::from_static(kind));
        }
        let answer = self.send(&call)?;
        let what = format!("the manifest `{name}`");
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(self.status(&what, status)),
        }
        let announced = digest_of(&answer.headers);
        let content = read(answer, &what, MAX_BYTES)?;
        let found = Digest::of(&content);
        // The digest of the request is the one that counts; a registry may announce another one.
        for expected in [name.parse().ok(), announced].into_iter().flatten() {
            if expected != found {
                return Err(OciError::Digest { what, expected, found });
            }
        }
        Ok(Some((content, found)))
    }

    /// Requests the list of signatures of a manifest, by the referrers API or by its fallback.
    pub(crate) fn referrers(&mut self, digest: &Digest) -> Result<Option<Index>, OciError> {
        let mut call = self.call(Method::GET, &format!("referrers/{digest}"))?;
        call.headers.insert(ACCEPT, HeaderValue::from_static(INDEX));
        // Registries without the API answer in different ways.
        match self.send(&call) {
            Ok(answer) if answer.status == StatusCode::OK => {
                let list = read(answer, "the list of signatures", MAX_BYTES)?;
                if let Some(index) = Index::parse(&list) {
                    return Ok(Some(index));
                }
            }
            Ok(_) | Err(OciError::Redirect { .. } | OciError::Denied { .. }) => {}
            Err(error) => return Err(error),
        }
        let fallback = self.manifest(&digest.fallback_tag())?;
        Ok(fallback.and_then(|(list, _)| Index::parse(&list)))
    }

    /// Receives a content.
    pub(crate) fn blob(&mut self, expected: &Expected) -> Result<Vec<u8>, OciError> {
        expected.check_size()?;
        let call = self.call(Method::GET, &format!("blobs/{}", expected.digest))?;
        let answer = self.logged_in(&call, Transport::follow)?;
        match answer.status {
            StatusCode::OK => expected.receive(answer),
            StatusCode::NOT_FOUND => Err(OciError::NotFound {
                registry: self.registry().to_owned(),
                what: "content",
                name: expected.digest.to_string(),
            }),
            status => Err(self.status(&expected.what, status)),
        }
    }

    /// Requests the tags of the repository, bounded.
    pub(crate) fn tags(&mut self) -> Result<Vec<String>, OciError> {
        #[derive(Deserialize)]
        struct Tags {
            tags: Option<Vec<String>>,
        }
        const PAGES: usize = 10;
        let mut tags: Vec<String> = Vec::new();
        for _ in 0..PAGES {
            let mut call = self.call(Method::GET, "tags/list?n=1000")?;
            if let Some(last) = tags.last() {
                call.url.query_pairs_mut().append_pair("last", last);
            }
            let answer = self.send(&call)?;
            if answer.status != StatusCode::OK {
                return Err(self.status("the list of tags", answer.status));
            }
            let has_more = answer.headers.contains_key(LINK);
            let page = read(answer, "the list of tags", MAX_BYTES)?;
            let page: Tags = serde_json::from_slice(&page)
                .map_err(|_| self.unexpected("the list of tags", "it is not the JSON of a list"))?;
            let page = page.tags.unwrap_or_default();
            // A registry that does not know the parameter returns the first page again.
            if page.is_empty() || page.last() == tags.last() {
                break;
            }
            tags.extend(page);
            if !has_more {
                break;
            }
        }
        Ok(tags)
    }

    fn denied(&self, status: StatusCode) -> OciError {
        OciError::Denied {
            registry: self.registry().to_owned(),
            repository: self.reference.repository().to_owned(),
            status: status.as_u16(),
            has_credentials: self.has_credentials,
        }
    }

    pub(crate) fn status(&self, what: &str, status: StatusCode) -> OciError {
        self.unexpected(what, &format!("its status is {}", status.as_u16()))
    }

    pub(crate) fn unexpected(&self, what: &str, why: &str) -> OciError {
        OciError::Answer {
            server: self.registry().to_owned(),
            what: what.to_owned(),
            why: why.to_owned(),
        }
    }
}

/// Returns the digest that a registry announces.
fn digest_of(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

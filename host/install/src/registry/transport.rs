//! Sends requests, and decides to which hosts.

use std::fmt;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_LENGTH, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use syncmgr_host::http::{AddressKind, Fetched, HttpFetcher, HttpGrant};
use syncmgr_host::{Access, HostOptions};
use url::{Host, Url};

use super::digest::{Digest, Hasher};
use super::error::OciError;
use super::reference::is_loopback;

/// The time for all requests together. One that was sent before its end has the time of one request.
const TOTAL_TIME: Duration = Duration::from_secs(3600);

/// The most redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// The name of this program.
const AGENT: &str = concat!("syncmgr/", env!("CARGO_PKG_VERSION"));

/// A request without its authorization.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Vec::new() }
    }
}

/// Sends requests to the server that the user has named, and to those that it leads to.
pub(crate) struct Transport {
    fetcher: HttpFetcher,
    /// The time after which no request is sent.
    deadline: Instant,
    /// The server that the user has named.
    home: Url,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({})", self.home)
    }
}

impl Transport {
    pub(crate) fn new(options: &HostOptions, home: Url) -> Self {
        let deadline = Instant::now() + TOTAL_TIME;
        Self { fetcher: HttpFetcher::new(options), deadline, home }
    }

    pub(crate) fn home(&self) -> &Url {
        &self.home
    }

    /// Returns whether a URL is on the server that the user has named.
    pub(crate) fn is_home(&self, url: &Url) -> bool {
        url.origin() == self.home.origin()
    }

    /// Sends one request. Its authorization is sent to no other origin than its own.
    pub(crate) fn send(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Fetched, OciError> {
        let server = self.grant(&call.url)?;
        let failed = |why: String| OciError::Connection { server: origin(&call.url), why };
        if Instant::now() > self.deadline {
            return Err(failed("the requests have taken more than an hour".to_owned()));
        }
        let mut request = Request::builder().method(&call.method).uri(call.url.as_str());
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&call.headers);
            // Some registries refuse requests without it.
            headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
            if let Some(authorization) = authorization {
                let mut value = authorization.clone();
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
        }
        let request = request.body(call.body.clone().into());
        let request = request.map_err(|error| failed(error.to_string()))?;
        self.fetcher.send(request, server).map_err(|error| failed(error.to_string()))
    }

    /// Sends a request for a content, and follows redirects. After a redirect to another origin, no
    /// request has the authorization, even if a further redirect leads back. Returns the URL that has
    /// answered, too.
    pub(crate) fn follow(
        &self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<(Fetched, Url), OciError> {
        let (mut call, mut authorization) = (call.clone(), authorization);
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.send(&call, authorization)?;
            let Some(target) = redirect(&answer, &call.url) else { return Ok((answer, call.url)) };
            let target = target.ok_or_else(|| self.refused(&call.url, "the URL is invalid"))?;
            if target.origin() != call.url.origin() {
                authorization = None;
            }
            call.url = target;
        }
        Err(self.refused(&call.url, "there are too many redirects"))
    }

    /// Returns an error for a URL to which a server leads.
    pub(crate) fn refused(&self, target: &Url, why: &'static str) -> OciError {
        OciError::Redirect { registry: authority(&self.home), target: origin(target), why }
    }

    /// Decides whether a URL may be requested, and which addresses its host may have. A server on
    /// the internet must not lead into the user's network.
    fn grant(&self, url: &Url) -> Result<HttpGrant, OciError> {
        let local = match (self.is_home(url), self.fetcher.has_proxy()) {
            // The user has named it, so it may be in a private network.
            (true, false) => "local:",
            // A request to a local name would not use the proxy.
            (true, true) => "",
            (false, _) => {
                self.elsewhere(url)?;
                ""
            }
        };
        let server = format!("{local}{}/", url.origin().ascii_serialization());
        HttpGrant::new("server", &server, Access::ReadWrite)
            .map_err(|_| self.refused(url, "its host is invalid"))
    }

    /// Checks a URL that is not on the server that the user has named.
    fn elsewhere(&self, url: &Url) -> Result<(), OciError> {
        let from_here = self.home.host_str().is_some_and(is_loopback);
        let host = url.host_str().unwrap_or_default();
        if from_here && is_loopback(host) && matches!(url.scheme(), "http" | "https") {
            return Ok(());
        }
        if url.scheme() != "https" {
            return Err(self.refused(url, "it is not an `https://` URL"));
        }
        let is_public = match url.host() {
            Some(Host::Domain(_)) => !is_loopback(host),
            Some(Host::Ipv4(address)) => AddressKind::of(address.into()).is_none(),
            Some(Host::Ipv6(address)) => AddressKind::of(address.into()).is_none(),
            None => false,
        };
        match is_public {
            true => Ok(()),
            false => Err(self.refused(url, "it is a local address")),
        }
    }
}

/// Returns the URL of a redirect; `Some(None)` for an invalid one.
fn redirect(answer: &Fetched, from: &Url) -> Option<Option<Url>> {
    let is_redirect = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ]
    .contains(&answer.status);
    is_redirect.then(|| location(&answer.headers, from))
}

/// Returns the URL in the header `Location`.
pub(crate) fn location(headers: &HeaderMap, from: &Url) -> Option<Url> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let url = from.join(location).ok()?;
    let good = url.username().is_empty() && url.password().is_none() && url.has_host();
    good.then_some(url)
}

/// Reads a small answer.
pub(crate) fn read(mut answer: Fetched, what: &str, limit: u64) -> Result<Vec<u8>, OciError> {
    let why = "the most for this kind of content";
    let too_large = || OciError::Size { what: what.to_owned(), limit, why };
    if announced(&answer.headers).is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut content = Vec::new();
    loop {
        let received = content.len() as u64;
        let part = answer.next_part().map_err(|error| OciError::Incomplete {
            what: what.to_owned(),
            received,
            expected: announced(&answer.headers).unwrap_or(received),
            why: error.to_string(),
        })?;
        let Some(part) = part else { return Ok(content) };
        if received + part.len() as u64 > limit {
            return Err(too_large());
        }
        content.extend_from_slice(&part);
    }
}

/// What is known of a content before it is received.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// For messages.
    pub(crate) what: String,
    pub(crate) digest: Digest,
    /// The exact size, if it is known.
    pub(crate) size: Option<u64>,
    /// The most bytes.
    pub(crate) limit: u64,
}

impl Expected {
    /// Checks the size before a request.
    pub(crate) fn check_size(&self) -> Result<(), OciError> {
        match self.size {
            Some(size) if size > self.limit => Err(self.too_large()),
            Some(_) | None => Ok(()),
        }
    }

    fn too_large(&self) -> OciError {
        let why = "the limit `component-bytes`";
        OciError::Size { what: self.what.clone(), limit: self.limit, why }
    }

    fn larger_than(&self, size: u64) -> OciError {
        let why = "the size in its manifest";
        OciError::Size { what: self.what.clone(), limit: size, why }
    }

    /// Receives a content, and checks its size and its digest meanwhile.
    pub(crate) fn receive(&self, mut answer: Fetched) -> Result<Vec<u8>, OciError> {
        let announced = announced(&answer.headers);
        let expected = self.size.or(announced);
        let incomplete = |received: u64, why: &str| OciError::Incomplete {
            what: self.what.clone(),
            received,
            expected: expected.unwrap_or(received),
            why: why.to_owned(),
        };
        if let (Some(size), Some(announced)) = (self.size, announced)
            && announced < size
        {
            return Err(incomplete(announced, "the server announces no more"));
        }
        if let (Some(size), Some(announced)) = (self.size, announced)
            && announced > size
        {
            return Err(self.larger_than(size));
        }
        if expected.is_some_and(|size| size > self.limit) {
            return Err(self.too_large());
        }
        let (mut content, mut hasher) = (Vec::new(), Hasher::new());
        loop {
            let received = content.len() as u64;
            let part =
                answer.next_part().map_err(|error| incomplete(received, &error.to_string()))?;
            let Some(part) = part else { break };
            let now = received + part.len() as u64;
            if now > self.limit {
                return Err(self.too_large());
            }
            if let Some(size) = self.size.filter(|size| now > *size) {
                return Err(self.larger_than(size));
            }
            hasher.update(&part);
            content.extend_from_slice(&part);
        }
        let received = content.len() as u64;
        if self.size.is_some_and(|size| received < size) {
            return Err(incomplete(received, "the answer ended"));
        }
        let found = hasher.finish();
        match found == self.digest {
            true => Ok(content),
            false => Err(OciError::Digest {
                what: self.what.clone(),
                expected: self.digest.clone(),
                found,
            }),
        }
    }
}

/// Returns the length that an answer announces.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Returns the origin of a URL.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Returns the host of a URL, with its port.
fn authority(url: &Url) -> String {
    url.authority().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(home: &str) -> Transport {
        Transport::new(&HostOptions::new(), Url::parse(home).unwrap())
    }

    #[test]
    fn a_registry_leads_to_public_servers_only() {
        let internet = transport("https://r.example/");
        let here = transport("http://127.0.0.1:5000/");
        for (transport, url, good) in [
            (&internet, "https://r.example/v2/", true),
            (&internet, "https://cdn.example/blob", true),
            (&internet, "https://8.8.8.8/", true),
            (&internet, "http://cdn.example/", false),
            (&internet, "http://r.example/", false),
            (&internet, "https://localhost/", false),
            (&internet, "https://127.0.0.1/", false),
            (&internet, "https://169.254.169.254/", false),
            (&internet, "https://10.0.0.1/", false),
            (&internet, "https://[::1]/", false),
            (&internet, "https://[::ffff:10.0.0.1]/", false),
            (&internet, "ftp://cdn.example/", false),
            (&here, "http://127.0.0.1:5000/v2/", true),
            (&here, "http://localhost:80/", true),
            (&here, "https://cdn.example/", true),
            (&here, "http://cdn.example/", false),
            (&here, "https://10.0.0.1/", false),
        ] {
            let granted = transport.grant(&Url::parse(url).unwrap());
            assert_eq!(granted.is_ok(), good, "{url}");
            if let Err(error) = granted {
                assert_eq!(error.code(), "oci-redirect");
            }
        }
    }

    #[test]
    fn a_location_has_no_password() {
        let from = Url::parse("https://r.example/v2/x").unwrap();
        for (location_text, expected) in [
            ("/v2/y", Some("https://r.example/v2/y")),
            ("https://cdn.example/b?x=1", Some("https://cdn.example/b?x=1")),
            ("https://me:x@cdn.example/", None),
            ("data:,x", None),
            ("https://[", None),
        ] {
            let headers = HeaderMap::from_iter([(LOCATION, location_text.parse().unwrap())]);
            let found = location(&headers, &from);
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{location_text}");
        }
    }
}

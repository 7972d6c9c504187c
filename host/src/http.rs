//! HTTP requests of plugins: which are allowed, and how they are sent.
//!
//! [`HttpPolicy`] decides. It opens no connection: the client resolves the host of each URL once,
//! connects to exactly the addresses that [`Allowed::addresses`] returns, and takes the `Host`
//! header from the URL. Each redirect is a new request.

mod address;
mod auth;
mod auth_error;
mod body;
mod bucket;
pub(crate) mod client;
mod connector;
mod denial;
mod exchange;
mod fetch;
mod grant;
mod header;
pub(crate) mod hooks;
pub(crate) mod network;
mod oauth;
pub(crate) mod observed;
mod path;
pub(crate) mod proxy;
mod sigv4;
mod spellings;
mod target;
#[cfg(test)]
mod tests;
mod usage;

pub use address::AddressKind;
pub use auth::HttpAuth;
pub use auth_error::HttpAuthError;
pub use denial::HttpDenial;
pub use exchange::{HttpAnswer, HttpBody, HttpExchange, HttpFailure, HttpObserver, HttpRequest};
pub use fetch::{FetchError, Fetched, HttpFetcher};
pub use grant::{HttpGrant, HttpGrantError, HttpGrantProblem};
pub use usage::HttpUsage;

#[cfg(fuzzing)]
pub(crate) use header::check as check_headers;
#[cfg(fuzzing)]
pub(crate) use oauth::renewed;

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use self::target::{Scheme, Target};
use crate::grants::Access;

/// The methods that change nothing on the server.
const SAFE_METHODS: [&str; 6] = ["GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"];

/// The methods that reach another server, or return the headers of the request.
const FORBIDDEN_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];

/// The HTTP policy of one plugin. Without grants, it allows nothing.
#[derive(Clone, Debug, Default)]
pub struct HttpPolicy {
    grants: Vec<HttpGrant>,
    /// The names of grants whose requests are signed for S3.
    signed: Vec<String>,
}

/// A URL that a grant covers. Its addresses have not been checked yet.
#[derive(Clone, Debug)]
#[must_use = "the addresses of the host must be judged before connecting"]
pub struct Allowed<'a> {
    grant: &'a HttpGrant,
    target: Target,
    url: Url,
}

impl HttpPolicy {
    /// Creates the policy with these grants.
    pub fn new(grants: Vec<HttpGrant>) -> Self {
        Self { grants, signed: Vec::new() }
    }

    /// Derives from the credentials which servers have buckets. These may also list keys below the
    /// granted path, by a request for the bucket.
    pub(crate) fn with_auth<'a>(
        mut self,
        auth: impl IntoIterator<Item = (&'a str, &'a HttpAuth)>,
    ) -> Self {
        let signed = auth.into_iter().filter(|(_, auth)| auth.is_signature());
        self.signed.extend(signed.map(|(name, _)| name.to_owned()));
        self
    }

    /// Checks a request of the plugin.
    ///
    /// # Errors
    /// Returns [`HttpDenial::Url`], [`HttpDenial::Scheme`], [`HttpDenial::NoServer`],
    /// [`HttpDenial::UserInfo`], [`HttpDenial::Path`], [`HttpDenial::Method`],
    /// [`HttpDenial::NotGranted`] or [`HttpDenial::ReadOnly`].
    pub fn check(&self, method: &str, url: &str) -> Result<Allowed<'_>, HttpDenial> {
        let (parsed, target) = parse(url)?;
        let origin = target.to_string();
        // As written: parsing resolves `..`.
        if !path::is_plain(raw_path(url)) {
            return Err(HttpDenial::Path { origin });
        }
        if FORBIDDEN_METHODS.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(method)) {
            return Err(HttpDenial::Method { method: method.to_owned(), origin });
        }
        let covering = self.grants.iter().filter(|grant| {
            grant.covers(&target, parsed.path())
                || method == "GET"
                    && grant.target == target
                    && self.signed.iter().any(|name| name == grant.name())
                    && bucket::lists_below(&parsed, grant)
        });
        // The most specific path decides, as its credentials do.
        let Some(grant) = covering.max_by_key(|grant| grant.url().len()) else {
            let elsewhere = self.grants.iter().any(|grant| grant.target == target);
            return Err(HttpDenial::NotGranted { origin, elsewhere });
        };
        if grant.access() == Access::ReadOnly && !SAFE_METHODS.contains(&method) {
            return Err(HttpDenial::ReadOnly { method: method.to_owned(), origin });
        }
        Ok(Allowed { grant, target, url: parsed })
    }

    /// Checks an origin to connect to, for a request that was checked.
    ///
    /// # Errors
    /// Returns [`HttpDenial::Url`], [`HttpDenial::Scheme`], [`HttpDenial::NoServer`],
    /// [`HttpDenial::UserInfo`] or [`HttpDenial::NotGranted`].
    pub fn check_origin(&self, url: &str) -> Result<Allowed<'_>, HttpDenial> {
        let (url, target) = parse(url)?;
        let covering = self.grants.iter().filter(|grant| grant.target == target);
        match covering.max_by_key(|grant| grant.local) {
            Some(grant) => Ok(Allowed { grant, target, url }),
            None => Err(HttpDenial::NotGranted { origin: target.to_string(), elsewhere: false }),
        }
    }

    /// Returns whether there are no grants.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }
}

fn parse(url: &str) -> Result<(Url, Target), HttpDenial> {
    let mut url = Url::parse(url).map_err(|reason| HttpDenial::Url { reason })?;
    let scheme = Scheme::named(url.scheme());
    let scheme = scheme.ok_or_else(|| HttpDenial::Scheme { scheme: url.scheme().to_owned() })?;
    let origin = || url.origin().ascii_serialization();
    let target = Target::of(scheme, &url);
    let target = target.ok_or_else(|| HttpDenial::NoServer { origin: origin() })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HttpDenial::UserInfo { origin: origin() });
    }
    match target.name_in(&mut url) {
        Some(()) => Ok((url, target)),
        None => Err(HttpDenial::NoServer { origin: url.origin().ascii_serialization() }),
    }
}

/// Returns the path of a URL as it is written.
fn raw_path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let rest = &rest[..end];
    &rest[rest.find(['/', '\\']).unwrap_or(rest.len())..]
}

impl<'a> Allowed<'a> {
    /// Returns the host to resolve, in lower case and without a trailing dot.
    pub const fn host(&self) -> &Host<String> {
        &self.target.host
    }

    /// Returns the port to connect to.
    pub const fn port(&self) -> u16 {
        self.target.port
    }

    /// Returns the URL in its canonical form.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the origin, as `SCHEME://HOST[:PORT]`.
    pub fn origin(&self) -> String {
        self.target.to_string()
    }

    /// Returns the grant that covers the URL.
    pub const fn grant(&self) -> &'a HttpGrant {
        self.grant
    }

    /// Returns the addresses to which the client may connect, in the given order and with the URL's
    /// port; at least one. The client must connect to these and no others, without resolving again.
    ///
    /// # Errors
    /// Returns [`HttpDenial::NoAddress`] if `resolved` is empty, and [`HttpDenial::Address`] or
    /// [`HttpDenial::Astray`] if no address is allowed.
    pub fn addresses(&self, resolved: &[SocketAddr]) -> Result<Vec<SocketAddr>, HttpDenial> {
        let kept: Vec<_> = resolved
            .iter()
            .filter(|address| self.opens(address.ip()))
            .map(|&(mut address)| {
                address.set_port(self.target.port);
                address
            })
            .collect();
        if !kept.is_empty() {
            return Ok(kept);
        }
        let origin = self.origin();
        if resolved.is_empty() {
            return Err(HttpDenial::NoAddress { origin });
        }
        let fixed = match &self.target.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(_) | Host::Ipv6(_) => true,
        };
        let mut kinds = resolved.iter().filter_map(|address| AddressKind::of(address.ip()));
        let telling = kinds.clone().find(|kind| kind.is_local()).or_else(|| kinds.next());
        Err(match telling.filter(|_| !fixed) {
            Some(kind) => HttpDenial::Address { origin, kind },
            None => HttpDenial::Astray { origin },
        })
    }

    /// Returns whether the server is on this machine or in its own network.
    pub(crate) fn is_local(&self) -> bool {
        let is_local = |address| AddressKind::of(address).is_some_and(AddressKind::is_local);
        match &self.target.host {
            Host::Ipv4(address) => is_local(IpAddr::V4(*address)),
            Host::Ipv6(address) => is_local(IpAddr::V6(*address)),
            Host::Domain(name) => name == "localhost" || self.grant.local,
        }
    }

    /// Returns whether the path itself is not granted, only what the request lists.
    fn only_lists(&self) -> bool {
        !self.grant.covers(&self.target, self.url.path())
    }

    fn opens(&self, address: IpAddr) -> bool {
        let kind = AddressKind::of(address);
        match &self.target.host {
            Host::Ipv4(own) => address == *own,
            Host::Ipv6(own) => address == *own,
            Host::Domain(name) if name == "localhost" => kind == Some(AddressKind::Loopback),
            Host::Domain(_) => kind.is_none_or(|kind| self.grant.local && kind.is_local()),
        }
    }
}

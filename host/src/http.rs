//! Decides which HTTP requests a plugin may make.
//!
//! Nothing here opens a connection. A client that follows an [`HttpPolicy`]
//! - resolves the host of each URL once, and connects to exactly the addresses returned by
//!   [`HttpPolicy::plan`] or [`Allowed::addresses`], without a proxy: a second lookup may have
//!   another answer (DNS rebinding);
//! - takes the `Host` header from the URL, never from the plugin;
//! - does not follow redirects automatically, but calls [`HttpPolicy::follow`] for each hop, and
//!   checks the addresses of the new URL again;
//! - forwards `Authorization`, `Cookie` and similar headers only if [`HttpPolicy::same_origin`]
//!   holds.

mod address;
mod denial;
mod grant;
mod target;
#[cfg(test)]
mod tests;

pub use address::AddressKind;
pub use denial::HttpDenial;
pub use grant::{HttpGrant, HttpGrantError};

use std::io;
use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use self::target::{Scheme, Target};

/// The maximum number of redirects of one request.
pub(crate) const HOPS: usize = 10;

/// The HTTP policy of one plugin.
#[derive(Clone, Debug)]
pub struct HttpPolicy {
    plugin: String,
    grants: Vec<HttpGrant>,
}

/// A URL that a grant covers. Its addresses have not been checked yet.
#[derive(Clone, Debug)]
#[must_use = "the addresses of the host must be judged before connecting"]
pub struct Allowed<'a> {
    plugin: &'a str,
    grant: &'a HttpGrant,
    target: Target,
}

impl HttpPolicy {
    /// Creates the policy of the plugin with this name. Without grants, it allows nothing.
    pub fn new(plugin: impl Into<String>, grants: Vec<HttpGrant>) -> Self {
        Self { plugin: plugin.into(), grants }
    }

    /// Checks the scheme, host and port of a URL.
    ///
    /// # Errors
    /// Returns [`HttpDenial::Scheme`], [`HttpDenial::NoServer`], [`HttpDenial::UserInfo`] or
    /// [`HttpDenial::NotGranted`].
    pub fn check(&self, url: &Url) -> Result<Allowed<'_>, HttpDenial> {
        let plugin = self.plugin.clone();
        let Some(scheme) = Scheme::named(url.scheme()) else {
            return Err(HttpDenial::Scheme { plugin, scheme: url.scheme().to_owned() });
        };
        let Some(target) = Target::of(scheme, url) else {
            return Err(HttpDenial::NoServer { plugin, origin: origin(url) });
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(HttpDenial::UserInfo { plugin, origin: target.to_string() });
        }
        let covering = self.grants.iter().filter(|grant| grant.covers(&target));
        match covering.max_by_key(|grant| grant.local) {
            Some(grant) => Ok(Allowed { plugin: &self.plugin, grant, target }),
            None => Err(HttpDenial::NotGranted { plugin, origin: target.to_string() }),
        }
    }

    /// Checks a URL and the addresses of its host, and returns at least one address. The client
    /// must connect to these and no others, without resolving again.
    ///
    /// The resolver receives a name and a port. It is not called for URLs that contain an address.
    ///
    /// # Errors
    /// Returns the errors of [`HttpPolicy::check`] and [`Allowed::addresses`], and
    /// [`HttpDenial::Resolve`].
    pub fn plan(
        &self,
        url: &Url,
        resolver: impl FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>>,
    ) -> Result<Vec<SocketAddr>, HttpDenial> {
        let allowed = self.check(url)?;
        let port = allowed.port();
        let resolved = match allowed.host() {
            Host::Domain(name) => resolver(name, port).map_err(|source| {
                let (plugin, origin) = allowed.named();
                HttpDenial::Resolve { plugin, origin, source }
            })?,
            Host::Ipv4(address) => vec![SocketAddr::from((*address, port))],
            Host::Ipv6(address) => vec![SocketAddr::from((*address, port))],
        };
        allowed.addresses(&resolved)
    }

    /// Returns the target URL of a redirect. `location` may be relative to `from`; `hops` is the
    /// number of redirects that this request has already followed, at most 10.
    ///
    /// The addresses of the new host must be checked with [`HttpPolicy::plan`] like those of the
    /// first, even if it is the same host.
    ///
    /// # Errors
    /// Returns [`HttpDenial::Hops`], [`HttpDenial::Location`], [`HttpDenial::Downgrade`], and the
    /// errors of [`HttpPolicy::check`].
    pub fn follow(&self, from: &Url, location: &str, hops: usize) -> Result<Url, HttpDenial> {
        let named = || (self.plugin.clone(), origin(from));
        if hops >= HOPS {
            let (plugin, origin) = named();
            return Err(HttpDenial::Hops { plugin, origin });
        }
        let to = from.join(location).map_err(|reason| {
            let (plugin, origin) = named();
            HttpDenial::Location { plugin, origin, reason }
        })?;
        if from.scheme() == Scheme::Https.name() && to.scheme() == Scheme::Http.name() {
            let (plugin, from) = named();
            return Err(HttpDenial::Downgrade { plugin, origin: from, to: origin(&to) });
        }
        let _addresses_come_later = self.check(&to)?;
        Ok(to)
    }

    /// Returns whether two URLs have the same scheme, host and port. If not, credentials for one
    /// must not be sent to the other.
    pub fn same_origin(one: &Url, other: &Url) -> bool {
        one.origin() == other.origin()
    }
}

/// Returns the origin for messages; `null` if the scheme has no origins.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl Allowed<'_> {
    /// Returns the host to resolve, in lower case and without a trailing dot.
    pub const fn host(&self) -> &Host<String> {
        &self.target.host
    }

    /// Returns the port to connect to.
    pub const fn port(&self) -> u16 {
        self.target.port
    }

    /// Returns the grant that covers the URL, preferring a local one.
    pub const fn grant(&self) -> &HttpGrant {
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
        let (plugin, origin) = self.named();
        if resolved.is_empty() {
            return Err(HttpDenial::NoAddress { plugin, origin });
        }
        let fixed = match &self.target.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(_) | Host::Ipv6(_) => true,
        };
        let mut kinds = resolved.iter().filter_map(|address| AddressKind::of(address.ip()));
        let telling = kinds.clone().find(|kind| kind.is_local()).or_else(|| kinds.next());
        Err(match telling.filter(|_| !fixed) {
            Some(kind) => HttpDenial::Address { plugin, origin, kind },
            None => HttpDenial::Astray { plugin, origin },
        })
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

    fn named(&self) -> (String, String) {
        (self.plugin.to_owned(), self.target.to_string())
    }
}

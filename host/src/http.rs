//! Which HTTP requests a plugin may make.
//!
//! Nothing here opens a connection. A client that obeys a [`HttpPolicy`]
//! - resolves the host of each URL once, and connects to exactly the addresses that
//!   [`HttpPolicy::plan`] or [`Allowed::addresses`] gives, without a proxy: a second lookup may
//!   have another answer (DNS rebinding);
//! - takes the `Host` header from the URL, never from the plugin;
//! - follows no redirect on its own, but asks [`HttpPolicy::follow`] for each hop, and checks the
//!   addresses of the new URL again;
//! - sends `Authorization`, `Cookie` and the like on only if [`HttpPolicy::same_origin`] holds.

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

/// Redirects that one request follows at most.
pub(crate) const HOPS: usize = 10;

/// What one plugin may fetch.
#[derive(Clone, Debug)]
pub struct HttpPolicy {
    plugin: String,
    grants: Vec<HttpGrant>,
}

/// A URL that a grant covers. Its addresses are still to be judged.
#[derive(Clone, Debug)]
#[must_use = "the addresses of the host must be judged before connecting"]
pub struct Allowed<'a> {
    plugin: &'a str,
    grant: &'a HttpGrant,
    target: Target,
}

impl HttpPolicy {
    /// What the grants allow to the plugin of that name; without grants, nothing.
    pub fn new(plugin: impl Into<String>, grants: Vec<HttpGrant>) -> Self {
        Self { plugin: plugin.into(), grants }
    }

    /// Judges a URL by its scheme, host and port.
    ///
    /// # Errors
    /// [`HttpDenial::Scheme`], [`HttpDenial::NoServer`], [`HttpDenial::UserInfo`] and
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

    /// Judges a URL and the addresses of its host, at least one of which is returned. The client
    /// must connect to these and no others, without resolving again.
    ///
    /// The resolver gets a name and a port, and is not asked about URLs with an address.
    ///
    /// # Errors
    /// Those of [`HttpPolicy::check`] and [`Allowed::addresses`], and [`HttpDenial::Resolve`].
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

    /// The URL that a redirect leads to. `location` may be relative to `from`; `hops` is how many
    /// redirects of this request have been followed before, and 10 is the most there can be.
    ///
    /// The new host's addresses must be judged as those of the first one were, with
    /// [`HttpPolicy::plan`], also if it is the same host.
    ///
    /// # Errors
    /// [`HttpDenial::Hops`], [`HttpDenial::Location`], [`HttpDenial::Downgrade`], and those of
    /// [`HttpPolicy::check`].
    pub fn follow(&self, from: &Url, location: &str, hops: usize) -> Result<Url, HttpDenial> {
        let named = || (self.plugin.clone(), origin(from));
        if hops >= HOPS {
            let (plugin, origin) = named();
            return Err(HttpDenial::Hops { plugin, origin });
        }
        let to = from.join(location).map_err(|source| {
            let (plugin, origin) = named();
            HttpDenial::Location { plugin, origin, source }
        })?;
        if from.scheme() == Scheme::Https.name() && to.scheme() == Scheme::Http.name() {
            let (plugin, from) = named();
            return Err(HttpDenial::Downgrade { plugin, origin: from, to: origin(&to) });
        }
        let _addresses_come_later = self.check(&to)?;
        Ok(to)
    }

    /// Whether two URLs have the same scheme, host and port. If not, what authenticates requests
    /// for the one must not be sent to the other.
    pub fn same_origin(one: &Url, other: &Url) -> bool {
        one.origin() == other.origin()
    }
}

/// For messages; `null` if the scheme has no origins.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl Allowed<'_> {
    /// The host to resolve, in lower case and without a dot at the end.
    pub const fn host(&self) -> &Host<String> {
        &self.target.host
    }

    /// The port to connect to.
    pub const fn port(&self) -> u16 {
        self.target.port
    }

    /// The grant that covers the URL; a local one if there is a choice.
    pub const fn grant(&self) -> &HttpGrant {
        self.grant
    }

    /// The addresses that may be connected to, in the order given and with the URL's port; at
    /// least one. The client must connect to these and no others, without resolving again.
    ///
    /// # Errors
    /// [`HttpDenial::NoAddress`] if there are none to begin with, and [`HttpDenial::Address`] and
    /// [`HttpDenial::Astray`] if none is left.
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

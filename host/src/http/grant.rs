use std::net::IpAddr;

use url::{Host, Url};

use super::address::AddressKind;
use super::path;
use super::target::{Scheme, Target};
use crate::grants::{self, Access};

/// A server that a plugin may reach, under a name.
///
/// The URL has the form `[local:]SCHEME://HOST[:PORT][/PATH]`:
/// - SCHEME is `https` or `http`.
/// - HOST is a name, an IPv4 address in dotted decimal notation, or an IPv6 address in brackets.
/// - PORT is the default port of the scheme if absent.
/// - PATH grants itself and every path below it; everything if absent.
///
/// An address grants exactly that address, of any kind, and only to URLs that contain it;
/// `localhost` grants the loopback addresses. Any other name grants public addresses, and with the
/// prefix `local:` also loopback and private ones ([`AddressKind::Loopback`],
/// [`AddressKind::Private`]); addresses of the other kinds can never be reached by name. `local:`
/// has no effect on an address or `localhost`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGrant {
    name: String,
    url: Url,
    access: Access,
    pub(super) target: Target,
    /// Whether the name may resolve to loopback and private addresses.
    pub(super) local: bool,
}

impl HttpGrant {
    /// Grants a server under a name: parts of letters, digits, `_` and `-`, joined by `.`. With
    /// [`Access::ReadOnly`], only the methods `GET`, `HEAD`, `OPTIONS`, `PROPFIND`, `REPORT` and
    /// `SEARCH` are allowed.
    ///
    /// # Errors
    /// Returns [`HttpGrantError`] for an invalid name or URL.
    pub fn new(name: &str, url: &str, access: Access) -> Result<Self, HttpGrantError> {
        let refuse = |problem| HttpGrantError { name: name.to_owned(), url: shown(url), problem };
        if !grants::is_name(name) {
            return Err(refuse(HttpGrantProblem::Name));
        }
        let (local, url) = match url.split_at_checked("local:".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("local:") => (true, rest),
            Some(_) | None => (false, url),
        };
        let scheme = url.split_once("://").and_then(|(scheme, _)| Scheme::named(scheme));
        let scheme = scheme.ok_or_else(|| refuse(HttpGrantProblem::Scheme))?;
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') || rest.contains(['?', '#', '\\']) {
            return Err(refuse(HttpGrantProblem::TooMuch));
        }
        if !path::is_plain(path) {
            return Err(refuse(HttpGrantProblem::Path));
        }
        // A `]` after the last colon: the colon is inside an IPv6 address.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            Some(_) | None => (authority, None),
        };
        let valid = |port: &str| {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            digits && port.parse::<u16>().is_ok_and(|port| port != 0)
        };
        if port.is_some_and(|port| !valid(port)) {
            return Err(refuse(HttpGrantProblem::Port));
        }
        let url = Url::parse(url).ok().filter(|_| !host.contains(['%', '*']));
        let mut url = url.ok_or_else(|| refuse(HttpGrantProblem::Host))?;
        let target = Target::of(scheme, &url).filter(|target| match &target.host {
            // `http://8080` must not be the address 0.0.31.144.
            Host::Ipv4(address) => address.to_string() == host,
            Host::Domain(_) | Host::Ipv6(_) => true,
        });
        let target = target.ok_or_else(|| refuse(HttpGrantProblem::Host))?;
        target.name_in(&mut url).ok_or_else(|| refuse(HttpGrantProblem::Host))?;
        let local = local && matches!(&target.host, Host::Domain(name) if name != "localhost");
        Ok(Self { name: name.to_owned(), url, access, target, local })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URL, without `local:`.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Returns the access.
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Returns the grant with read access only.
    #[must_use]
    pub fn read_only(&self) -> Self {
        self.with_access(Access::ReadOnly)
    }

    pub(crate) fn with_access(&self, access: Access) -> Self {
        Self { access, ..self.clone() }
    }

    /// Returns whether the other grant is for the same or a part of this one.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        self.covers(&other.target, other.url.path())
    }

    pub(super) fn path(&self) -> &str {
        self.url.path()
    }

    pub(super) fn covers(&self, target: &Target, path: &str) -> bool {
        self.target == *target && path::is_within(path, self.url.path())
    }

    /// Returns whether the connection is confidential: it is encrypted, or does not leave this
    /// machine.
    pub(crate) fn is_private(&self) -> bool {
        let is_loopback = |address| AddressKind::of(address) == Some(AddressKind::Loopback);
        self.target.scheme == Scheme::Https
            || match &self.target.host {
                Host::Domain(name) => name == "localhost",
                Host::Ipv4(address) => is_loopback(IpAddr::V4(*address)),
                Host::Ipv6(address) => is_loopback(IpAddr::V6(*address)),
            }
    }
}

/// Returns the URL for a message, without a user name and password.
fn shown(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}[secret]{}", &url[..scheme + "://".len()], &url[at..])
        }
        (_, _) => url.to_owned(),
    }
}

/// An invalid [`HttpGrant`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot grant the server `{name}` at `{url}`: {problem}")]
#[non_exhaustive]
pub struct HttpGrantError {
    /// The name given.
    pub name: String,
    /// The URL given, without a user name and password.
    pub url: String,
    /// The problem.
    pub problem: HttpGrantProblem,
}

/// The problem of an invalid [`HttpGrant`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpGrantProblem {
    /// The name is invalid.
    #[error("a name consists of letters, digits, `_` and `-`, in parts joined by `.`")]
    Name,
    /// The URL has another scheme, or none.
    #[error("the URL must begin with `https://` or `http://`")]
    Scheme,
    /// The URL has a user, a query or a fragment.
    #[error("only a scheme, a host, a port and a path are allowed")]
    TooMuch,
    /// The port is not a number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535; omit it and its `:` for the default port")]
    Port,
    /// The host is neither a name nor an address.
    #[error(
        "the host must be a name, an IPv4 address like `192.0.2.1`, or an IPv6 address in brackets \
         like `[2001:db8::1]`"
    )]
    Host,
    /// The path has empty segments, `.` or `..`.
    #[error("the path must not contain `//`, `.` or `..` segments, or `\\`, also not encoded")]
    Path,
}

impl HttpGrantError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self.problem {
            HttpGrantProblem::Name => "http-grant-name",
            HttpGrantProblem::Scheme => "http-grant-scheme",
            HttpGrantProblem::TooMuch => "http-grant-too-much",
            HttpGrantProblem::Port => "http-grant-port",
            HttpGrantProblem::Host => "http-grant-host",
            HttpGrantProblem::Path => "http-grant-path",
        }
    }
}

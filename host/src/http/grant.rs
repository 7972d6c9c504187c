use std::fmt;
use std::str::FromStr;

use url::Host;

use super::target::*;

/// Servers with which a plugin may communicate.
///
/// Parsed from, and formatted as, `[local:][SCHEME://]HOST[:PORT]`:
/// - SCHEME is `https` if absent; `http` must be written.
/// - PORT is the default port of the scheme if absent.
/// - HOST is a name, an IPv4 address in dotted decimal notation, an IPv6 address in brackets, or
///   `*.` and a name of at least two labels, which matches every name below that name at any depth,
///   but not the name itself. Public suffixes are not recognized: `*.co.uk` is accepted as written.
///
/// An address grants exactly that address, of any kind, and only to URLs that contain it;
/// `localhost` grants the loopback addresses. Any other name grants public addresses, and with the
/// prefix `local:` also loopback and private ones
/// ([`AddressKind::Loopback`](super::AddressKind::Loopback),
/// [`AddressKind::Private`](super::AddressKind::Private)); addresses of the other kinds can never
/// be reached by name. `local:` has no effect on an address or `localhost`, and is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGrant {
    pub(super) target: Target,
    /// Whether the grant covers the names below the host.
    below: bool,
    /// Whether the name may resolve to loopback and private addresses.
    pub(super) local: bool,
}

impl HttpGrant {
    pub(super) fn covers(&self, target: &Target) -> bool {
        let host = match (&self.target.host, &target.host) {
            (Host::Domain(base), Host::Domain(name)) if self.below => {
                name.strip_suffix(base.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (own, asked) => own == asked,
        };
        host && self.target.scheme == target.scheme && self.target.port == target.port
    }
}

impl FromStr for HttpGrant {
    type Err = HttpGrantError;

    fn from_str(text: &str) -> Result<Self, HttpGrantError> {
        let refused = || text.to_owned();
        let (local, rest) = match text.split_at_checked("local:".len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case("local:") => (true, rest),
            Some(_) | None => (false, text),
        };
        let (scheme, rest) = match rest.split_once("://") {
            Some((name, rest)) => (Scheme::named(name), rest),
            None => (Some(Scheme::Https), rest),
        };
        let scheme = scheme.ok_or_else(|| HttpGrantError::Scheme { text: refused() })?;
        if rest.contains(['/', '?', '#', '@', '\\']) {
            return Err(HttpGrantError::TooMuch { text: refused() });
        }
        // A `]` after the last colon: the colon is inside an IPv6 address.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let digits = port.bytes().all(|byte| byte.is_ascii_digit());
                let port = port.parse().ok().filter(|&port| digits && port != 0);
                (host, port.ok_or_else(|| HttpGrantError::Port { text: refused() })?)
            }
            Some(_) | None => (rest, scheme.port()),
        };
        let base = host.strip_prefix("*.");
        let (below, name) = (base.is_some(), base.unwrap_or(host));
        if name.contains('*') {
            return Err(HttpGrantError::Wildcard { text: refused() });
        }
        let host = Host::parse(name).ok().filter(|_| !name.contains('%'));
        let host = host.and_then(one_spelling).filter(|host| match host {
            // `local:8080` must not be the address 0.0.31.144.
            Host::Ipv4(address) => address.to_string() == name,
            Host::Domain(_) | Host::Ipv6(_) => true,
        });
        let host = host.ok_or_else(|| HttpGrantError::Host { text: refused() })?;
        if below && !matches!(&host, Host::Domain(base) if base.contains('.')) {
            return Err(HttpGrantError::Wildcard { text: refused() });
        }
        if below && local {
            return Err(HttpGrantError::LocalWildcard { text: refused() });
        }
        let local = local && matches!(&host, Host::Domain(name) if name != "localhost");
        Ok(Self { target: Target { scheme, host, port }, below, local })
    }
}

/// Formats with the scheme always, and with the port only if it is not the default.
impl fmt::Display for HttpGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.local { "local:" } else { "" })?;
        write_origin(f, &self.target, if self.below { "*." } else { "" })
    }
}

/// An error of parsing an [`HttpGrant`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpGrantError {
    /// The scheme is neither `https` nor `http`.
    #[error("cannot grant `{text}`: only `https://` and `http://` are allowed before the host")]
    Scheme {
        /// The text given.
        text: String,
    },
    /// The text has a user, a path, a query or a fragment.
    #[error("cannot grant `{text}`: only a scheme, a host and a port are allowed")]
    TooMuch {
        /// The text given.
        text: String,
    },
    /// The port is not a number from 1 to 65535.
    #[error(
        "cannot grant `{text}`: the port must be a number from 1 to 65535; omit it and its `:` \
         for the default port"
    )]
    Port {
        /// The text given.
        text: String,
    },
    /// A `*` would match too much, or is not a whole first label.
    #[error(
        "cannot grant `{text}`: `*` is only allowed at the beginning, before a dot and a name of \
         at least two labels, as in `*.example.com`"
    )]
    Wildcard {
        /// The text given.
        text: String,
    },
    /// Local addresses for names that the operator did not write out.
    #[error("cannot grant `{text}`: `local:` needs the whole name; grant each host by its name")]
    LocalWildcard {
        /// The text given.
        text: String,
    },
    /// The host is neither a name nor an address.
    #[error(
        "cannot grant `{text}`: the host must be a name, an IPv4 address like `192.0.2.1`, or an \
         IPv6 address in brackets like `[2001:db8::1]`"
    )]
    Host {
        /// The text given.
        text: String,
    },
}

impl HttpGrantError {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Scheme { .. } => "http-grant-scheme",
            Self::TooMuch { .. } => "http-grant-too-much",
            Self::Port { .. } => "http-grant-port",
            Self::Wildcard { .. } => "http-grant-wildcard",
            Self::LocalWildcard { .. } => "http-grant-local-wildcard",
            Self::Host { .. } => "http-grant-host",
        }
    }
}

use std::io;
use std::sync::Arc;

use super::address::AddressKind;

/// The denial of a plugin's request. Origins are `SCHEME://HOST[:PORT]`. Other parts of a URL may
/// be secret and are never shown, nor are resolved addresses.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpDenial {
    /// The URL is invalid.
    #[error("the URL is invalid ({reason}); correct it")]
    Url {
        /// The error in the URL.
        reason: url::ParseError,
    },
    /// The scheme is neither `https` nor `http`.
    #[error("cannot fetch `{scheme}:` URLs; use `https:`, or `http:` where granted")]
    Scheme {
        /// The URL's scheme.
        scheme: String,
    },
    /// The host is not a DNS name, or the port is 0.
    #[error("{origin} is not a valid origin; correct the host name or the port")]
    NoServer {
        /// The URL's origin.
        origin: String,
    },
    /// The URL contains a user name or a password.
    #[error("a URL of {origin} contains a user name or password; send them in a header instead")]
    UserInfo {
        /// The URL's origin.
        origin: String,
    },
    /// A path that servers may understand in different ways.
    #[error(
        "a path of {origin} contains `//`, `.` or `..` segments, or `\\`; request the path that it \
         resolves to"
    )]
    Path {
        /// The URL's origin.
        origin: String,
    },
    /// No grant covers the URL.
    #[error("{origin} is not granted{}; the operator can grant it with `--http NAME={origin}/`", for_path(*.elsewhere))]
    NotGranted {
        /// The URL's origin.
        origin: String,
        /// Whether other paths of the origin are granted.
        elsewhere: bool,
    },
    /// A method that no grant allows.
    #[error("the method {method} is never allowed; use another one")]
    Method {
        /// The method.
        method: String,
        /// The URL's origin.
        origin: String,
    },
    /// A method that may change something, with read access only.
    #[error("{origin} is granted for reading only; {method} needs write access")]
    ReadOnly {
        /// The method.
        method: String,
        /// The URL's origin.
        origin: String,
    },
    /// The name could not be resolved.
    #[error("cannot resolve {origin}")]
    Resolve {
        /// The URL's origin.
        origin: String,
        /// The error of the resolver.
        source: Arc<io::Error>,
    },
    /// The name has no address.
    #[error("{origin} has no address; check the name")]
    NoAddress {
        /// The URL's origin.
        origin: String,
    },
    /// The name has only addresses that its grant does not allow.
    #[error("{origin} is at {kind}, which {}", remedy(*.kind, .origin))]
    Address {
        /// The URL's origin.
        origin: String,
        /// The kind of one of the addresses, preferably one that `local:` would allow.
        kind: AddressKind,
    },
    /// An address resolved to another one, or `localhost` to a non-loopback address.
    #[error("{origin} resolved to a different address; check the resolver")]
    Astray {
        /// The URL's origin.
        origin: String,
    },
}

impl HttpDenial {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "http-url",
            Self::Scheme { .. } => "http-scheme",
            Self::NoServer { .. } => "http-no-server",
            Self::UserInfo { .. } => "http-user-info",
            Self::Path { .. } => "http-path",
            Self::NotGranted { .. } => "http-not-granted",
            Self::Method { .. } => "http-method",
            Self::ReadOnly { .. } => "http-read-only",
            Self::Resolve { .. } => "http-resolve",
            Self::NoAddress { .. } => "http-no-address",
            Self::Address { .. } => "http-address",
            Self::Astray { .. } => "http-astray",
        }
    }

    /// Returns the origin; `None` for a URL without one.
    pub fn origin(&self) -> Option<&str> {
        match self {
            Self::Url { .. } | Self::Scheme { .. } => None,
            Self::NoServer { origin }
            | Self::UserInfo { origin }
            | Self::Path { origin }
            | Self::NotGranted { origin, .. }
            | Self::Method { origin, .. }
            | Self::ReadOnly { origin, .. }
            | Self::Resolve { origin, .. }
            | Self::NoAddress { origin }
            | Self::Address { origin, .. }
            | Self::Astray { origin } => Some(origin),
        }
    }
}

const fn for_path(elsewhere: bool) -> &'static str {
    match elsewhere {
        true => " for this path",
        false => "",
    }
}

pub(super) fn remedy(kind: AddressKind, origin: &str) -> String {
    match kind.is_local() {
        true => format!(
            "needs a local grant; the operator can grant it with `--http NAME=local:{origin}/`"
        ),
        false => "no name opens; grant the address itself, and use it in the URL".to_owned(),
    }
}

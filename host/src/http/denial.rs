use std::io;

use super::HOPS;
use super::address::AddressKind;

/// The denial of a plugin's request. Origins are `SCHEME://HOST[:PORT]`. Other parts of a URL may
/// be secret and are never shown, nor are resolved addresses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpDenial {
    /// The scheme is neither `https` nor `http`.
    #[error("{plugin}: cannot fetch `{scheme}:` URLs; use `https:`, or `http:` where granted")]
    Scheme {
        /// The plugin's name.
        plugin: String,
        /// The URL's scheme.
        scheme: String,
    },
    /// The host is not a DNS name, or the port is 0.
    #[error("{plugin}: {origin} is not a valid origin; correct the host name or the port")]
    NoServer {
        /// The plugin's name.
        plugin: String,
        /// The URL's origin.
        origin: String,
    },
    /// The URL contains a user name or a password.
    #[error(
        "{plugin}: a URL of {origin} contains a user name or password; send them in a header instead"
    )]
    UserInfo {
        /// The plugin's name.
        plugin: String,
        /// The URL's origin.
        origin: String,
    },
    /// No grant covers the origin.
    #[error("{plugin}: {origin} is not granted; the operator must grant it")]
    NotGranted {
        /// The plugin's name.
        plugin: String,
        /// The URL's origin.
        origin: String,
    },
    /// The name could not be resolved.
    #[error("{plugin}: cannot resolve {origin}")]
    Resolve {
        /// The plugin's name.
        plugin: String,
        /// The URL's origin.
        origin: String,
        /// The error of the resolver.
        source: io::Error,
    },
    /// The name has no address.
    #[error("{plugin}: {origin} has no address; check the name")]
    NoAddress {
        /// The plugin's name.
        plugin: String,
        /// The URL's origin.
        origin: String,
    },
    /// The name has only addresses that its grant does not allow.
    #[error("{plugin}: {origin} is at {kind}, which {}", remedy(*.kind, .origin))]
    Address {
        /// The plugin's name.
        plugin: String,
        /// The URL's origin.
        origin: String,
        /// The kind of one of the addresses, preferably one that `local:` would allow.
        kind: AddressKind,
    },
    /// An address resolved to another one, or `localhost` to a non-loopback address.
    #[error("{plugin}: {origin} resolved to a different address; check the resolver")]
    Astray {
        /// The plugin's name.
        plugin: String,
        /// The URL's origin.
        origin: String,
    },
    /// A redirect to an invalid URL.
    #[error("{plugin}: {origin} redirects to an invalid URL ({reason}); fix that server")]
    Location {
        /// The plugin's name.
        plugin: String,
        /// The origin that redirects.
        origin: String,
        /// The error in the URL.
        reason: url::ParseError,
    },
    /// A redirect from `https` to `http`, which no grant allows.
    #[error("{plugin}: {origin} redirects to {to}, which is not encrypted; ask for that directly")]
    Downgrade {
        /// The plugin's name.
        plugin: String,
        /// The origin that redirects.
        origin: String,
        /// The target origin.
        to: String,
    },
    /// The request exceeded the maximum number of redirects.
    #[error("{plugin}: {origin} exceeded {HOPS} redirects; fix that server")]
    Hops {
        /// The plugin's name.
        plugin: String,
        /// The origin that redirects.
        origin: String,
    },
}

impl HttpDenial {
    /// Returns a stable code for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Scheme { .. } => "http-scheme",
            Self::NoServer { .. } => "http-no-server",
            Self::UserInfo { .. } => "http-user-info",
            Self::NotGranted { .. } => "http-not-granted",
            Self::Resolve { .. } => "http-resolve",
            Self::NoAddress { .. } => "http-no-address",
            Self::Address { .. } => "http-address",
            Self::Astray { .. } => "http-astray",
            Self::Location { .. } => "http-location",
            Self::Downgrade { .. } => "http-downgrade",
            Self::Hops { .. } => "http-hops",
        }
    }
}

pub(super) fn remedy(kind: AddressKind, origin: &str) -> String {
    match kind.is_local() {
        true => format!("needs a local grant; the operator must grant `local:{origin}`"),
        false => "no name opens; grant the address itself, and use it in the URL".to_owned(),
    }
}

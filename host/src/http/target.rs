//! A server as an address to connect to: scheme, host and port.

use std::fmt;

use url::{Host, Url};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A scheme, a host in its canonical form, and a port that is not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    pub(super) host: Host<String>,
    pub(super) port: u16,
}

impl Target {
    pub(super) fn of(scheme: Scheme, url: &Url) -> Option<Self> {
        let host = one_spelling(url.host()?.to_owned())?;
        let port = url.port().unwrap_or(scheme.port());
        (port != 0).then_some(Self { scheme, host, port })
    }

    /// Spells the host of a URL canonically: without a trailing dot.
    pub(super) fn name_in(&self, url: &mut Url) -> Option<()> {
        let host = self.host.to_string();
        if url.host_str() == Some(host.as_str()) {
            return Some(());
        }
        url.set_host(Some(&host)).ok()
    }
}

/// Omits the default port of the scheme.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_origin(f, self, "")
    }
}

pub(super) fn write_origin(
    f: &mut fmt::Formatter<'_>,
    target: &Target,
    wildcard: &str,
) -> fmt::Result {
    write!(f, "{}://{wildcard}{}", target.scheme.name(), target.host)?;
    if target.port != target.scheme.port() {
        write!(f, ":{}", target.port)?;
    }
    Ok(())
}

/// Removes the trailing dot. Returns `None` if the name is not a DNS name. `url` has already
/// handled case and international names.
pub(super) fn one_spelling(host: Host<String>) -> Option<Host<String>> {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let good = name.len() <= 253 && name.split('.').all(is_label);
            good.then(|| Host::Domain(name.to_owned()))
        }
        Host::Ipv4(_) | Host::Ipv6(_) => Some(host),
    }
}

pub(super) fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

//! References to plugins in registries: `oci://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST]`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::credentials::is_docker_hub;
use super::digest::Digest;
use super::error::OciError;

/// The scheme of a reference.
pub(crate) const SCHEME: &str = "oci://";

/// The tag of a reference without one.
const DEFAULT_TAG: &str = "latest";

/// A reference to a plugin in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    repository: String,
    version: Selector,
}

/// The part of a reference that selects one content of its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A name, which the registry may move to other contents.
    Tag(String),
    /// A digest, which identifies one content.
    Digest(Digest),
}

impl Reference {
    /// Returns the host of the registry, with its port.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag or the digest.
    pub const fn selector(&self) -> &Selector {
        &self.version
    }

    /// Returns the last part of the repository.
    pub fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// Returns the reference with another tag.
    ///
    /// # Errors
    /// [`OciError::Reference`] if the tag is invalid.
    pub fn with_tag(&self, tag: &str) -> Result<Self, OciError> {
        match is_tag(tag) {
            true => Ok(Self { version: Selector::Tag(tag.to_owned()), ..self.clone() }),
            false => Err(invalid(&format!("{self}"), "the tag is invalid")),
        }
    }

    /// Returns whether the registry is on this machine, by its name or address.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(host_of(&self.registry))
    }

    /// Returns whether a text is meant as a reference.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.registry, self.repository)?;
        match &self.version {
            Selector::Tag(tag) => write!(f, ":{tag}"),
            Selector::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

impl Selector {
    /// Returns the tag, or the digest with its prefix.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag,
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

impl FromStr for Reference {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        let invalid = |why| invalid(text, why);
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| invalid("it is not an `oci://` URL"))?;
        let (registry, rest) =
            rest.split_once('/').ok_or_else(|| invalid("there is no repository"))?;
        let registry = canonical(registry)
            .ok_or_else(|| invalid("the registry is not a host with an optional port"))?;
        let (repository, version) = match (rest.split_once('@'), rest.split_once(':')) {
            (Some((repository, digest)), _) => {
                let digest = digest.parse()?;
                // The tag of `repository:tag@digest` has no meaning: the digest decides.
                let repository = repository.split_once(':').map_or(repository, |(name, _)| name);
                (repository, Selector::Digest(digest))
            }
            (None, Some((repository, tag))) if is_tag(tag) => {
                (repository, Selector::Tag(tag.to_owned()))
            }
            (None, Some(_)) => {
                return Err(invalid(
                    "the tag is not 1 to 128 letters, digits, `_`, `.` and `-`, the first of which \
                     is a letter, a digit or `_`",
                ));
            }
            (None, None) => (rest, Selector::Tag(DEFAULT_TAG.to_owned())),
        };
        if !is_repository(repository) {
            return Err(invalid(
                "the repository is not names of lower-case letters and digits, separated by `/`, \
                 `.`, `_` or `-`",
            ));
        }
        Ok(Self { registry, repository: repository.to_owned(), version })
    }
}

fn invalid(text: &str, why: &'static str) -> OciError {
    OciError::Reference { reference: text.to_owned(), why }
}

/// Returns a host without its port.
fn host_of(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        // A `]` after the last colon: the colon is inside an IPv6 address.
        Some((host, port)) if !port.contains(']') => host,
        Some(_) | None => registry,
    }
}

/// Returns whether a host is this machine, by its name or address.
pub(crate) fn is_loopback(host: &str) -> bool {
    // The root of all names may be written.
    let host = host.strip_suffix('.').unwrap_or(host);
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || v6.is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()))
}

/// Returns the one spelling of a registry, by which its policy and its login are found; `None`: it
/// is not a host with an optional port.
fn canonical(registry: &str) -> Option<String> {
    if !is_registry(registry) {
        return None;
    }
    let host = host_of(registry);
    let port = registry.strip_prefix(host)?;
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host = match v6 {
        Some(v6) => format!("[{}]", v6.parse::<Ipv6Addr>().ok()?),
        None => host.to_ascii_lowercase(),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse::<u16>().ok()?),
        None => None,
    };
    // The port of `https`; without TLS, another one is the default.
    let port = port.filter(|port| *port != 443 || is_loopback(&host));
    match port {
        None if is_docker_hub(&host) => Some("docker.io".to_owned()),
        None => Some(host),
        Some(port) => Some(format!("{host}:{port}")),
    }
}

/// Returns the one spelling of a registry, or of the beginning of the repositories in one.
pub(super) fn canonical_place(place: &str) -> Option<String> {
    let (registry, path) = match place.trim_end_matches('/').split_once('/') {
        Some((registry, path)) => (registry, Some(path)),
        None => (place.trim_end_matches('/'), None),
    };
    let registry = canonical(registry)?;
    match path {
        Some(path) => is_repository(path).then(|| format!("{registry}/{path}")),
        None => Some(registry),
    }
}

/// Returns whether a text is a host with an optional port. A single word is none: in other programs,
/// it would be a user of a default registry.
fn is_registry(text: &str) -> bool {
    let host = host_of(text);
    let port = text.strip_prefix(host).unwrap_or_default();
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    let port = port.strip_prefix(':').map_or(port.is_empty(), is_port);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let good = match v6 {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => host.len() <= 253 && host.split('.').all(is_label),
    };
    good && port && (text.contains(['.', ':']) || text == "localhost")
}

fn is_repository(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_component = |component: &str| {
        let ends = |byte: Option<u8>| byte.is_some_and(alphanumeric);
        let parts = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        // One `.`, up to two `_` or any number of `-` between letters and digits.
        let separators = |part: &str| {
            matches!(part, "" | "." | "_" | "__") || part.bytes().all(|byte| byte == b'-')
        };
        ends(component.bytes().next())
            && ends(component.bytes().last())
            && parts.into_iter().all(separators)
    };
    text.len() <= 255 && text.split('/').all(is_component)
}

pub(crate) fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn references_are_parsed() {
        let pinned = format!("oci://ghcr.io/a/b@{DIGEST}");
        let both = format!("oci://ghcr.io/a/b:1.0@{DIGEST}");
        for (text, expected) in [
            ("oci://ghcr.io/a/b", Some(("ghcr.io", "a/b", "latest"))),
            ("oci://ghcr.io/a/b:0.1.0", Some(("ghcr.io", "a/b", "0.1.0"))),
            ("oci://localhost:5000/b:x_y-z", Some(("localhost:5000", "b", "x_y-z"))),
            ("oci://127.0.0.1:5000/b", Some(("127.0.0.1:5000", "b", "latest"))),
            ("oci://[::1]:5000/b:1", Some(("[::1]:5000", "b", "1"))),
            ("oci://localhost/b", Some(("localhost", "b", "latest"))),
            // A registry has one spelling.
            ("oci://GHCR.IO/a/b", Some(("ghcr.io", "a/b", "latest"))),
            ("oci://ghcr.io:443/a/b", Some(("ghcr.io", "a/b", "latest"))),
            ("oci://ghcr.io:0443/a/b", Some(("ghcr.io", "a/b", "latest"))),
            ("oci://localhost:443/b", Some(("localhost:443", "b", "latest"))),
            ("oci://[0:0:0:0:0:0:0:1]:5000/b", Some(("[::1]:5000", "b", "latest"))),
            ("oci://Index.docker.io/a/b", Some(("docker.io", "a/b", "latest"))),
            ("oci://registry-1.docker.io:443/a/b", Some(("docker.io", "a/b", "latest"))),
            ("oci://ghcr.io./a/b", None),
            (pinned.as_str(), Some(("ghcr.io", "a/b", DIGEST))),
            (both.as_str(), Some(("ghcr.io", "a/b", DIGEST))),
            ("oci://r.example/a.b_c__d--e/f", Some(("r.example", "a.b_c__d--e/f", "latest"))),
            ("ghcr.io/a/b", None),
            ("OCI://ghcr.io/a/b", None),
            ("oci://ghcr.io", None),
            ("oci://ghcr.io/", None),
            ("oci://user/repo", None),
            ("oci://me:secret@ghcr.io/a", None),
            ("oci://ghcr.io:0/a", None),
            ("oci://ghcr.io:99999/a", None),
            ("oci://ghcr.io:/a", None),
            ("oci://-a.example/a", None),
            ("oci://a..example/a", None),
            ("oci://ghcr.io/A/b", None),
            ("oci://ghcr.io/a//b", None),
            ("oci://ghcr.io/../b", None),
            ("oci://ghcr.io/a/b?x=1", None),
            ("oci://ghcr.io/a/b#x", None),
            ("oci://ghcr.io/a%2fb", None),
            ("oci://ghcr.io/a___b", None),
            ("oci://ghcr.io/a..b", None),
            ("oci://ghcr.io/-a", None),
            ("oci://ghcr.io/a:", None),
            ("oci://ghcr.io/a:.x", None),
            ("oci://ghcr.io/a:x/y", None),
            ("oci://ghcr.io/a@sha256:12", None),
            ("oci://ghcr.io/a\n:x", None),
        ] {
            let parsed = text.parse::<Reference>().ok();
            let found = parsed.as_ref().map(|reference| {
                (reference.registry(), reference.repository(), reference.selector().as_str())
            });
            assert_eq!(found, expected, "{text}");
        }
        assert!(format!("oci://ghcr.io/{}", "a/".repeat(200)).parse::<Reference>().is_err());
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (registry, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("127.0.0.1.example", false),
            ("10.0.0.1:5000", false),
            ("[::2]", false),
        ] {
            let reference: Reference = format!("oci://{registry}/a").parse().unwrap();
            assert_eq!(reference.is_loopback(), expected, "{registry}");
        }
    }

    #[test]
    fn a_host_is_loopback_with_its_final_dot() {
        for (host, expected) in [
            ("localhost.", true),
            ("LOCALHOST", true),
            ("127.0.0.1.", true),
            ("a.localhost", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    proptest! {
        #[test]
        fn a_parsed_reference_is_displayed_as_it_was(text in "oci://[a-z.:0-9/@-]{1,60}") {
            if let Ok(reference) = text.parse::<Reference>() {
                let shown = reference.to_string();
                prop_assert_eq!(shown.parse::<Reference>().unwrap(), reference);
            }
        }
    }
}

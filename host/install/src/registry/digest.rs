//! SHA-256 digests, by which a registry names contents.

use std::fmt;
use std::str::FromStr;

use ring::digest::{Context, SHA256};

/// A text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `sha256:` with 64 lower-case hexadecimal digits")]
pub struct InvalidDigest(
    /// The text.
    pub String,
);

/// A SHA-256 digest, written `sha256:` with 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    const PREFIX: &str = "sha256:";

    /// Returns the digest of a content.
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(content);
        hasher.finish()
    }

    /// Returns the digest with its prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the tag under which signatures are found in a registry without the referrers API.
    pub(crate) fn fallback_tag(&self) -> String {
        self.0.replacen(':', "-", 1)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digits = text.strip_prefix(Self::PREFIX);
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(is_digit)) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidDigest(text.to_owned())),
        }
    }
}

/// Computes a digest in parts.
pub(crate) struct Hasher(Context);

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    pub(crate) fn finish(self) -> Digest {
        use fmt::Write as _;
        let mut text = Digest::PREFIX.to_owned();
        for byte in self.0.finish().as_ref() {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Digest(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn digests_are_parsed_in_one_form_only() {
        for (text, good) in [
            (EMPTY, true),
            (&EMPTY.to_uppercase(), false),
            (&EMPTY.replace("e3b0", "E3B0"), false),
            (&EMPTY[..70], false),
            (&format!("{EMPTY}0"), false),
            (&EMPTY["sha256:".len()..], false),
            (&EMPTY.replace("sha256", "sha512"), false),
            ("sha256:../../../../../../../../../../../../../../../../../../../etc/pass", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Digest>().is_ok(), good, "{text}");
        }
        assert_eq!(Digest::of(b"").as_str(), EMPTY);
        assert!(Digest::of(b"").fallback_tag().starts_with("sha256-e3b0"));
    }
}

//! Signatures of plugins, as `minisign` makes them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::{PublicKey, Signature};

use super::error::OciError;

/// The most bytes of a signature file.
pub const MAX_SIGNATURE_BYTES: u64 = 16 << 10;

/// A signature that was not verified.
#[derive(Clone)]
pub struct PluginSignature {
    signature: Signature,
    key: String,
}

impl std::fmt::Debug for PluginSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginSignature").field("key", &self.key).finish_non_exhaustive()
    }
}

impl PluginSignature {
    /// Parses the content of a signature file, if it is one.
    pub fn parse(content: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content).ok()?;
        if text.len() as u64 > MAX_SIGNATURE_BYTES {
            return None;
        }
        let signature = Signature::decode(text).ok()?;
        Some(Self { signature, key: key_id(text.lines().nth(1)?)? })
    }

    /// Returns the id of the key that the signature names. Anyone can write one.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A key that verifies signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The name of its owner, given by the user.
    pub name: String,
    /// Its id, 16 hexadecimal digits.
    pub id: String,
    key: PublicKey,
}

impl TrustedKey {
    /// Parses a public key: the content of a file of `minisign`, or its second line only.
    pub fn parse(name: &str, text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let last = match (lines.next(), lines.next(), lines.next()) {
            (Some(only), None, None) => only,
            (Some(comment), Some(key), None) if comment.starts_with("untrusted comment:") => key,
            (_, _, _) => return None,
        };
        let key = PublicKey::from_base64(last.trim()).ok()?;
        Some(Self { name: name.to_owned(), id: key_id(last.trim())?, key })
    }
}

/// Returns the id of the key in the Base64 of a key or a signature, as `minisign` shows it.
fn key_id(base64: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    let id = u64::from_le_bytes(bytes.get(2..10)?.try_into().ok()?);
    Some(format!("{id:016X}"))
}

/// Verifies the signatures of a component. Returns the first trusted key that has signed it.
///
/// # Errors
/// Returns [`OciError::Signature`] if no signature is valid, and one of a trusted key is invalid.
pub fn verify<'a>(
    what: &str,
    component: &[u8],
    signatures: &[PluginSignature],
    keys: &'a [TrustedKey],
) -> Result<Option<&'a TrustedKey>, OciError> {
    let mut failure = None;
    for signature in signatures {
        // Ids are not unique: anyone can make a key with a given one.
        for key in keys.iter().filter(|key| key.id == signature.key) {
            match key.key.verify(component, &signature.signature, true) {
                Ok(()) => return Ok(Some(key)),
                Err(error) => {
                    failure.get_or_insert_with(|| OciError::Signature {
                        what: what.to_owned(),
                        key: key.id.clone(),
                        why: reason(&error).to_owned(),
                    });
                }
            }
        }
    }
    failure.map_or(Ok(None), Err)
}

const fn reason(error: &minisign_verify::Error) -> &'static str {
    use minisign_verify::Error;
    match error {
        Error::InvalidSignature => "it is for another content, or made with another key",
        Error::InvalidEncoding
        | Error::IoError(_)
        | Error::UnexpectedAlgorithm
        | Error::UnexpectedKeyId
        | Error::UnsupportedAlgorithm
        | Error::UnsupportedLegacyMode => "it cannot be read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of minisign's documentation: signatures of `test`.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrC\
        o8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";
    const OTHER: &str = "RWQf6LRCGA9i5yL/0C4YQUpTdAfBKnrV9iTHwDnjT4lQXTqGtlWeVhKr";

    fn signature(text: &str) -> Vec<PluginSignature> {
        PluginSignature::parse(text.as_bytes()).into_iter().collect()
    }

    #[test]
    fn only_a_trusted_key_verifies_a_signature() {
        let key = TrustedKey::parse("Alice", KEY).unwrap();
        assert_eq!(key.id, "E7620F1842B4E81F");
        let found = verify("x", b"test", &signature(SIGNATURE), std::slice::from_ref(&key));
        assert_eq!(found.unwrap(), Some(&key));
        assert_eq!(verify("x", b"test", &signature(SIGNATURE), &[]).unwrap(), None);
        assert_eq!(verify("x", b"test", &[], std::slice::from_ref(&key)).unwrap(), None);
        let comment = SIGNATURE.replace("timestamp:1633700835", "timestamp:1633700836");
        let keys = [key];
        for (content, text) in [(&b"tesT"[..], SIGNATURE), (b"", SIGNATURE), (b"test", &*comment)] {
            let error = verify("x", content, &signature(text), &keys).unwrap_err();
            assert_eq!(error.code(), "signature-invalid");
        }
        // A key with the same id.
        let other = TrustedKey::parse("Mallory", OTHER).unwrap();
        assert_eq!(other.id, keys[0].id);
        assert!(verify("x", b"test", &signature(SIGNATURE), std::slice::from_ref(&other)).is_err());
        let both = [other, keys[0].clone()];
        let found = verify("x", b"test", &signature(SIGNATURE), &both).unwrap();
        assert_eq!(found.map(|key| key.name.as_str()), Some("Alice"));
    }

    #[test]
    fn keys_and_signatures_are_parsed() {
        let file = format!("untrusted comment: minisign public key E7620F1842B4E81F\n{KEY}\n");
        for (text, good) in [
            (KEY, true),
            (file.as_str(), true),
            ("", false),
            ("RWQ", false),
            (&format!("{KEY}\n{KEY}"), false),
            (&format!("{file}{KEY}"), false),
            (&KEY.replace('R', "S"), false),
        ] {
            assert_eq!(TrustedKey::parse("x", text).is_some(), good, "{text}");
        }
        for text in ["", "x", "a\nb\nc\nd", &SIGNATURE[..100], &"x".repeat(20_000)] {
            assert!(signature(text).is_empty(), "{text}");
        }
    }
}

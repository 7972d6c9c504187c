//! Entry points for `tests/fuzz`. This is not an API.

use super::challenge::Challenge;
use super::digest::Digest;
use super::manifest::{Index, Manifest};

/// Parses the manifest of a plugin. Returns the digest and the size of its component, or the
/// problem.
///
/// # Errors
/// The problem.
pub fn component(json: &[u8]) -> Result<(Digest, u64), String> {
    Manifest::component(json).map(|(layer, digest)| (digest, layer.size))
}

/// Parses the manifest of a signature for a content. Returns the problem, if there is one.
pub fn signature(json: &[u8], subject: &Digest) -> Option<String> {
    Manifest::signature_layer(json, subject).err()
}

/// Returns the number of signatures in a list.
pub fn listed(json: &[u8]) -> Option<usize> {
    Some(Index::parse(json)?.signatures().count())
}

/// Parses a challenge. Returns the URL and the name in it.
pub fn challenge(header: &str) -> Option<(String, Option<String>)> {
    match Challenge::parse(header)? {
        Challenge::Basic => None,
        Challenge::Bearer { realm, service } => Some((realm, service)),
    }
}

//! Keys, which name a thing of the server in a form or in a path.

/// The number of digits of a key.
const DIGITS: usize = 32;

/// Returns the key of what these parts identify.
pub(super) fn key<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part).update(&[0]);
    }
    hasher.finalize().to_hex()[..DIGITS].to_owned()
}

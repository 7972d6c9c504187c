//! Tokens.

use uuid::Uuid;

/// A random token of 64 hexadecimal digits.
pub(super) struct Secret(String);

impl Secret {
    /// Creates a token from the random numbers of the system. An id of version 4 has 122 random
    /// bits.
    pub(super) fn new() -> Self {
        Self(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Returns whether a text is the token. The time that it takes says nothing about the token:
    /// digests are compared, in constant time.
    pub(super) fn is(&self, given: &str) -> bool {
        blake3::hash(self.0.as_bytes()) == blake3::hash(given.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_random_and_equals_only_itself() {
        let (one, other) = (Secret::new(), Secret::new());
        assert_eq!(one.text().len(), 64);
        assert!(one.is(one.text()));
        for wrong in ["", other.text(), &one.text()[..63], &format!("{}0", one.text())] {
            assert!(!one.is(wrong), "{wrong}");
        }
    }
}

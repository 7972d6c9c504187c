//! Values that must not be seen outside of the plugin.

use std::sync::Arc;

/// What stands where a secret was.
const MASK: &str = "[secret]";

/// The secrets of a session. Every text of the plugin passes through here on its way out.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<[String]>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Empty values hide nothing and are left out.
    pub(crate) fn new(values: impl Iterator<Item = String>) -> Self {
        let mut values: Vec<_> = values.filter(|value| !value.is_empty()).collect();
        // One may be a part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values.into())
    }

    /// The text with every secret in it masked.
    pub(crate) fn hide(&self, mut text: String) -> String {
        for secret in self.0.iter() {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        text
    }

    /// The longest one, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.0.first().map_or(0, String::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_are() {
        let secrets = ["", "hunter2", "hunter2-and-more"];
        let secrets = Secrets::new(secrets.into_iter().map(str::to_owned));
        for (text, expected) in [
            ("nothing", "nothing"),
            ("a hunter2, a hunter2", "a [secret], a [secret]"),
            ("hunter2-and-more", "[secret]"),
            ("hunter", "hunter"),
        ] {
            assert_eq!(secrets.hide(text.to_owned()), expected);
        }
        assert_eq!(format!("{secrets:?}"), "Secrets(2)");
    }
}

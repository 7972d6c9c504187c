//! Values that must not be seen outside of the plugin.

use std::sync::Arc;

/// A shorter line of a secret is like many other lines.
const LINE_BYTES: usize = 8;

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
    /// Each value is hidden as it is, without blanks around it, line by line, and as Rust and
    /// others quote it. Empty values hide nothing.
    pub(crate) fn new(values: impl Iterator<Item = String>) -> Self {
        let spellings = |value: String| {
            let trimmed = value.trim().to_owned();
            let quoted = value.escape_debug().to_string();
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= LINE_BYTES);
            let lines: Vec<_> = lines.map(str::to_owned).collect();
            [value, trimmed, quoted].into_iter().chain(lines)
        };
        let mut values: Vec<_> = values.flat_map(spellings).filter(|one| !one.is_empty()).collect();
        // One may be a part of another.
        values.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        values.dedup();
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

    #[test]
    fn a_secret_of_several_lines_is_masked_in_each_spelling() {
        let key = " BEGIN KEY\nabcdefgh\nx\n".to_owned();
        let secrets = Secrets::new(std::iter::once(key.clone()));
        for text in [key.clone(), key.trim().to_owned(), format!("{key:?}"), "abcdefgh".to_owned()]
        {
            let hidden = secrets.hide(text);
            assert!(!hidden.contains("abcdefgh"), "{hidden}");
        }
    }
}

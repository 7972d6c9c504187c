//! Plugin names.

/// The maximum length of a native handler's name, which the templates set to the plugin's name.
pub(crate) const MAX_LENGTH: usize = 31;

/// Returns whether a plugin name is valid.
pub(crate) fn is_valid(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= MAX_LENGTH
        && name.chars().all(plain)
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_short() {
        for (name, good) in [
            ("mirror", true),
            ("my-copy-2", true),
            ("abcdefghijklmnopqrstuvwxyz-0123", true),
            ("abcdefghijklmnopqrstuvwxyz-01234", false),
            ("", false),
            ("-a", false),
            ("a-", false),
            ("2a", false),
            ("A", false),
            ("a/b", false),
            ("..", false),
            ("a b", false),
        ] {
            assert_eq!(is_valid(name), good, "{name:?}");
        }
    }
}

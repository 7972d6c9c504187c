//! Validates the names that a plugin passes for entries.

use super::answer::refuse;
use crate::bindings::{directories as wit, types};
use crate::fs::attributes::Attributes;
use crate::fs::system;
use crate::types::ErrorCode;

/// The maximum length of a name in bytes. No relevant file system supports longer names.
const NAME_BYTES: usize = 255;

/// Returns whether a name denotes a single entry.
pub(crate) fn is_entry_name(name: &str) -> bool {
    let meaningful = name.contains(['/', '\0']) || system::has_special_meaning(name);
    !(name.is_empty() || name == "." || name == ".." || name.len() > NAME_BYTES || meaningful)
}

/// Checks that a name denotes a single entry.
pub(super) fn checked_name(name: &str) -> Result<&str, types::Error> {
    match is_entry_name(name) {
        true => Ok(name),
        false => refuse(
            ErrorCode::InvalidArgument,
            format!("{name:?} is not the name of a single entry"),
        ),
    }
}

/// Checks the names in the attributes of a copy.
pub(super) fn checked_attributes(
    attributes: wit::CopyAttributes,
    stored: bool,
) -> Result<Attributes, types::Error> {
    if let Some(replaces) = &attributes.replaces {
        checked_name(replaces)?;
    }
    Ok(Attributes {
        mode: attributes.mode.map(|mode| mode & 0o777),
        replaces: attributes.replaces,
        owner: attributes.owner && !stored,
        // Extended attributes would bypass the quota.
        extended: !stored,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_special_meaning_are_refused() {
        let long = "x".repeat(256);
        for name in ["", ".", "..", "a/b", "/", "a\0b", &long] {
            assert!(checked_name(name).is_err(), "{name:?}");
        }
        for name in ["a", "...", ".hidden", "with space", "ünïcode", "-rf", &long[1..]] {
            assert!(checked_name(name).is_ok(), "{name:?}");
        }
    }
}

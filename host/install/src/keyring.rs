//! Secrets in the keyring of the user: the Secret Service of a Linux desktop, the keychain of macOS
//! or the Credential Manager of Windows. An entry has the service `syncmgr` and the name of the
//! secret.

mod error;
#[cfg(not(feature = "keyring"))]
#[path = "keyring/absent.rs"]
mod system;
#[cfg(all(feature = "keyring", any(windows, target_os = "macos")))]
#[path = "keyring/native.rs"]
mod system;
#[cfg(all(feature = "keyring", not(any(windows, target_os = "macos"))))]
#[path = "keyring/secret_service.rs"]
mod system;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::error::KeyringError;
use crate::text_file::MAX_BYTES;

/// The size of the largest secret, in bytes.
pub const MAX_SECRET_BYTES: u64 = MAX_BYTES;

/// The service of every entry.
#[cfg_attr(not(feature = "keyring"), expect(dead_code, reason = "there is no keyring"))]
const SERVICE: &str = "syncmgr";

/// The largest number of secrets that are listed.
const MAX_LISTED: usize = 1000;

/// The name of a secret in the keyring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(String);

impl SecretName {
    /// The length of the longest name, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = KeyringError;

    fn from_str(name: &str) -> Result<Self, KeyringError> {
        let fits = (1..=Self::MAX_BYTES).contains(&name.len());
        match fits && !name.chars().any(char::is_control) {
            true => Ok(Self(name.to_owned())),
            false => Err(KeyringError::Name { bytes: name.len() }),
        }
    }
}

impl TryFrom<String> for SecretName {
    type Error = KeyringError;

    fn try_from(name: String) -> Result<Self, KeyringError> {
        name.parse()
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns whether this build has a keyring.
pub const fn is_keyring_supported() -> bool {
    cfg!(feature = "keyring")
}

/// Returns a secret.
///
/// # Errors
/// [`KeyringError::Missing`], and the errors of the keyring.
pub fn read_secret(name: &SecretName) -> Result<String, KeyringError> {
    let missing = || KeyringError::Missing { name: name.to_string() };
    checked(name, system::read(name)?.ok_or_else(missing)?)
}

/// Stores a secret, and replaces the one of this name.
///
/// # Errors
/// [`KeyringError::Content`] for an invalid secret, and the errors of the keyring.
pub fn store_secret(name: &SecretName, secret: Vec<u8>) -> Result<(), KeyringError> {
    system::store(name, checked(name, secret)?.as_bytes())
}

/// Removes a secret.
///
/// # Errors
/// [`KeyringError::Missing`], and the errors of the keyring.
pub fn remove_secret(name: &SecretName) -> Result<(), KeyringError> {
    match system::remove(name)? {
        true => Ok(()),
        false => Err(KeyringError::Missing { name: name.to_string() }),
    }
}

/// Returns the names of the secrets, sorted. Omits entries of other programs with names that are
/// not valid.
///
/// # Errors
/// The errors of the keyring.
pub fn secret_names() -> Result<Vec<SecretName>, KeyringError> {
    Ok(valid(system::names()?))
}

fn valid(names: Vec<String>) -> Vec<SecretName> {
    let valid = names.into_iter().filter_map(|name| name.parse().ok());
    let mut names: Vec<_> = valid.take(MAX_LISTED).collect();
    names.sort();
    names.dedup();
    names
}

fn checked(name: &SecretName, secret: Vec<u8>) -> Result<String, KeyringError> {
    let invalid = |problem| KeyringError::Content { name: name.to_string(), problem };
    if secret.is_empty() {
        return Err(invalid("it is empty".to_owned()));
    }
    if secret.len() as u64 > MAX_SECRET_BYTES {
        return Err(invalid(format!("it is larger than {} MiB", MAX_SECRET_BYTES >> 20)));
    }
    String::from_utf8(secret).map_err(|_| invalid("it is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_printable() {
        for (name, good) in [
            ("dav", true),
            ("dav.example.org/me", true),
            ("Zugang zum Büro", true),
            (&"x".repeat(SecretName::MAX_BYTES), true),
            (&"x".repeat(SecretName::MAX_BYTES + 1), false),
            ("", false),
            ("a\nb", false),
            ("a\u{1b}[2J", false),
            ("a\u{85}", false),
            ("a\0", false),
        ] {
            assert_eq!(name.parse::<SecretName>().is_ok(), good, "{name:?}");
        }
    }

    #[test]
    fn listed_names_are_valid_and_bounded() {
        let names = |names: &[&str]| valid(names.iter().map(|&name| name.to_owned()).collect());
        let shown = |names: Vec<SecretName>| names.iter().map(ToString::to_string).collect();
        let listed: Vec<String> = shown(names(&["b", "a\x07", "", "a", "b"]));
        assert_eq!(listed, ["a", "b"]);
        let many = (0..MAX_LISTED + 7).map(|number| number.to_string()).collect();
        assert_eq!(valid(many).len(), MAX_LISTED);
    }

    #[test]
    fn a_secret_is_bounded_and_text() {
        let name = "dav".parse().unwrap();
        let largest = usize::try_from(MAX_SECRET_BYTES).unwrap();
        for (secret, problem) in [
            (b"hunter2".to_vec(), None),
            (vec![b'x'; largest], None),
            (vec![b'x'; largest + 1], Some("larger than 1 MiB")),
            (Vec::new(), Some("empty")),
            (b"hunter2\xff".to_vec(), Some("not UTF-8")),
        ] {
            let error = checked(&name, secret).err().map(|error| error.to_string());
            let same = match (&error, problem) {
                (Some(error), Some(problem)) => error.contains(problem),
                (error, problem) => error.is_none() && problem.is_none(),
            };
            assert!(same, "{problem:?}: {error:?}");
            assert!(!error.unwrap_or_default().contains("hunter2"));
        }
    }
}

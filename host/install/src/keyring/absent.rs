//! The keyring of a build without the feature `keyring`.

use super::{KeyringError, SecretName};

pub(super) fn read(_: &SecretName) -> Result<Option<Vec<u8>>, KeyringError> {
    Err(KeyringError::Unsupported)
}

pub(super) fn store(_: &SecretName, _: &[u8]) -> Result<(), KeyringError> {
    Err(KeyringError::Unsupported)
}

pub(super) fn remove(_: &SecretName) -> Result<bool, KeyringError> {
    Err(KeyringError::Unsupported)
}

pub(super) fn names() -> Result<Vec<String>, KeyringError> {
    Err(KeyringError::Unsupported)
}

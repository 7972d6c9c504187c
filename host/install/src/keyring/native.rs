//! The keychain of macOS, and the Credential Manager of Windows.

use std::collections::HashMap;

#[cfg(target_os = "macos")]
use apple_native_keyring_store::keychain::Store;
use keyring_core::api::CredentialStoreApi as _;
use keyring_core::{Entry, Error};
#[cfg(windows)]
use windows_native_keyring_store::Store;

use super::{KeyringError, SERVICE, SecretName};

pub(super) fn read(name: &SecretName) -> Result<Option<Vec<u8>>, KeyringError> {
    found(name, entry(name)?.get_secret())
}

pub(super) fn store(name: &SecretName, secret: &[u8]) -> Result<(), KeyringError> {
    entry(name)?.set_secret(secret).map_err(failure(name))
}

pub(super) fn remove(name: &SecretName) -> Result<bool, KeyringError> {
    Ok(found(name, entry(name)?.delete_credential())?.is_some())
}

pub(super) fn names() -> Result<Vec<String>, KeyringError> {
    // Windows filters by patterns only.
    let filter = if cfg!(windows) { HashMap::new() } else { HashMap::from([("service", SERVICE)]) };
    let entries = Store::new().and_then(|store| store.search(&filter)).map_err(error)?;
    let own = entries.iter().filter_map(Entry::get_specifiers);
    Ok(own.filter(|(service, _)| service == SERVICE).map(|(_, name)| name).collect())
}

fn entry(name: &SecretName) -> Result<Entry, KeyringError> {
    let entry = Store::new().and_then(|store| store.build(SERVICE, name.as_str(), None));
    entry.map_err(failure(name))
}

/// Converts a missing entry to `None`.
fn found<T>(name: &SecretName, result: Result<T, Error>) -> Result<Option<T>, KeyringError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(failure(name)(error)),
    }
}

fn failure(name: &SecretName) -> impl FnOnce(Error) -> KeyringError {
    move |failure| {
        if let Error::TooLong(_, bytes) = failure {
            let problem = format!("it is larger than {bytes} bytes, the limit of the system");
            return KeyringError::Content { name: name.to_string(), problem };
        }
        error(failure)
    }
}

/// Converts an error, whose text contains no data of the entry.
fn error(error: Error) -> KeyringError {
    let problem = error.to_string();
    match matches!(error, Error::NoStorageAccess(_)) {
        true => KeyringError::Locked { problem },
        false => KeyringError::Failed { problem },
    }
}

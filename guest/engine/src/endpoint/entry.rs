//! The entries of a side.

use syncmgr_plugin::Result;
use syncmgr_plugin::directories::{EntryKind, EntryName};

use crate::tree::Fingerprint;

/// Identifies a directory wherever it is mounted; `None` is unknown.
pub type Identity = Option<(u64, u64)>;

/// An entry of a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name.
    pub name: EntryName,
    /// The metadata, or the reason why they cannot be read.
    pub metadata: Result<Metadata>,
}

impl Entry {
    /// Creates an entry.
    pub fn new(name: &str, metadata: Result<Metadata>) -> Self {
        Self { name: EntryName::Text(name.to_owned()), metadata }
    }
}

/// The metadata of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The type.
    pub kind: EntryKind,
    /// Recognizes an unchanged file.
    pub fingerprint: Fingerprint,
    /// The permission bits to sync: 0 to 0o777, of a directory 0 to 0o3777. `None`: this side has
    /// none.
    pub mode: Option<u16>,
    /// Identifies a directory.
    pub identity: Identity,
}

impl Metadata {
    /// Returns the metadata of a file, without permissions.
    pub fn file(fingerprint: Fingerprint) -> Self {
        Self { kind: EntryKind::File, fingerprint, mode: None, identity: None }
    }

    /// Returns the metadata of a directory, without permissions and identity.
    pub fn directory() -> Self {
        let fingerprint = Fingerprint::default();
        Self { kind: EntryKind::Directory, fingerprint, mode: None, identity: None }
    }

    /// Returns whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == EntryKind::Directory
    }
}

//! Files in the granted directories and in the plugin's own storage, by handle and without
//! following links: operations that WASI does not offer, or not safely.
//!
//! Every name is that of a single entry of an open directory, never a path. `std::fs` reaches the
//! same files as `/NAME` and `/storage` where that is sufficient.
//!
//! ```
//! use syncmgr_plugin::prelude::*;
//!
//! /// Replaces a file in one step, so that its name always has the old or the new content.
//! fn save(directory: &Directory, name: &str, content: &[u8]) -> Result<()> {
//!     let temp = format!(".{name}.new");
//!     let file = directory.create_file(&temp)?;
//!     file.write(content)?;
//!     file.flush()?;
//!     directory.rename(&temp, directory, name)?;
//!     directory.flush()
//! }
//! # fn main() {}
//! ```
//!
//! # Errors
//! Besides those that a function names, every function fails with
//!
//! - [`NotFound`](ErrorCode::NotFound) if the entry does not exist,
//! - [`Changed`](ErrorCode::Changed) if the entry is of another kind, such as a link,
//! - [`InvalidArgument`](ErrorCode::InvalidArgument) if a name is not that of a single entry,
//! - [`AccessDenied`](ErrorCode::AccessDenied) if the directory is granted read-only, or the system
//!   denies access,
//! - [`NoSpace`](ErrorCode::NoSpace) if the file system or the plugin's storage is full, and
//! - [`InputOutput`](ErrorCode::InputOutput) for other failures of the system.

mod copy;
mod directory;
mod file;

use std::convert::identity;

pub use crate::bindings::syncmgr::plugin::directories::{
    Access, Entry, EntryKind, EntryMetadata, EntryName,
};
pub use copy::{CopiedFile, CopyAttributes, CopyRequest, copy_files, copy_files_with};
pub use directory::{Directory, DirectoryLock, Listing};
pub use file::File;

use crate::bindings::syncmgr::plugin::types::Error as WitError;
#[cfg(doc)]
use crate::error::ErrorCode;
use crate::error::{Error, Result};
use crate::imports::directories as wit;

impl EntryName {
    /// Returns the name, or `None` if it is not valid Unicode: no function accepts such a name.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(name) => Some(name),
            Self::Undecodable(_) => None,
        }
    }

    /// Returns the name for display: approximately, if it is not valid Unicode.
    pub fn display(&self) -> &str {
        let (Self::Text(name) | Self::Undecodable(name)) = self;
        name
    }
}

/// A granted directory.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The name of the grant.
    pub name: String,
    /// The granted access.
    pub access: Access,
    /// The same in every run for the same directory on the same machine.
    pub id: uuid::Uuid,
}

/// Returns the granted directories, in the order of the grants.
pub fn grants() -> Vec<Grant> {
    wit::get_grants()
        .into_iter()
        .map(|grant| Grant {
            name: grant.name,
            access: grant.access,
            id: uuid::Uuid::from_u64_pair(grant.id.high, grant.id.low),
        })
        .collect()
}

/// Opens a granted directory by the name of the grant.
///
/// # Errors
/// Fails with [`AccessDenied`](ErrorCode::AccessDenied) if there is no grant of this name, and with
/// [`NotFound`](ErrorCode::NotFound) if the directory does not exist.
pub fn open_grant(name: &str) -> Result<Directory> {
    Ok(Directory(wit::open_grant(name)?))
}

/// Opens the plugin's own storage, which persists between runs.
///
/// # Errors
/// Fails with [`AccessDenied`](ErrorCode::AccessDenied) if the plugin has no storage.
pub fn open_storage() -> Result<Directory> {
    Ok(Directory(wit::open_storage()?))
}

/// Flushes the content and the metadata of up to 1,024 files, and returns a result for each of
/// them, in their order. Flushing many files together takes little longer than flushing one.
pub fn flush_files(files: &[&File]) -> Vec<Result<()>> {
    let handles: Vec<_> = files.iter().map(|file| &file.0).collect();
    results(wit::flush_files(&handles), files.len(), identity)
}

/// Flushes the entries of up to 1,024 directories, and returns a result for each of them, in their
/// order. Flushing many directories together takes little longer than flushing one.
pub fn flush_directories(directories: &[&Directory]) -> Vec<Result<()>> {
    let handles: Vec<_> = directories.iter().map(|directory| &directory.0).collect();
    results(wit::flush_directories(&handles), directories.len(), identity)
}

/// Converts the host's answer for `count` elements to a result for each of them.
fn results<A, B>(
    answer: Vec<Result<A, WitError>>,
    count: usize,
    convert: impl Fn(A) -> B,
) -> Vec<Result<B>> {
    let mut answer = answer.into_iter();
    let next = |_| match answer.next() {
        Some(result) => Ok(convert(result?)),
        None => Err(Error::failed("the host returned no result")),
    };
    (0..count).map(next).collect()
}

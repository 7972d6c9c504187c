//! Copies of files.

use super::directory::Directory;
use super::file::{File, digest};
use super::{EntryMetadata, results};
#[cfg(doc)]
use crate::error::ErrorCode;
use crate::error::Result;
use crate::imports::directories as wit;

/// A request to [`copy_files`].
#[derive(Clone, Copy, Debug)]
pub struct CopyRequest<'a> {
    /// The directory of the file.
    pub source: &'a Directory,
    /// The name of the file.
    pub name: &'a str,
    /// The directory of the copy.
    pub target: &'a Directory,
    /// The name of the copy, which is new.
    pub target_name: &'a str,
    /// The most bytes to copy. A longer file is not copied, since it is not the intended one.
    pub max_size: u64,
    /// Whether to read the copy back and compare its digest.
    pub verify: bool,
}

impl<'a> CopyRequest<'a> {
    fn to_wit(self) -> wit::CopyRequest<'a> {
        wit::CopyRequest {
            source: &self.source.0,
            name: self.name.to_owned(),
            target: &self.target.0,
            target_name: self.target_name.to_owned(),
            max_size: self.max_size,
            verify: self.verify,
        }
    }
}

/// The attributes of a copy. The host skips those that the file system cannot store, or that the
/// host has no permission to set.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyAttributes<'a> {
    /// The permission bits, 0 to 0o777; `None` is the default of the system.
    pub mode: Option<u32>,
    /// The file, in the directory of the copy, that the copy will replace. The copy gets its owner,
    /// group, access control list and extended attributes.
    pub replaces: Option<&'a str>,
    /// Whether a copy that does not replace a file gets the owner and group of its source. Only a
    /// host that runs as root sets them.
    pub owner: bool,
}

impl CopyAttributes<'_> {
    fn to_wit(self) -> wit::CopyAttributes {
        wit::CopyAttributes {
            mode: self.mode,
            replaces: self.replaces.map(str::to_owned),
            owner: self.owner,
        }
    }
}

/// A file that [`copy_files`] copied.
#[derive(Debug)]
pub struct CopiedFile {
    /// The metadata of the source when it was opened.
    pub source: EntryMetadata,
    /// The BLAKE3 digest of its content.
    pub digest: [u8; 32],
    /// The copy, open read-write, positioned at its end and not flushed.
    pub copy: File,
}

impl CopiedFile {
    fn from_wit(copied: wit::CopiedFile) -> Self {
        let digest = digest(&copied.digest);
        Self { source: copied.source, digest, copy: File(copied.copy) }
    }
}

/// Copies up to 1,024 files in parallel, with their times and permission bits, and returns a result
/// for each of them, in their order. A copy that fails leaves no entry behind. The copies count as
/// open files. Cancellation does not interrupt a call, so keep it short.
pub fn copy_files(requests: &[CopyRequest<'_>]) -> Vec<Result<CopiedFile>> {
    let wit_requests: Vec<_> = requests.iter().copied().map(CopyRequest::to_wit).collect();
    results(wit::copy_files(&wit_requests), requests.len(), CopiedFile::from_wit)
}

/// Copies files as [`copy_files`] does, each with the given attributes instead of the permission
/// bits of its source. A copy also gets the extended attributes of its source.
pub fn copy_files_with(
    requests: &[(CopyRequest<'_>, CopyAttributes<'_>)],
) -> Vec<Result<CopiedFile>> {
    let wit_requests: Vec<_> =
        requests.iter().map(|(request, more)| (request.to_wit(), more.to_wit())).collect();
    results(wit::copy_files_with(&wit_requests), requests.len(), CopiedFile::from_wit)
}

impl Directory {
    /// Creates an empty regular file with the attributes of a copy of `source`.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if the name is taken.
    pub fn create_copy(
        &self,
        name: &str,
        source: &File,
        attributes: CopyAttributes<'_>,
    ) -> Result<File> {
        Ok(File(self.0.create_copy(name, &source.0, &attributes.to_wit())?))
    }
}

//! Files in the granted directories and in the plugin's own storage, by handle and without
//! following links: what WASI cannot do safely or at all.
//!
//! Everything names exactly one entry of an open directory. `std::fs` on `/NAME` and
//! `/storage` reaches the same files where that is enough.

use crate::bindings::syncmgr::plugin::types::Error as WitError;
use crate::error::Result;
use crate::imports::directories::{
    self as wit, CopyAttributes as WitCopyAttributes, CopyRequest as WitCopyRequest,
};

pub use crate::bindings::syncmgr::plugin::directories::{Access, Entry, EntryKind, EntryMetadata};

/// A directory that the operator granted.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The name of the grant.
    pub name: String,
    /// What may be done.
    pub access: Access,
    /// The same in every run for the same directory of the same machine.
    pub id: uuid::Uuid,
}

/// The directories that the operator granted, in the operator's order.
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
pub fn open_grant(name: &str) -> Result<Directory> {
    Ok(Directory(wit::open_grant(name)?))
}

/// Opens the plugin's own storage, which persists between runs.
pub fn open_storage() -> Result<Directory> {
    Ok(Directory(wit::open_storage()?))
}

/// An open directory. Every `name` is a single entry of it.
#[derive(Debug)]
pub struct Directory(wit::Directory);

impl Directory {
    /// What the system knows about the directory itself.
    pub fn metadata(&self) -> Result<EntryMetadata> {
        Ok(self.0.metadata()?)
    }

    /// A second handle of the same directory.
    pub fn reopen(&self) -> Result<Directory> {
        Ok(Directory(self.0.reopen()?))
    }

    /// Lists the entries with their metadata. The first failure ends the listing, which is
    /// then incomplete.
    pub fn list(&self) -> Result<Listing> {
        Ok(Listing { listing: self.0.list()?, page: Vec::new().into_iter(), ended: false })
    }

    /// What the system knows about an entry; `None`: there is provably none.
    pub fn stat(&self, name: &str) -> Result<Option<EntryMetadata>> {
        Ok(self.0.stat(name)?)
    }

    /// Opens a directory in this one.
    pub fn open_directory(&self, name: &str) -> Result<Directory> {
        Ok(Directory(self.0.open_directory(name)?))
    }

    /// Makes a directory; `mode` is its permission bits, 0 to 0o3777.
    pub fn create_directory(&self, name: &str, mode: Option<u32>) -> Result<()> {
        Ok(self.0.create_directory(name, mode)?)
    }

    /// Creates a directory with the extended attributes of another one and, where the host runs as
    /// root, with its owner and group.
    pub fn create_directory_like(
        &self,
        name: &str,
        source: &Directory,
        mode: Option<u32>,
    ) -> Result<()> {
        Ok(self.0.create_directory_like(name, &source.0, mode)?)
    }

    /// Opens a regular file for reading.
    pub fn open_file(&self, name: &str) -> Result<File> {
        Ok(File(self.0.open_file(name)?))
    }

    /// Makes a new regular file that only its owner can read.
    pub fn create_file(&self, name: &str) -> Result<File> {
        Ok(File(self.0.create_file(name)?))
    }

    /// Creates a regular file that is to become a copy of `source`, with its attributes. It has no
    /// content yet.
    pub fn create_copy(
        &self,
        name: &str,
        source: &File,
        attributes: CopyAttributes<'_>,
    ) -> Result<File> {
        Ok(File(self.0.create_copy(name, &source.0, &attributes.to_wit())?))
    }

    /// The text of a symbolic link.
    pub fn read_link(&self, name: &str) -> Result<String> {
        Ok(self.0.read_link(name)?)
    }

    /// Makes a symbolic link, unless it would lead out of the grant.
    pub fn create_link(&self, name: &str, target: &str) -> Result<()> {
        Ok(self.0.create_link(name, target)?)
    }

    /// Removes a file or a link.
    pub fn remove_file(&self, name: &str) -> Result<()> {
        Ok(self.0.remove_file(name)?)
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, name: &str) -> Result<()> {
        Ok(self.0.remove_directory(name)?)
    }

    /// Renames an entry, replacing what has the new name.
    pub fn rename(&self, name: &str, to: &Directory, to_name: &str) -> Result<()> {
        Ok(self.0.rename(name, &to.0, to_name, true)?)
    }

    /// Renames an entry; fails with `already-exists` when something has the new name.
    pub fn rename_new(&self, name: &str, to: &Directory, to_name: &str) -> Result<()> {
        Ok(self.0.rename(name, &to.0, to_name, false)?)
    }

    /// Gives a file or a link a second name; fails with `already-exists` when something has it.
    pub fn link(&self, name: &str, to: &Directory, to_name: &str) -> Result<()> {
        Ok(self.0.link(name, &to.0, to_name)?)
    }

    /// Sets the permission bits of a file (0 to 0o777) or a directory (0 to 0o3777). Others stay as
    /// they are.
    pub fn set_mode(&self, name: &str, mode: u32) -> Result<()> {
        Ok(self.0.set_mode(name, mode)?)
    }

    /// Sets when the content of a file was last changed, in nanoseconds since 1970.
    pub fn set_modified(&self, name: &str, modified: i64) -> Result<()> {
        Ok(self.0.set_modified(name, modified)?)
    }

    /// Makes the names in this directory durable.
    pub fn flush(&self) -> Result<()> {
        Ok(self.0.flush()?)
    }

    /// Holds the directory for this run; fails with `busy` when another run holds it.
    pub fn lock(&self) -> Result<()> {
        Ok(self.0.lock()?)
    }
}

/// The entries of a directory, fetched a page at a time.
#[derive(Debug)]
pub struct Listing {
    listing: wit::Listing,
    page: std::vec::IntoIter<Entry>,
    ended: bool,
}

impl Iterator for Listing {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        if let Some(entry) = self.page.next() {
            return Some(Ok(entry));
        }
        if self.ended {
            return None;
        }
        match self.listing.next() {
            Ok(page) => {
                self.ended = page.is_empty();
                self.page = page.into_iter();
                self.page.next().map(Ok)
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error.into()))
            }
        }
    }
}

/// An open regular file.
#[derive(Debug)]
pub struct File(wit::File);

impl File {
    /// What the system knows about the file.
    pub fn metadata(&self) -> Result<EntryMetadata> {
        Ok(self.0.metadata()?)
    }

    /// Reads at most `len` bytes; empty: the end.
    pub fn read(&self, len: u32) -> Result<Vec<u8>> {
        Ok(self.0.read(len)?)
    }

    /// Reads everything from the current position on, but fails with `invalid-argument` when
    /// that is more than `limit` bytes.
    pub fn read_to_end(&self, limit: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let page = self.read(1 << 20)?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&page);
            if all.len() > limit {
                return Err(crate::Error::new(
                    crate::ErrorCode::InvalidArgument,
                    format!("the file is larger than {limit} bytes"),
                ));
            }
        }
    }

    /// Writes all the bytes given.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        // One call carries at most what the host takes in at once.
        bytes.chunks(1 << 20).try_for_each(|chunk| Ok(self.0.write(chunk)?))
    }

    /// Reads on for at most `len` bytes, for the digest only; 0: the end.
    pub fn hash(&self, len: u64) -> Result<u64> {
        Ok(self.0.hash(len)?)
    }

    /// Writes at most the next `len` bytes of `source` here; 0: its end.
    pub fn copy_from(&self, source: &File, len: u64) -> Result<u64> {
        Ok(self.0.copy_from(&source.0, len)?)
    }

    /// The BLAKE3 digest of all that was read by [`File::hash`] or taken by
    /// [`File::copy_from`] from this handle.
    pub fn digest(&self) -> [u8; 32] {
        digest(&self.0.digest())
    }

    /// Sets when the content was last changed, in nanoseconds since 1970.
    pub fn set_modified(&self, modified: i64) -> Result<()> {
        Ok(self.0.set_modified(modified)?)
    }

    /// Sets the permission bits.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        Ok(self.0.set_mode(mode)?)
    }

    /// Makes the content and the metadata durable.
    pub fn flush(&self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

/// Makes the content and the metadata of several files durable, and answers for each of them, in
/// their order. The system writes many at once in little more than the time of one. At most 1,024.
pub fn flush_files(files: &[&File]) -> Vec<Result<()>> {
    let handles: Vec<_> = files.iter().map(|file| &file.0).collect();
    let mut flushed = wit::flush_files(&handles).into_iter();
    let no_answer = || Err(crate::Error::failed("whether it was flushed is not known"));
    let answer = |_: &&File| flushed.next().map_or_else(no_answer, |flushed| Ok(flushed?));
    files.iter().map(answer).collect()
}

/// Makes the names in several directories durable, and answers for each of them, in their order.
/// The system writes many at once in little more than the time of one. At most 1,024.
pub fn flush_directories(directories: &[&Directory]) -> Vec<Result<()>> {
    let handles: Vec<_> = directories.iter().map(|directory| &directory.0).collect();
    let mut flushed = wit::flush_directories(&handles).into_iter();
    let no_answer = || Err(crate::Error::failed("the host did not say whether it was flushed"));
    let answer = |_: &&Directory| flushed.next().map_or_else(no_answer, |flushed| Ok(flushed?));
    directories.iter().map(answer).collect()
}

/// A file that [`copy_files`] is to copy.
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
    /// The most bytes that the file may have. A longer one is another file than was meant, and is not
    /// copied.
    pub max_size: u64,
    /// Whether the copy is read back, and its digest compared.
    pub verify: bool,
}

impl<'a> CopyRequest<'a> {
    fn to_wit(self) -> WitCopyRequest<'a> {
        WitCopyRequest {
            source: &self.source.0,
            name: self.name.to_owned(),
            target: &self.target.0,
            target_name: self.target_name.to_owned(),
            max_size: self.max_size,
            verify: self.verify,
        }
    }
}

/// What belongs to a copy besides its content. The host skips whatever the file system cannot keep,
/// and whatever the host may not set.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyAttributes<'a> {
    /// The permission bits, 0 to 0o777; `None`: those that the system gives to a new file.
    pub mode: Option<u32>,
    /// The file of the copy's directory that the copy is going to replace. The copy gets its owner,
    /// group, access control list and extended attributes.
    pub replaces: Option<&'a str>,
    /// Whether a copy that replaces no file gets the owner and the group of its source. Only a host
    /// that runs as root sets them.
    pub owner: bool,
}

impl CopyAttributes<'_> {
    fn to_wit(self) -> WitCopyAttributes {
        WitCopyAttributes {
            mode: self.mode,
            replaces: self.replaces.map(str::to_owned),
            owner: self.owner,
        }
    }
}

/// A file that was copied by [`copy_files`].
#[derive(Debug)]
pub struct CopiedFile {
    /// What the system knew about the file when it was opened.
    pub source: EntryMetadata,
    /// The BLAKE3 digest of its content.
    pub digest: [u8; 32],
    /// The copy, open for writing and reading, at its end. It is not durable yet.
    pub copy: File,
}

/// Copies several files with their times and permission bits, several at once, and answers for each
/// of them, in their order. Where one fails there is nothing under its new name. At most 1,024, and no
/// more than may be open. It goes on when the user cancels, so one call should not take long.
pub fn copy_files(requests: &[CopyRequest<'_>]) -> Vec<Result<CopiedFile>> {
    let wit_requests: Vec<_> = requests.iter().copied().map(CopyRequest::to_wit).collect();
    answers(wit::copy_files(&wit_requests), requests.len())
}

/// Copies several files as [`copy_files`] does, each with its attributes in place of the permission
/// bits of its source. A copy also gets the extended attributes of its source.
pub fn copy_files_with(
    requests: &[(CopyRequest<'_>, CopyAttributes<'_>)],
) -> Vec<Result<CopiedFile>> {
    let wit_requests: Vec<_> =
        requests.iter().map(|(request, more)| (request.to_wit(), more.to_wit())).collect();
    answers(wit::copy_files_with(&wit_requests), requests.len())
}

/// One answer for each of so many requests.
fn answers(
    copied: Vec<std::result::Result<wit::CopiedFile, WitError>>,
    count: usize,
) -> Vec<Result<CopiedFile>> {
    let mut copied = copied.into_iter();
    let no_answer = || Err(crate::Error::failed("whether it was copied is not known"));
    let answer = |_| {
        copied.next().map_or_else(no_answer, |copied| {
            let copied = copied?;
            let digest = digest(&copied.digest);
            Ok(CopiedFile { source: copied.source, digest, copy: File(copied.copy) })
        })
    };
    (0..count).map(answer).collect()
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    let len = bytes.len().min(32);
    digest[..len].copy_from_slice(&bytes[..len]);
    digest
}

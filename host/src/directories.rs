//! The `directories` interface: one entry of an open directory at a time, never through a link.

#[cfg(unix)]
#[path = "directories/unix.rs"]
mod system;
#[cfg(not(unix))]
#[path = "directories/portable.rs"]
mod system;

#[cfg(unix)]
#[path = "directories/walk_unix.rs"]
mod walk;
#[cfg(not(unix))]
#[path = "directories/walk_portable.rs"]
mod walk;

mod attributes;
mod copies;
mod directory;
mod fence;
mod file;
mod flush;
mod holes;
mod range;
mod reading;
#[cfg(unix)]
mod special;
mod special_names;
mod threads;
mod usage;

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};

use wasmtime::component::Resource;

use crate::bindings::directories as wit;
use crate::bindings::types;
use crate::convert;
use crate::grants::{Access, Grant};
use crate::hresult::ErrorCode;
use crate::state::{State, Waiting};
use crate::storage::{Full, Reservation};
pub(crate) use directory::{link_stays_inside, may_move_between};
pub(crate) use reading::Reading;
pub(crate) use system::look_at_file;
pub(crate) use usage::{ENTRY_BYTES, FileIdentity, MAX_LINKED, measure};

/// Entries that one call of `next` returns at most.
const PAGE_ENTRIES: usize = 1024;
/// Files that one call of `flush-files` flushes at most, and directories one of `flush-directories`.
const FLUSHED_FILES: usize = 1024;

/// A listing in progress.
#[allow(unreachable_pub, reason = "the generated bindings name it")]
#[derive(Debug)]
pub struct Listing {
    entries: system::Entries,
}

#[allow(unreachable_pub, reason = "the generated bindings name it")]
pub use directory::Directory;
pub(crate) use fence::Fence;
#[allow(unreachable_pub, reason = "the generated bindings name it")]
pub use file::File;

/// What opening a path does where a link is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    Follow,
    Refuse,
}

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

/// What the system said, as a failure of the contract.
#[allow(clippy::wildcard_enum_match_arm, reason = "the enumeration is open")]
fn failure(error: &io::Error, what: &str) -> types::Error {
    let code = match error.kind() {
        io::ErrorKind::NotFound => ErrorCode::NotFound,
        io::ErrorKind::AlreadyExists
        | io::ErrorKind::DirectoryNotEmpty
        | io::ErrorKind::IsADirectory => ErrorCode::AlreadyExists,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorCode::AccessDenied
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorCode::NoSpace
        }
        io::ErrorKind::NotADirectory => ErrorCode::Changed,
        io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported => ErrorCode::NotImplemented,
        io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy => ErrorCode::Busy,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename => ErrorCode::InvalidArgument,
        io::ErrorKind::TooManyLinks => ErrorCode::NotImplemented,
        io::ErrorKind::OutOfMemory => ErrorCode::OutOfMemory,
        _ if system::is_link_in_the_way(error) => ErrorCode::Changed,
        _ => ErrorCode::InputOutput,
    };
    convert::wit_error(code, format!("{what}: {}", words(error)))
}

/// The reason and, where there is one, the remedy. Else what the system says.
#[allow(clippy::wildcard_enum_match_arm, reason = "the enumeration is open")]
fn words(error: &io::Error) -> Cow<'static, str> {
    Cow::Borrowed(match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "permission denied; check its owner, permissions and flags, and those of its directory"
        }
        io::ErrorKind::ReadOnlyFilesystem => "read-only file system; mount it for writing",
        io::ErrorKind::StorageFull => "no space left on the device; make room",
        io::ErrorKind::QuotaExceeded => "disk quota exceeded; make room, or raise the quota",
        io::ErrorKind::FileTooLarge => "file too large for the file system or for `ulimit -f`",
        io::ErrorKind::AlreadyExists => "there is an entry of this name already",
        io::ErrorKind::DirectoryNotEmpty => "the directory is not empty",
        io::ErrorKind::CrossesDevices => "it would have to move to another file system",
        io::ErrorKind::Unsupported => "the file system does not support this",
        _ => return Cow::Owned(error.to_string()),
    })
}

fn refuse<T>(code: ErrorCode, message: String) -> Result<T, types::Error> {
    Err(convert::wit_error(code, message))
}

/// Why something does not fit into the storage.
fn no_room(full: Full) -> types::Error {
    let message = match full {
        Full { unreadable: true, .. } => {
            "the plugin's own storage counts as full since part of it cannot be read; make its \
             directories readable, or remove them"
                .to_owned()
        }
        Full { used, unreadable: false } => format!(
            "the plugin's own storage holds {used} bytes; raise `storage-bytes` if that is right"
        ),
    };
    convert::wit_error(ErrorCode::NoSpace, message)
}

impl State {
    /// Hands over something that holds a file of the system.
    fn push<T: Send + 'static>(&mut self, made: Result<T, types::Error>) -> Answer<Resource<T>> {
        match made {
            Ok(_) if self.open_files >= self.max_open_files => {
                Ok(refuse(ErrorCode::Failed, self.too_many_open()))
            }
            Ok(value) => {
                self.open_files += 1;
                Ok(Ok(self.table.push(value)?))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    fn close<T: Send + 'static>(&mut self, this: Resource<T>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        self.open_files = self.open_files.saturating_sub(1);
        Ok(())
    }

    /// Why there is no directory of this name, and what to do about it.
    fn no_directory(&self, name: &str) -> String {
        let plugin = &self.plugin;
        match self.description.requests.directory(name) {
            Some(_) => format!(
                "{plugin} was not granted a directory named {name:?}; grant it with \
                 `--dir {name}=PATH`"
            ),
            None => format!(
                "{plugin} was not granted a directory named {name:?}; its author has to add it to \
                 its requests, and then `--dir {name}=PATH` grants it"
            ),
        }
    }

    /// Reserves room for so many bytes, where it is the storage that they are in.
    fn charge(&self, stored: bool, bytes: u64) -> Result<(), types::Error> {
        let storage = self.storage.as_ref().filter(|_| stored);
        storage.map_or(Ok(()), |storage| storage.charge(bytes).map_err(no_room))
    }

    /// Reserves room for one more entry, where it is the storage that it comes to.
    fn reserve(&self, stored: bool, content: u64) -> Result<Reservation, types::Error> {
        let storage = self.storage.as_ref().filter(|_| stored);
        storage.map_or(Ok(Reservation::NONE), |storage| storage.reserve(content).map_err(no_room))
    }

    /// Whether a file is open that is in no storage, so that it could grow there without a charge.
    fn is_open_elsewhere(&mut self, identity: FileIdentity) -> bool {
        self.writing.contains(identity) || self.wasi_files.has_open(identity)
    }

    fn too_many_open(&self) -> String {
        format!(
            "{} has {} files and directories open; raise `open-files` if that is right",
            self.plugin, self.open_files
        )
    }
}

impl wit::Host for Waiting<'_> {
    fn get_grants(&mut self) -> wasmtime::Result<Vec<wit::Grant>> {
        self.enter("get-grants")?;
        let wit_grant = |grant: &Grant| wit::Grant {
            name: grant.name().to_owned(),
            access: match grant.access() {
                Access::ReadOnly => wit::Access::ReadOnly,
                Access::ReadWrite => wit::Access::ReadWrite,
            },
            id: convert::guid(grant.id()),
        };
        Ok(self.grants.iter().map(wit_grant).collect())
    }

    fn open_grant(&mut self, name: String) -> Answer<Resource<Directory>> {
        self.enter("open-grant")?;
        let opened = match self.grants.iter().find(|grant| grant.name() == name) {
            // Where it is, the plugin need not know.
            Some(grant) => Directory::open(grant.path(), grant.access(), grant.name(), &self.fence)
                .map_err(|error| failure(&error, &format!("the directory `{name}`"))),
            None => refuse(ErrorCode::AccessDenied, self.no_directory(&name)),
        };
        self.push(opened)
    }

    fn open_storage(&mut self) -> Answer<Resource<Directory>> {
        self.enter("open-storage")?;
        let opened = match &self.storage {
            Some(storage) => Directory::open_storage(&storage.path, storage.access)
                .map_err(|error| failure(&error, "the plugin's own storage")),
            None => refuse(
                ErrorCode::AccessDenied,
                format!("{} was given no storage of its own", self.plugin),
            ),
        };
        self.push(opened)
    }

    fn copy_files(
        &mut self,
        requests: Vec<wit::CopyRequest>,
    ) -> wasmtime::Result<Vec<Result<wit::CopiedFile, types::Error>>> {
        self.enter("copy-files")?;
        self.copy_requested(requests.into_iter().map(|request| (request, None)).collect())
    }

    fn copy_files_with(
        &mut self,
        requests: Vec<(wit::CopyRequest, wit::CopyAttributes)>,
    ) -> wasmtime::Result<Vec<Result<wit::CopiedFile, types::Error>>> {
        self.enter("copy-files-with")?;
        let requests = requests.into_iter().map(|(request, more)| (request, Some(more)));
        self.copy_requested(requests.collect())
    }

    fn flush_files(
        &mut self,
        files: Vec<Resource<File>>,
    ) -> wasmtime::Result<Vec<Result<(), types::Error>>> {
        self.enter("flush-files")?;
        let admitted = admit_first(&files, |file| {
            let file = self.table.get(file)?;
            Ok((file.writable(), Arc::clone(&file.file)))
        })?;
        self.flush_admitted(admitted, "flushing a file", |file| file.sync_all())
    }

    fn flush_directories(
        &mut self,
        directories: Vec<Resource<Directory>>,
    ) -> wasmtime::Result<Vec<Result<(), types::Error>>> {
        self.enter("flush-directories")?;
        let admitted = admit_first(&directories, |directory| {
            let directory = self.table.get(directory)?;
            Ok((directory.writable(), Arc::clone(&directory.handle)))
        })?;
        self.flush_admitted(admitted, "flushing a directory", |handle| handle.flush())
    }
}

/// What is to be flushed, or why it is not.
type Admitted<T> = Vec<Result<T, types::Error>>;

/// Admits as many resources as one call flushes at most.
fn admit_first<R, T>(
    resources: &[Resource<R>],
    admit: impl Fn(&Resource<R>) -> wasmtime::Result<(Result<(), types::Error>, T)>,
) -> wasmtime::Result<Admitted<T>> {
    let mut admitted = Vec::with_capacity(resources.len().min(FLUSHED_FILES));
    for (index, resource) in resources.iter().enumerate() {
        let (allowed, opened) = admit(resource)?;
        admitted.push(match index < FLUSHED_FILES {
            true => allowed.map(|()| opened),
            false => refuse(ErrorCode::InvalidArgument, "1,024 came before it".to_owned()),
        });
    }
    Ok(admitted)
}

impl Waiting<'_> {
    /// Flushes what was admitted, and answers for each.
    fn flush_admitted<T: Send + Sync>(
        &mut self,
        admitted: Admitted<T>,
        what: &str,
        flush: impl Fn(&T) -> io::Result<()> + Sync,
    ) -> wasmtime::Result<Vec<Result<(), types::Error>>> {
        let open: Vec<&T> = admitted.iter().flatten().collect();
        let watch = Arc::clone(&self.watch);
        let done = flush::flush_all(&open, || watch.ended().is_none(), |one| flush(one));
        let mut done = done.into_iter();
        self.check_ended()?;
        let answer = |admitted: Result<T, types::Error>| match admitted {
            Ok(_) => match done.next().flatten() {
                Some(done) => done.map_err(|error| failure(&error, what)),
                None => refuse(ErrorCode::Failed, "it was not flushed".to_owned()),
            },
            Err(error) => Err(error),
        };
        Ok(admitted.into_iter().map(answer).collect())
    }
}

impl wit::HostListing for Waiting<'_> {
    fn next(&mut self, this: Resource<Listing>) -> Answer<Vec<wit::Entry>> {
        self.enter("listing.next")?;
        let listing = self.table.get_mut(&this)?;
        Ok(listing.entries.page(PAGE_ENTRIES).map_err(|error| failure(&error, "listing")))
    }

    fn drop(&mut self, this: Resource<Listing>) -> wasmtime::Result<()> {
        self.close(this)
    }
}

/// Checks that a directory may be granted. One that is not there, or cannot be opened, may be: the
/// plugin learns of it when it opens it.
pub(crate) fn check_grant(path: &Path, fence: &Fence) -> io::Result<()> {
    system::check_grant(path, fence)
}

/// Whether a path, as WASI resolves it below a directory, leads to what no grant includes: the
/// kernel's own file systems, or what is left out.
pub(crate) fn leads_out(base: &std::fs::File, path: &str, follow: bool, fence: &Fence) -> bool {
    walk::leads_out(base, path, follow, fence)
}

/// How many entries a directory has, as far as they are not more than so many.
pub(crate) fn count_entries(directory: &std::fs::File, most: usize) -> io::Result<usize> {
    system::count_entries(directory, most)
}

/// Files outside of the storage that are open for writing.
#[derive(Debug, Default)]
pub(crate) struct Writing(Vec<(Weak<std::fs::File>, Option<FileIdentity>)>);

impl Writing {
    fn opened(&mut self, file: &Arc<std::fs::File>) {
        // Only now and then, since there may be many.
        if self.0.len() == self.0.capacity() {
            self.0.retain(|(file, _)| file.strong_count() > 0);
        }
        self.0.push((Arc::downgrade(file), None));
    }

    fn contains(&mut self, identity: FileIdentity) -> bool {
        self.0.retain_mut(|(file, known)| {
            let Some(file) = file.upgrade() else { return false };
            if known.is_none() {
                *known = look_at_file(&file).ok().map(|seen| seen.identity);
            }
            true
        });
        // One that cannot be looked at may be that one.
        self.0.iter().any(|(_, known)| known.is_none_or(|known| known == identity))
    }
}

/// The directories that a session holds, until it ends.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Vec<system::Lock>,
}

impl Locks {
    /// Lets others hold them.
    pub(crate) fn release(&mut self) {
        self.held.clear();
    }

    /// Whether it was not held already. Those that only read a directory hold it with each other.
    fn hold(&mut self, directory: &system::Handle, access: Access) -> io::Result<bool> {
        let alone = access == Access::ReadWrite;
        let lock = system::Lock::new(directory, alone, &mut self.held)?;
        let new = lock.is_some();
        self.held.extend(lock);
        Ok(new)
    }
}

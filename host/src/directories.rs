//! The `directories` interface: one entry of an open directory at a time, never through a link.

#[cfg(unix)]
#[path = "directories/unix.rs"]
mod system;
#[cfg(not(unix))]
#[path = "directories/portable.rs"]
mod system;

mod file;

use std::io;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Resource;

use crate::bindings::directories as wit;
use crate::bindings::types;
use crate::convert;
use crate::grants::{Access, Grant};
use crate::hresult::ErrorCode;
use crate::state::{State, Waiting};
use crate::storage::{ENTRY_BYTES, Full, STORAGE};

/// Entries that one call of `next` returns at most.
const PAGE_ENTRIES: usize = 1024;
/// The longest name, in bytes. Longer ones exist on no file system that matters.
const NAME_BYTES: usize = 255;

/// An open directory and what may be done in it.
#[allow(unreachable_pub, reason = "the generated bindings name it")]
#[derive(Clone, Debug)]
pub struct Directory {
    handle: Arc<system::Handle>,
    access: Access,
    /// How many directories it is below the granted one.
    depth: usize,
    /// Whether it is in the plugin's own storage, which has a quota.
    stored: bool,
    /// Why it may not be changed, for a message.
    name: Arc<str>,
}

/// A listing in progress.
#[allow(unreachable_pub, reason = "the generated bindings name it")]
#[derive(Debug)]
pub struct Listing {
    entries: system::Entries,
}

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
    convert::wit_error(code, format!("{what}: {error}"))
}

fn refuse<T>(code: ErrorCode, message: String) -> Result<T, types::Error> {
    Err(convert::wit_error(code, message))
}

fn checked_name(name: &str) -> Result<&str, types::Error> {
    let meaningful = name.contains(['/', '\0']) || system::has_special_meaning(name);
    if name.is_empty() || name == "." || name == ".." || name.len() > NAME_BYTES || meaningful {
        return refuse(ErrorCode::InvalidArgument, format!("{name:?} names no single entry"));
    }
    Ok(name)
}

/// Whether a link text, read in a directory `depth` levels below the grant, stays in the grant.
/// `..` counts only at the beginning: behind a name, which may be a link itself, nobody can say
/// where it leads.
fn stays_inside(target: &str, depth: usize) -> bool {
    let mut up = 0;
    let mut down = false;
    for part in target.split(['/', '\\']) {
        match part {
            "" if !down && up == 0 => return false,
            "" | "." => {}
            ".." if down => return false,
            ".." => up += 1,
            _ => down = true,
        }
    }
    up <= depth && !target.is_empty() && !system::has_drive(target)
}

impl Directory {
    fn open(path: &Path, access: Access, name: &str, stored: bool) -> io::Result<Self> {
        // The path of a grant was without links when it was granted: one that is there now has
        // taken the directory's place.
        let links = if stored { Links::Follow } else { Links::Refuse };
        let handle = Arc::new(system::Handle::open(path, links)?);
        Ok(Self { handle, access, depth: 0, stored, name: name.into() })
    }

    fn writable(&self) -> Result<(), types::Error> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => refuse(
                ErrorCode::AccessDenied,
                format!(
                    "`{name}` is granted for reading only; {}",
                    read_write_remedy(&self.name),
                    name = self.name
                ),
            ),
        }
    }
}

/// How to grant a directory for changing.
fn read_write_remedy(name: &str) -> String {
    match name {
        STORAGE => "run without `--dry-run`".to_owned(),
        name => format!("grant it with `--dir {name}=PATH`, without `:ro` and `--dry-run`"),
    }
}

impl State {
    fn directory(&self, this: &Resource<Directory>) -> wasmtime::Result<Directory> {
        Ok(self.table.get(this)?.clone())
    }

    /// Runs one operation on a directory's entry, as `what` in a message about its failure.
    fn on_entry<T>(
        &mut self,
        call: &'static str,
        this: &Resource<Directory>,
        name: &str,
        changes: bool,
        operation: impl FnOnce(&Directory, &str) -> io::Result<T>,
    ) -> Answer<T> {
        self.enter(call)?;
        let directory = self.table.get(this)?;
        let allowed = if changes { directory.writable() } else { Ok(()) };
        Ok(allowed
            .and_then(|()| checked_name(name))
            .and_then(|name| operation(directory, name).map_err(|error| failure(&error, name))))
    }

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

    /// Takes room in the storage for so many bytes.
    fn charge(&self, stored: bool, bytes: u64) -> Result<(), types::Error> {
        let storage = self.storage.as_ref().filter(|_| stored);
        storage.map_or(Ok(()), |storage| storage.charge(bytes)).map_err(|Full(used)| {
            let message = format!(
                "the plugin's own storage holds {used} bytes; raise `storage-bytes` if that is \
                 right"
            );
            convert::wit_error(ErrorCode::NoSpace, message)
        })
    }

    /// Takes room in the storage for one more entry, and makes sure that it can be opened.
    fn make_room(&self, this: &Resource<Directory>, opens: bool) -> Answer<()> {
        if opens && self.open_files >= self.max_open_files {
            return Ok(refuse(ErrorCode::Failed, self.too_many_open()));
        }
        Ok(self.charge(self.table.get(this)?.stored, ENTRY_BYTES))
    }

    fn too_many_open(&self) -> String {
        format!(
            "{} has {} files and directories open; raise `open-files` if that is right",
            self.plugin, self.open_files
        )
    }
}

/// The size of an entry that takes room; 0 for what takes none, or is not there.
fn size_of(directory: &Directory, name: &str) -> u64 {
    match directory.handle.stat(name) {
        Ok(metadata) if metadata.kind == wit::EntryKind::File => metadata.size,
        Ok(_) | Err(_) => 0,
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
            Some(grant) => Directory::open(grant.path(), grant.access(), grant.name(), false)
                .map_err(|error| failure(&error, &format!("the directory `{name}`"))),
            None => refuse(ErrorCode::AccessDenied, self.no_directory(&name)),
        };
        self.push(opened)
    }

    fn open_storage(&mut self) -> Answer<Resource<Directory>> {
        self.enter("open-storage")?;
        let opened = match &self.storage {
            Some(storage) => Directory::open(&storage.path, storage.access, STORAGE, true)
                .map_err(|error| failure(&error, "the plugin's own storage")),
            None => refuse(
                ErrorCode::AccessDenied,
                format!("{} was given no storage of its own", self.plugin),
            ),
        };
        self.push(opened)
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

impl wit::HostDirectory for Waiting<'_> {
    fn metadata(&mut self, this: Resource<Directory>) -> Answer<wit::Metadata> {
        self.enter("directory.metadata")?;
        let directory = self.table.get(&this)?;
        Ok(directory.handle.metadata().map_err(|error| failure(&error, "the directory")))
    }

    fn reopen(&mut self, this: Resource<Directory>) -> Answer<Resource<Directory>> {
        self.enter("directory.reopen")?;
        let directory = self.directory(&this)?;
        self.push(Ok(directory))
    }

    fn list(&mut self, this: Resource<Directory>) -> Answer<Resource<Listing>> {
        self.enter("directory.list")?;
        let directory = self.directory(&this)?;
        let listing = system::Entries::new(&directory.handle)
            .map(|entries| Listing { entries })
            .map_err(|error| failure(&error, "listing"));
        self.push(listing)
    }

    fn stat(&mut self, this: Resource<Directory>, name: String) -> Answer<Option<wit::Metadata>> {
        self.on_entry("directory.stat", &this, &name, false, |directory, name| {
            match directory.handle.stat(name) {
                Ok(metadata) => Ok(Some(metadata)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn open_directory(
        &mut self,
        this: Resource<Directory>,
        name: String,
    ) -> Answer<Resource<Directory>> {
        let opened =
            self.on_entry("directory.open-directory", &this, &name, false, |directory, name| {
                let handle = directory.handle.open_directory(name)?;
                Ok(Directory {
                    handle: Arc::new(handle),
                    depth: directory.depth + 1,
                    ..directory.clone()
                })
            })?;
        self.push(opened)
    }

    fn create_directory(
        &mut self,
        this: Resource<Directory>,
        name: String,
        mode: Option<u32>,
    ) -> Answer<()> {
        if let Err(error) = self.make_room(&this, false)? {
            self.enter("directory.create-directory")?;
            return Ok(Err(error));
        }
        self.on_entry("directory.create-directory", &this, &name, true, |directory, name| {
            directory.handle.create_directory(name, mode.map(|mode| mode & 0o777))
        })
    }

    fn open_file(&mut self, this: Resource<Directory>, name: String) -> Answer<Resource<File>> {
        let opened =
            self.on_entry("directory.open-file", &this, &name, false, |directory, name| {
                directory.handle.open_file(name)
            })?;
        let opened = opened.and_then(|file| match file.metadata() {
            Ok(metadata) if metadata.is_file() => Ok(File::new(file, false, false)),
            Ok(_) => refuse(ErrorCode::Changed, format!("{name}: is no regular file")),
            Err(error) => Err(failure(&error, &name)),
        });
        self.push(opened)
    }

    fn create_file(&mut self, this: Resource<Directory>, name: String) -> Answer<Resource<File>> {
        if let Err(error) = self.make_room(&this, true)? {
            self.enter("directory.create-file")?;
            return Ok(Err(error));
        }
        let made =
            self.on_entry("directory.create-file", &this, &name, true, |directory, name| {
                Ok(File::new(directory.handle.create_file(name)?, true, directory.stored))
            })?;
        if let (Ok(file), Some(storage)) = (&made, &self.storage)
            && file.stored
        {
            storage.opened(&file.file);
        }
        self.push(made)
    }

    fn read_link(&mut self, this: Resource<Directory>, name: String) -> Answer<String> {
        let text = self.on_entry("directory.read-link", &this, &name, false, |dir, name| {
            dir.handle.read_link(name)
        })?;
        Ok(text.and_then(|text| match text.into_string() {
            Ok(text) => Ok(text),
            Err(_) => refuse(
                ErrorCode::InvalidArgument,
                format!("{name}: the text of the link is not Unicode"),
            ),
        }))
    }

    fn create_link(
        &mut self,
        this: Resource<Directory>,
        name: String,
        target: String,
    ) -> Answer<()> {
        let depth = self.table.get(&this)?.depth;
        if !stays_inside(&target, depth) {
            self.enter("directory.create-link")?;
            return Ok(refuse(
                ErrorCode::AccessDenied,
                format!("{name}: a link to {target:?} would lead out of the directory"),
            ));
        }
        if let Err(error) = self.make_room(&this, false)? {
            self.enter("directory.create-link")?;
            return Ok(Err(error));
        }
        self.on_entry("directory.create-link", &this, &name, true, |directory, name| {
            directory.handle.create_link(name, &target)
        })
    }

    fn remove_file(&mut self, this: Resource<Directory>, name: String) -> Answer<()> {
        self.on_entry("directory.remove-file", &this, &name, true, |directory, name| {
            directory.handle.remove_file(name)
        })
    }

    fn remove_directory(&mut self, this: Resource<Directory>, name: String) -> Answer<()> {
        self.on_entry("directory.remove-directory", &this, &name, true, |directory, name| {
            directory.handle.remove_directory(name)
        })
    }

    fn rename(
        &mut self,
        this: Resource<Directory>,
        name: String,
        to: Resource<Directory>,
        to_name: String,
        replace: bool,
    ) -> Answer<()> {
        let to = self.directory(&to)?;
        let allowed = to.writable().and_then(|()| checked_name(&to_name).map(|_| ()));
        if let Err(error) = allowed {
            self.enter("directory.rename")?;
            return Ok(Err(error));
        }
        // What moves into the storage takes room there.
        let from = self.directory(&this)?;
        let moved = match from.stored || !to.stored || checked_name(&name).is_err() {
            true => 0,
            false => size_of(&from, &name),
        };
        if let Err(error) = self.charge(to.stored, moved) {
            self.enter("directory.rename")?;
            return Ok(Err(error));
        }
        self.on_entry("directory.rename", &this, &name, true, |directory, name| {
            directory.handle.rename(name, &to.handle, &to_name, replace)
        })
    }

    fn link(
        &mut self,
        this: Resource<Directory>,
        name: String,
        to: Resource<Directory>,
        to_name: String,
    ) -> Answer<()> {
        let to = self.directory(&to)?;
        let allowed = to.writable().and_then(|()| checked_name(&to_name).map(|_| ()));
        if let Err(error) = allowed {
            self.enter("directory.link")?;
            return Ok(Err(error));
        }
        // Once its first name is gone, it is the second one that takes the room.
        let from = self.directory(&this)?;
        let linked = match from.stored || !to.stored || checked_name(&name).is_err() {
            true => 0,
            false => size_of(&from, &name),
        };
        if let Err(error) = self.charge(to.stored, linked) {
            self.enter("directory.link")?;
            return Ok(Err(error));
        }
        self.on_entry("directory.link", &this, &name, true, |directory, name| {
            directory.handle.link(name, &to.handle, &to_name)
        })
    }

    fn set_mode(&mut self, this: Resource<Directory>, name: String, mode: u32) -> Answer<()> {
        self.on_entry("directory.set-mode", &this, &name, true, |directory, name| {
            directory.handle.set_mode(name, mode & 0o777)
        })
    }

    fn flush(&mut self, this: Resource<Directory>) -> Answer<()> {
        self.enter("directory.flush")?;
        let directory = self.table.get(&this)?;
        Ok(directory.writable().and_then(|()| {
            directory.handle.flush().map_err(|error| failure(&error, "flushing a directory"))
        }))
    }

    fn lock(&mut self, this: Resource<Directory>) -> Answer<()> {
        self.enter("directory.lock")?;
        let directory = self.directory(&this)?;
        if self.open_files >= self.max_open_files {
            return Ok(refuse(ErrorCode::Failed, self.too_many_open()));
        }
        let held = self.locks.hold(&directory.handle);
        // It stays open until the session ends.
        self.open_files += u64::from(matches!(held, Ok(true)));
        Ok(held.map(|_| ()).map_err(|error| match error.kind() == std::io::ErrorKind::WouldBlock {
            true => convert::wit_error(
                ErrorCode::Busy,
                "another run holds the directory; wait until it has ended",
            ),
            false => failure(&error, "locking"),
        }))
    }

    fn drop(&mut self, this: Resource<Directory>) -> wasmtime::Result<()> {
        self.close(this)
    }
}

/// How many entries a directory has, as far as they are not more than so many.
pub(crate) fn count_entries(directory: &std::fs::File, most: usize) -> io::Result<usize> {
    system::count_entries(directory, most)
}

/// The directories that a session holds, until it ends.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Vec<system::Lock>,
}

impl Locks {
    /// Whether it was not held already.
    fn hold(&mut self, directory: &system::Handle) -> io::Result<bool> {
        let lock = system::Lock::new(directory, &self.held)?;
        let new = lock.is_some();
        self.held.extend(lock);
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_meaning_are_refused() {
        let long = "x".repeat(256);
        for name in ["", ".", "..", "a/b", "/", "a\0b", &long] {
            assert!(checked_name(name).is_err(), "{name:?}");
        }
        for name in ["a", "...", ".hidden", "with space", "ünïcode", "-rf", &long[1..]] {
            assert!(checked_name(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn links_stay_inside_the_grant() {
        for (target, depth, inside) in [
            ("x", 0, true),
            ("./x", 0, true),
            ("a/b/c", 0, true),
            ("../x", 1, true),
            ("../../x", 2, true),
            ("..", 1, true),
            ("../x", 0, false),
            ("../../x", 1, false),
            ("./../x", 0, false),
            ("a/../b", 5, false),
            ("/etc/passwd", 5, false),
            ("//server/share", 5, false),
            ("..\\..\\x", 1, false),
            ("", 0, false),
        ] {
            assert_eq!(stays_inside(target, depth), inside, "{target:?} at depth {depth}");
        }
    }
}

//! The resource `directory` of the `directories` interface: an open directory, and what can be done
//! with one entry of it.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use wasmtime::component::Resource;

use super::attributes::Attributes;
use super::usage::{FileIdentity, walk_below};
use super::{Answer, Fence, File, Links, Listing, failure, refuse, system};
use crate::bindings::directories as wit;
use crate::bindings::types;
use crate::convert;
use crate::grants::Access;
use crate::hresult::ErrorCode;
use crate::state::{State, Waiting};
use crate::storage::{Reservation, STORAGE, Storage};

/// The longest name, in bytes. Longer ones exist on no file system that matters.
const NAME_BYTES: usize = 255;
/// The longest text of a link, in bytes, which is Linux's bound.
const LINK_BYTES: usize = 4_095;

/// An open directory and what may be done in it.
#[allow(unreachable_pub, reason = "the generated bindings name it")]
#[derive(Clone, Debug)]
pub struct Directory {
    pub(super) handle: Arc<system::Handle>,
    access: Access,
    /// How many directories it was below the granted one when it was opened.
    depth: usize,
    /// The granted one.
    root: FileIdentity,
    /// Whether it is in the plugin's own storage, which has a quota.
    pub(super) stored: bool,
    /// Why it may not be changed, for a message.
    name: Arc<str>,
}

pub(super) fn checked_name(name: &str) -> Result<&str, types::Error> {
    let meaningful = name.contains(['/', '\0']) || system::has_special_meaning(name);
    if name.is_empty() || name == "." || name == ".." || name.len() > NAME_BYTES || meaningful {
        return refuse(ErrorCode::InvalidArgument, format!("{name:?} names no single entry"));
    }
    Ok(name)
}

/// What a copy gets, where the names in it are names.
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
        // They would take room that nobody counts.
        extended: !stored,
    })
}

/// Whether a link text, read in a directory `depth` levels below the grant, stays in the grant. It is
/// resolved as text: a name is one level down, whatever is there.
fn stays_inside(target: &str, depth: usize) -> bool {
    if target.is_empty() || target.starts_with(system::SEPARATORS) || system::has_drive(target) {
        return false;
    }
    let mut level = depth;
    for part in target.split(system::SEPARATORS) {
        level = match (part, level) {
            ("" | ".", _) => level,
            ("..", 0) => return false,
            ("..", _) => level - 1,
            (_, _) => level + 1,
        };
    }
    true
}

impl Directory {
    pub(super) fn open(path: &Path, access: Access, name: &str, fence: &Fence) -> io::Result<Self> {
        // The path of a grant was without links when it was granted: one that is there now has
        // taken the directory's place.
        let handle = Arc::new(system::Handle::open(path, Links::Refuse, fence)?);
        let root = handle.identity()?;
        Ok(Self { handle, access, depth: 0, root, stored: false, name: name.into() })
    }

    /// The plugin's own storage, which is in the host's state.
    pub(super) fn open_storage(path: &Path, access: Access) -> io::Result<Self> {
        let handle = Arc::new(system::Handle::open(path, Links::Follow, &Fence::default())?);
        let root = handle.identity()?;
        Ok(Self { handle, access, depth: 0, root, stored: true, name: STORAGE.into() })
    }

    /// A directory that is open elsewhere, below one of several granted ones.
    fn of_file(file: &std::fs::File, roots: &[FileIdentity]) -> io::Result<Self> {
        let handle = system::Handle::of_file(file)?;
        let (root, depth) = handle.root_above(roots)?;
        let (handle, name) = (Arc::new(handle), STORAGE.into());
        Ok(Self { handle, access: Access::ReadOnly, depth, root, stored: false, name })
    }

    /// How many directories it is below the granted one now: it may have been moved since it was
    /// opened.
    fn depth_now(&self) -> io::Result<usize> {
        self.handle.depth_below(self.root, self.depth)
    }

    /// Whether a link with this text stays in the grant if it is here.
    fn keeps_inside(&self, target: &str) -> io::Result<bool> {
        // Most links do so wherever they are.
        Ok(stays_inside(target, 0) || stays_inside(target, self.depth_now()?))
    }

    /// Does what takes a name away, and gives back the room that it took in the storage.
    fn freeing<T>(
        &self,
        storage: Option<&Storage>,
        name: &str,
        operation: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(storage) = storage else { return operation() };
        let before = self.handle.look_at(name);
        let done = operation()?;
        match before {
            Ok(seen) => storage.removed(seen.identity, seen.names, seen.size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => storage.loosened(),
        }
        Ok(done)
    }

    /// The permissions of a directory in here. The host must be able to measure the storage.
    fn measurable(&self, mode: u32) -> u32 {
        if self.stored { mode | 0o700 } else { mode }
    }

    pub(super) fn writable(&self) -> Result<(), types::Error> {
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

fn leads_out<T>(name: &str, target: &str) -> Result<T, types::Error> {
    refuse(
        ErrorCode::AccessDenied,
        format!("{name}: a link to {target:?} would lead out of the directory"),
    )
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

    /// The storage, where a directory is in it.
    fn storage_of(&self, this: &Resource<Directory>) -> wasmtime::Result<Option<Storage>> {
        let stored = self.table.get(this)?.stored;
        Ok(self.storage.clone().filter(|_| stored))
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

    /// The directory that an entry is renamed or linked to, if it may be there under that name.
    fn target(
        &mut self,
        call: &'static str,
        to: &Resource<Directory>,
        to_name: &str,
    ) -> Answer<Directory> {
        let to = self.directory(to)?;
        let allowed = to.writable().and_then(|()| checked_name(to_name).map(drop));
        Ok(match allowed {
            Ok(()) => Ok(to),
            Err(error) => {
                self.enter(call)?;
                Err(error)
            }
        })
    }

    /// Reserves the room for a name that comes into the storage, or passes between it and a grant.
    fn admit(
        &mut self,
        from: &Directory,
        name: &str,
        to: &Directory,
        links: bool,
    ) -> Result<Crossing, types::Error> {
        let none = Crossing { room: Reservation::NONE, shared: None };
        if self.storage.is_none() || checked_name(name).is_err() || !(from.stored || to.stored) {
            return Ok(none);
        }
        if from.stored == to.stored {
            let room = if links { self.reserve(true, 0)? } else { Reservation::NONE };
            return Ok(Crossing { room, ..none });
        }
        // What is not there, the operation itself finds out.
        let Ok(seen) = from.handle.look_at(name) else { return Ok(none) };
        let shared = (links || seen.names > 1).then_some(seen.identity);
        if !to.stored {
            return Ok(Crossing { shared, ..none });
        }
        if seen.kind == wit::EntryKind::Directory {
            let message = format!(
                "{name}: a directory cannot be moved into the storage; move its files one by one"
            );
            return refuse(ErrorCode::NotImplemented, message);
        }
        if self.is_open_elsewhere(seen.identity) {
            let message = format!("{name}: it is open; close it before it comes into the storage");
            return refuse(ErrorCode::Busy, message);
        }
        let room = self.storage.as_ref().map(|storage| storage.for_copies().reserve(seen.size));
        let room = room.unwrap_or(Ok(Reservation::NONE)).map_err(super::no_room)?;
        Ok(Crossing { room, shared })
    }

    /// Reserves room in the storage for one more entry, and makes sure that it can be opened.
    fn make_room(
        &self,
        this: &Resource<Directory>,
        opens: bool,
        content: usize,
    ) -> Answer<Reservation> {
        if opens && self.open_files >= self.max_open_files {
            return Ok(refuse(ErrorCode::Failed, self.too_many_open()));
        }
        Ok(self.reserve(self.table.get(this)?.stored, content as u64))
    }

    /// Makes an entry in the room that was reserved for it.
    fn make<T>(
        &mut self,
        call: &'static str,
        this: &Resource<Directory>,
        name: &str,
        room: Result<Reservation, types::Error>,
        operation: impl FnOnce(&Directory, &str) -> io::Result<T>,
    ) -> Answer<T> {
        let room = match room {
            Ok(room) => room,
            Err(error) => {
                self.enter(call)?;
                return Ok(Err(error));
            }
        };
        let made = self.on_entry(call, this, name, true, operation)?;
        if made.is_ok() {
            room.keep();
        }
        Ok(made)
    }
}

/// What comes of a name that passes between the storage and a grant.
struct Crossing {
    room: Reservation,
    /// The file, if it may have names on both sides afterwards.
    shared: Option<FileIdentity>,
}

impl Crossing {
    /// It did pass.
    fn done(self, storage: Option<&Storage>) {
        self.room.keep();
        if let (Some(storage), Some(identity)) = (storage, self.shared) {
            storage.share(identity);
        }
    }
}

/// Whether a link with this text stays in the granted directory that an open one is below of.
pub(crate) fn link_stays_inside(
    text: &str,
    directory: &std::fs::File,
    roots: &[FileIdentity],
) -> io::Result<bool> {
    Ok(stays_inside(text, 0) || Directory::of_file(directory, roots)?.keeps_inside(text)?)
}

/// The same as for our own directories, for two that are open elsewhere.
pub(crate) fn may_move_between(
    from: &std::fs::File,
    name: &str,
    to: &std::fs::File,
    roots: &[FileIdentity],
) -> io::Result<bool> {
    may_move(&Directory::of_file(from, roots)?, name, &Directory::of_file(to, roots)?)
}

/// Whether an entry can be moved from one directory to another, so that no link leads out of the
/// grant which did not so before. In the storage no one follows links.
fn may_move(from: &Directory, name: &str, to: &Directory) -> io::Result<bool> {
    if to.stored
        || Arc::ptr_eq(&from.handle, &to.handle)
        || from.handle.identity()? == to.handle.identity()?
    {
        return Ok(true);
    }
    let same_root = from.root == to.root;
    let leads_out = |text: &str, below: usize, from_depth: usize, to_depth: usize| {
        let led_out = same_root && !stays_inside(text, from_depth + below);
        !led_out && !stays_inside(text, to_depth + below)
    };
    match from.handle.look_at(name)?.kind {
        wit::EntryKind::File | wit::EntryKind::Other => Ok(true),
        wit::EntryKind::SymbolicLink => {
            let text = from.handle.read_link(name)?;
            let text = text.to_string_lossy();
            Ok(stays_inside(&text, 0) || !leads_out(&text, 0, from.depth_now()?, to.depth_now()?))
        }
        wit::EntryKind::Directory => {
            let (from_depth, to_depth) = (from.depth_now()?, to.depth_now()?);
            if same_root && to_depth >= from_depth {
                return Ok(true);
            }
            let mut inside = true;
            walk_below(from.handle.open_directory(name)?, |entry| {
                if entry.seen.kind == wit::EntryKind::SymbolicLink {
                    let name = entry.name.ok_or(io::ErrorKind::InvalidFilename)?;
                    let text = entry.directory.read_link(name)?;
                    let text = text.to_string_lossy();
                    inside = !leads_out(&text, entry.depth + 1, from_depth, to_depth);
                }
                Ok(inside)
            })?;
            Ok(inside)
        }
    }
}

impl wit::HostDirectory for Waiting<'_> {
    fn metadata(&mut self, this: Resource<Directory>) -> Answer<wit::EntryMetadata> {
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

    fn stat(
        &mut self,
        this: Resource<Directory>,
        name: String,
    ) -> Answer<Option<wit::EntryMetadata>> {
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
        let room = self.make_room(&this, false, 0)?;
        self.make("directory.create-directory", &this, &name, room, |directory, name| {
            let mode = mode.map(|mode| directory.measurable(mode & 0o3777));
            directory.handle.create_directory(name, mode, None)
        })
    }

    fn create_directory_like(
        &mut self,
        this: Resource<Directory>,
        name: String,
        source: Resource<Directory>,
        mode: Option<u32>,
    ) -> Answer<()> {
        let like = self.directory(&source)?;
        let room = self.make_room(&this, false, 0)?;
        self.make("directory.create-directory-like", &this, &name, room, |directory, name| {
            let mode = mode.map(|mode| directory.measurable(mode & 0o3777));
            // What belongs to the storage is the plugin's.
            let like = (!directory.stored).then_some(&*like.handle);
            directory.handle.create_directory(name, mode, like)
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
        if let (Ok(file), Some(storage)) = (&opened, self.storage_of(&this)?) {
            storage.opened(&file.file);
        }
        self.push(opened)
    }

    fn create_file(&mut self, this: Resource<Directory>, name: String) -> Answer<Resource<File>> {
        let room = self.make_room(&this, true, 0)?;
        let made = self.make("directory.create-file", &this, &name, room, |directory, name| {
            Ok(File::new(directory.handle.create_file(name)?, true, directory.stored))
        })?;
        if let Ok(file) = &made {
            match self.storage.as_ref().filter(|_| file.stored) {
                Some(storage) => storage.opened(&file.file),
                None => self.writing.opened(&file.file),
            }
        }
        self.push(made)
    }

    fn create_copy(
        &mut self,
        this: Resource<Directory>,
        name: String,
        source: Resource<File>,
        attributes: wit::CopyAttributes,
    ) -> Answer<Resource<File>> {
        let room = self.make_room(&this, true, 0)?;
        let source = Arc::clone(&self.table.get(&source)?.file);
        let attributes = checked_attributes(attributes, self.table.get(&this)?.stored);
        let (room, attributes) = match (room, attributes) {
            (Ok(room), Ok(attributes)) => (Ok(room), attributes),
            (Err(error), _) | (Ok(_), Err(error)) => (Err(error), Attributes::default()),
        };
        let made = self.make("directory.create-copy", &this, &name, room, |directory, name| {
            let copy = directory.handle.create_copy(name, &source, &attributes)?;
            File::new(copy, true, directory.stored).copy_of(&source)
        })?;
        if let Ok(file) = &made {
            match self.storage.as_ref().filter(|_| file.stored) {
                Some(storage) => storage.opened(&file.file),
                None => self.writing.opened(&file.file),
            }
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
        if target.len() > LINK_BYTES {
            self.enter("directory.create-link")?;
            let message = format!("{name}: the text of a link is longer than 4,095 bytes");
            return Ok(refuse(ErrorCode::InvalidArgument, message));
        }
        let inside = self.table.get(&this)?.keeps_inside(&target);
        if !matches!(inside, Ok(true)) {
            self.enter("directory.create-link")?;
            return Ok(match inside {
                Err(error) => Err(failure(&error, &name)),
                Ok(_) => leads_out(&name, &target),
            });
        }
        let room = self.make_room(&this, false, target.len())?;
        self.make("directory.create-link", &this, &name, room, |directory, name| {
            directory.handle.create_link(name, &target)
        })
    }

    fn remove_file(&mut self, this: Resource<Directory>, name: String) -> Answer<()> {
        let storage = self.storage_of(&this)?;
        self.on_entry("directory.remove-file", &this, &name, true, |directory, name| {
            directory.freeing(storage.as_ref(), name, || directory.handle.remove_file(name))
        })
    }

    fn remove_directory(&mut self, this: Resource<Directory>, name: String) -> Answer<()> {
        let storage = self.storage_of(&this)?;
        self.on_entry("directory.remove-directory", &this, &name, true, |directory, name| {
            directory.freeing(storage.as_ref(), name, || directory.handle.remove_directory(name))
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
        const CALL: &str = "directory.rename";
        let to = match self.target(CALL, &to, &to_name)? {
            Ok(to) => to,
            Err(error) => return Ok(Err(error)),
        };
        let from = self.directory(&this)?;
        let crossing = match self.admit(&from, &name, &to, false) {
            Ok(crossing) => crossing,
            Err(error) => {
                self.enter(CALL)?;
                return Ok(Err(error));
            }
        };
        let replaces = self.storage.clone().filter(|_| to.stored && replace);
        let renamed = self.on_entry(CALL, &this, &name, true, |directory, name| {
            if !may_move(directory, name, &to)? {
                return Ok(false);
            }
            to.freeing(replaces.as_ref(), &to_name, || {
                directory.handle.rename(name, &to.handle, &to_name, replace)
            })?;
            Ok(true)
        })?;
        Ok(match renamed {
            Ok(true) => {
                crossing.done(self.storage.as_ref());
                if let Some(storage) = self.storage.as_ref().filter(|_| from.stored) {
                    storage.loosened();
                }
                Ok(())
            }
            Ok(false) => refuse(
                ErrorCode::AccessDenied,
                format!("{name}: a link would lead out of the directory from there"),
            ),
            Err(error) => Err(error),
        })
    }

    fn link(
        &mut self,
        this: Resource<Directory>,
        name: String,
        to: Resource<Directory>,
        to_name: String,
    ) -> Answer<()> {
        const CALL: &str = "directory.link";
        let to = match self.target(CALL, &to, &to_name)? {
            Ok(to) => to,
            Err(error) => return Ok(Err(error)),
        };
        let from = self.directory(&this)?;
        let crossing = match self.admit(&from, &name, &to, true) {
            Ok(crossing) => crossing,
            Err(error) => {
                self.enter(CALL)?;
                return Ok(Err(error));
            }
        };
        let linked = self.on_entry(CALL, &this, &name, true, |directory, name| {
            if !may_move(directory, name, &to)? {
                return Ok(false);
            }
            directory.handle.link(name, &to.handle, &to_name)?;
            Ok(true)
        })?;
        Ok(match linked {
            Ok(true) => {
                crossing.done(self.storage.as_ref());
                Ok(())
            }
            Ok(false) => refuse(
                ErrorCode::AccessDenied,
                format!("{name}: a link would lead out of the directory from there"),
            ),
            Err(error) => Err(error),
        })
    }

    fn set_mode(&mut self, this: Resource<Directory>, name: String, mode: u32) -> Answer<()> {
        self.on_entry("directory.set-mode", &this, &name, true, |directory, name| {
            let mode = match directory.stored
                && directory.handle.look_at(name)?.kind == wit::EntryKind::Directory
            {
                true => directory.measurable(mode),
                false => mode,
            };
            directory.handle.set_mode(name, mode & 0o3777)
        })
    }

    fn set_modified(
        &mut self,
        this: Resource<Directory>,
        name: String,
        modified: i64,
    ) -> Answer<()> {
        self.on_entry("directory.set-modified", &this, &name, true, |directory, name| {
            directory.handle.set_modified(name, modified)
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
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let held = locks.hold(&directory.handle, directory.access);
        drop(locks);
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
            ("a/", 0, true),
            ("a//b", 0, true),
            ("a/../b", 0, true),
            ("b/../../c", 1, true),
            ("../a/../b", 1, true),
            ("../x", 0, false),
            ("../../x", 1, false),
            ("./../x", 0, false),
            ("a/../../x", 0, false),
            ("../../x/y/z", 1, false),
            ("/etc/passwd", 5, false),
            ("//server/share", 5, false),
            // On Unix these are names.
            ("..\\..\\x", 1, cfg!(unix)),
            ("\\x", 1, cfg!(unix)),
            ("c:x", 1, cfg!(unix)),
            ("", 0, false),
        ] {
            assert_eq!(stays_inside(target, depth), inside, "{target:?} at depth {depth}");
        }
    }
}

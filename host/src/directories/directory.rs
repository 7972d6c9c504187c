//! The resource `directory` of the `directories` interface: an open directory, and what can be done
//! with one entry of it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Resource;

use super::{Answer, Fence, File, Links, Listing, failure, refuse, system};
use crate::bindings::directories as wit;
use crate::bindings::types;
use crate::convert;
use crate::grants::Access;
use crate::hresult::ErrorCode;
use crate::state::{State, Waiting};
use crate::storage::{ENTRY_BYTES, STORAGE};

/// The longest name, in bytes. Longer ones exist on no file system that matters.
const NAME_BYTES: usize = 255;

/// An open directory and what may be done in it.
#[allow(unreachable_pub, reason = "the generated bindings name it")]
#[derive(Clone, Debug)]
pub struct Directory {
    pub(super) handle: Arc<system::Handle>,
    access: Access,
    /// How many directories it is below the granted one.
    depth: usize,
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
    pub(super) fn open(path: &Path, access: Access, name: &str, fence: &Fence) -> io::Result<Self> {
        // The path of a grant was without links when it was granted: one that is there now has
        // taken the directory's place.
        let handle = Arc::new(system::Handle::open(path, Links::Refuse, fence)?);
        Ok(Self { handle, access, depth: 0, stored: false, name: name.into() })
    }

    /// The plugin's own storage, which is in the host's state.
    pub(super) fn open_storage(path: &Path, access: Access) -> io::Result<Self> {
        let handle = Arc::new(system::Handle::open(path, Links::Follow, &Fence::default())?);
        Ok(Self { handle, access, depth: 0, stored: true, name: STORAGE.into() })
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

    /// The directory that an entry is renamed or linked to, if it may be there under that name. A
    /// file that comes into the storage takes room there, a linked one when its first name is gone.
    fn admit(
        &mut self,
        call: &'static str,
        this: &Resource<Directory>,
        name: &str,
        to: &Resource<Directory>,
        to_name: &str,
    ) -> Answer<Directory> {
        let to = self.directory(to)?;
        let from = self.directory(this)?;
        let comes = || match from.stored || !to.stored || checked_name(name).is_err() {
            true => 0,
            false => size_of(&from, name),
        };
        let allowed = to.writable().and_then(|()| checked_name(to_name));
        match allowed.and_then(|_| self.charge(to.stored, comes())) {
            Ok(()) => Ok(Ok(to)),
            Err(error) => {
                self.enter(call)?;
                Ok(Err(error))
            }
        }
    }

    /// Takes room in the storage for one more entry, and makes sure that it can be opened.
    fn make_room(&self, this: &Resource<Directory>, opens: bool) -> Answer<()> {
        if opens && self.open_files >= self.max_open_files {
            return Ok(refuse(ErrorCode::Failed, self.too_many_open()));
        }
        Ok(self.charge(self.table.get(this)?.stored, ENTRY_BYTES))
    }
}

/// The size of an entry that takes room; 0 for what takes none, or is not there.
fn size_of(directory: &Directory, name: &str) -> u64 {
    match directory.handle.stat(name) {
        Ok(metadata) if metadata.kind == wit::EntryKind::File => metadata.size,
        Ok(_) | Err(_) => 0,
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
        let to = match self.admit("directory.rename", &this, &name, &to, &to_name)? {
            Ok(to) => to,
            Err(error) => return Ok(Err(error)),
        };
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
        let to = match self.admit("directory.link", &this, &name, &to, &to_name)? {
            Ok(to) => to,
            Err(error) => return Ok(Err(error)),
        };
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

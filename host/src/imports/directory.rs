//! The resource `directory` of the `directories` interface: an open directory and the operations on
//! its entries.

use std::io;
use std::sync::Arc;

use wasmtime::component::Resource;

use super::answer::{Answer, failure, refuse, wit_metadata};
use super::names::{checked_attributes, checked_name};
use super::room::freeing;
use crate::bindings::{directories as wit, types};
use crate::convert;
use crate::fs::attributes::Attributes;
use crate::fs::directory::{Directory, Listing};
use crate::fs::file::File;
use crate::fs::links::keeps_inside;
use crate::fs::locks::DirectoryLock;
use crate::fs::metadata::EntryKind;
use crate::fs::system;
use crate::grants::Access;
use crate::state::{ParkedCtx, SyncMgrCtx};
use crate::storage::{STORAGE, Storage};
use crate::types::ErrorCode;

/// The maximum length of a link's text in bytes, as on Linux.
const LINK_BYTES: usize = 4_095;

/// Checks that the directory is granted read-write.
pub(super) fn writable(directory: &Directory) -> Result<(), types::Error> {
    match directory.access {
        Access::ReadWrite => Ok(()),
        Access::ReadOnly => {
            let name = &*directory.name;
            let remedy = match name {
                STORAGE => "the operator must not start a dry run",
                _granted => "the operator must grant it read-write, and not start a dry run",
            };
            let message = format!("`{name}` is granted for reading only; {remedy}");
            refuse(ErrorCode::AccessDenied, message)
        }
    }
}

fn leads_out<T>(name: &str, target: &str) -> Result<T, types::Error> {
    refuse(
        ErrorCode::AccessDenied,
        format!("{name}: a link to {target:?} would lead out of the directory"),
    )
}

impl SyncMgrCtx {
    pub(super) fn directory(&self, this: &Resource<Directory>) -> wasmtime::Result<Directory> {
        Ok(self.table.get(this)?.clone())
    }

    /// Returns the storage if the directory is in it.
    fn storage_of(&self, this: &Resource<Directory>) -> wasmtime::Result<Option<Storage>> {
        let stored = self.table.get(this)?.stored;
        Ok(self.storage.clone().filter(|_| stored))
    }

    /// Runs an operation on a directory entry; `what` describes it in the error message.
    pub(super) fn on_entry<T>(
        &mut self,
        call: &'static str,
        this: &Resource<Directory>,
        name: &str,
        changes: bool,
        operation: impl FnOnce(&Directory, &str) -> io::Result<T>,
    ) -> Answer<T> {
        self.enter(call)?;
        let directory = self.table.get(this)?;
        let allowed = if changes { writable(directory) } else { Ok(()) };
        Ok(allowed
            .and_then(|()| checked_name(name))
            .and_then(|name| operation(directory, name).map_err(|error| failure(&error, name))))
    }

    /// Adds a file that was created.
    fn push_new(&mut self, made: Result<File, types::Error>) -> Answer<Resource<File>> {
        if let Ok(file) = &made {
            match self.storage.as_ref().filter(|_| file.stored) {
                Some(storage) => storage.opened(&file.file),
                None => self.writing.opened(&file.file),
            }
        }
        self.push(made)
    }
}

impl wit::HostDirectory for ParkedCtx<'_> {
    fn metadata(&mut self, this: Resource<Directory>) -> Answer<wit::EntryMetadata> {
        self.enter("directory.metadata")?;
        let directory = self.table.get(&this)?;
        Ok(directory
            .handle
            .metadata()
            .map(wit_metadata)
            .map_err(|error| failure(&error, "the directory")))
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
                Ok(metadata) => Ok(Some(wit_metadata(metadata))),
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
            // Directories in the storage belong to the plugin.
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
        self.push_new(made)
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
        self.push_new(made)
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
        let inside = keeps_inside(self.table.get(&this)?, &target);
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
            freeing(directory, storage.as_ref(), name, || directory.handle.remove_file(name))
        })
    }

    fn remove_directory(&mut self, this: Resource<Directory>, name: String) -> Answer<()> {
        let storage = self.storage_of(&this)?;
        self.on_entry("directory.remove-directory", &this, &name, true, |directory, name| {
            freeing(directory, storage.as_ref(), name, || directory.handle.remove_directory(name))
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
        let replaced = self.storage_of(&to)?.filter(|_| replace);
        let rename = |from: &Directory, to: &Directory| {
            freeing(to, replaced.as_ref(), &to_name, || {
                from.handle.rename(&name, &to.handle, &to_name, replace)
            })
        };
        let renamed =
            self.relocate("directory.rename", &this, &name, &to, &to_name, false, rename)?;
        if let (Ok(()), Some(storage)) = (&renamed, self.storage_of(&this)?) {
            storage.loosened();
        }
        Ok(renamed)
    }

    fn link(
        &mut self,
        this: Resource<Directory>,
        name: String,
        to: Resource<Directory>,
        to_name: String,
    ) -> Answer<()> {
        let link = |from: &Directory, to: &Directory| from.handle.link(&name, &to.handle, &to_name);
        self.relocate("directory.link", &this, &name, &to, &to_name, true, link)
    }

    fn set_mode(&mut self, this: Resource<Directory>, name: String, mode: u32) -> Answer<()> {
        self.on_entry("directory.set-mode", &this, &name, true, |directory, name| {
            let mode = match directory.stored
                && directory.handle.look_at(name)?.kind == EntryKind::Directory
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
        Ok(writable(directory).and_then(|()| {
            directory.handle.flush().map_err(|error| failure(&error, "flushing a directory"))
        }))
    }

    fn lock(&mut self, this: Resource<Directory>) -> Answer<Resource<DirectoryLock>> {
        self.enter("directory.lock")?;
        // Before it makes a shared lock exclusive.
        if self.open_files >= self.limits.open_files {
            return Ok(refuse(ErrorCode::Failed, self.too_many_open()));
        }
        let directory = self.table.get(&this)?;
        let lock = DirectoryLock::new(&self.locks, &directory.handle, directory.access);
        self.push(lock.map_err(|error| match error.kind() == io::ErrorKind::WouldBlock {
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

//! The imported interface `directories`: operates on one entry of an open directory at a time, and
//! never through a link.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::answer::{Answer, failure, refuse, wit_metadata};
use super::directory::writable;
use super::file::writable as writable_file;
use super::flush_files::admit_first;
use crate::bindings::{directories as wit, types};
use crate::convert;
use crate::fs::directory::{Directory, Listing};
use crate::fs::file::File;
use crate::fs::locks::DirectoryLock;
use crate::fs::metadata::Entry;
use crate::grants::{Access, Grant};
use crate::state::ParkedCtx;
use crate::storage::STORAGE;
use crate::types::ErrorCode;

/// The maximum number of entries that one call of `next` returns.
const PAGE_ENTRIES: usize = 1024;

impl wit::Host for ParkedCtx<'_> {
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
            // The message omits the path, because the plugin must not know it.
            Some(grant) => Directory::open(grant.path(), grant.access(), grant.name(), &self.fence)
                .map_err(|error| failure(&error, &format!("the directory `{name}`"))),
            None => refuse(ErrorCode::AccessDenied, self.no_directory(&name)),
        };
        self.push(opened)
    }

    fn open_storage(&mut self) -> Answer<Resource<Directory>> {
        self.enter("open-storage")?;
        let opened = match &self.storage {
            Some(storage) => Directory::open_storage(&storage.path, storage.access, STORAGE)
                .map_err(|error| failure(&error, "the plugin's own storage")),
            None => {
                refuse(ErrorCode::AccessDenied, format!("{} was not granted storage", self.plugin))
            }
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
            Ok((writable_file(file), Arc::clone(&file.file)))
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
            Ok((writable(directory), Arc::clone(&directory.handle)))
        })?;
        self.flush_admitted(admitted, "flushing a directory", |handle| handle.flush())
    }
}

/// Converts a listed entry to the contract's record.
fn wit_entry(entry: Entry) -> wit::Entry {
    let (Ok(name) | Err(name)) = &entry.name;
    let metadata = entry.metadata.map(wit_metadata).map_err(|error| failure(&error, name));
    let name = match entry.name {
        Ok(name) => wit::EntryName::Text(name),
        Err(approximation) => wit::EntryName::Undecodable(approximation),
    };
    wit::Entry { name, metadata }
}

impl wit::HostDirectoryLock for ParkedCtx<'_> {
    fn unlock(&mut self, this: Resource<DirectoryLock>) -> wasmtime::Result<()> {
        self.enter("directory-lock.unlock")?;
        self.table.get_mut(&this)?.release();
        Ok(())
    }

    fn drop(&mut self, this: Resource<DirectoryLock>) -> wasmtime::Result<()> {
        self.close(this)
    }
}

impl wit::HostListing for ParkedCtx<'_> {
    fn next(&mut self, this: Resource<Listing>) -> Answer<Vec<wit::Entry>> {
        self.enter("listing.next")?;
        let listing = self.table.get_mut(&this)?;
        let page = listing.entries.page(PAGE_ENTRIES);
        Ok(page
            .map(|entries| entries.into_iter().map(wit_entry).collect())
            .map_err(|error| failure(&error, "listing")))
    }

    fn drop(&mut self, this: Resource<Listing>) -> wasmtime::Result<()> {
        self.close(this)
    }
}

//! The `directories` interface on real files. Like the host, it never follows a link.

mod copy;
mod directory;
mod file;
mod metadata;

pub(crate) use copy::{CopiedFile, CopyAttributes, CopyRequest, copy_files, copy_files_with};
pub(crate) use directory::{Directory, DirectoryLock, Listing};
pub(crate) use file::File;

use crate::bindings::syncmgr::plugin::directories::{Access, Grant};
use crate::bindings::syncmgr::plugin::types::ErrorCode;
use crate::guid::ItemId;
use crate::native::answer::{Answer, refuse};
use crate::native::script::Granted;
use crate::native::session;

/// The most files or directories that one call flushes or copies.
const BATCH: usize = 1_024;

pub(crate) fn get_grants() -> Vec<Grant> {
    let grant = |granted: &Granted| Grant {
        name: granted.name.clone(),
        access: granted.access,
        id: ItemId::from_name(&granted.path.to_string_lossy()).to_wit(),
    };
    session::with(|state| state.script.grants.iter().map(grant).collect())
}

pub(crate) fn open_grant(name: &str) -> Answer<Directory> {
    session::enter("open-grant")?;
    let grant = session::with(|state| {
        state.script.grants.iter().find(|granted| granted.name == name).cloned()
    });
    match grant {
        None => refuse(ErrorCode::AccessDenied, "no directory with this name is granted"),
        Some(Granted { path, access, .. }) if path.is_dir() => Ok(Directory::root(path, access)),
        Some(_) => refuse(ErrorCode::NotFound, "the directory does not exist"),
    }
}

pub(crate) fn open_storage() -> Answer<Directory> {
    session::enter("open-storage")?;
    match session::with(|state| state.script.storage.clone()) {
        Some(path) => Ok(Directory::root(path, Access::ReadWrite)),
        None => refuse(ErrorCode::AccessDenied, "there is no storage"),
    }
}

pub(crate) fn flush_files(files: &[&File]) -> Vec<Answer<()>> {
    let entered = session::enter("flush-files");
    batch(files, "files", || entered.clone(), |file| file.sync())
}

pub(crate) fn flush_directories(directories: &[&Directory]) -> Vec<Answer<()>> {
    let entered = session::enter("flush-directories");
    batch(directories, "directories", || entered.clone(), |_| Ok(()))
}

/// Calls `act` for each of up to [`BATCH`] elements, after `enter`.
fn batch<T, A>(
    elements: &[T],
    what: &str,
    enter: impl Fn() -> Answer<()>,
    act: impl Fn(&T) -> Answer<A>,
) -> Vec<Answer<A>> {
    let result = |(index, element)| {
        enter()?;
        match index < BATCH {
            true => act(element),
            false => refuse(ErrorCode::InvalidArgument, format!("too many {what} in one call")),
        }
    };
    elements.iter().enumerate().map(result).collect()
}

//! Symbolic links through WASI follow the rule of the `directories` interface: a plugin cannot
//! create or move a link that leads out of the granted directory.

use std::fs::File;
use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};

use crate::fs::links::{link_stays_inside, may_move_between};
use crate::state::SyncMgrCtx;

type Outcome<T> = wasmtime::Result<Result<T, ErrorCode>>;

/// Splits a path into the parent directory and the name. Returns `None` if the path has no such
/// name.
fn split(path: &str) -> Option<(&str, &str)> {
    let path = path.trim_end_matches('/');
    let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
    let is_name = !matches!(name, "" | "." | "..");
    is_name.then_some((if parent.is_empty() { "/" } else { parent }, name))
}

/// Opens the parent directory of an entry.
async fn parent(
    state: &mut SyncMgrCtx,
    directory: &Resource<Descriptor>,
    parent: &str,
) -> Outcome<Arc<File>> {
    let directory = Resource::new_borrow(directory.rep());
    if parent == "." {
        return Ok(open_directory(state, &directory));
    }
    let (flags, open) = (PathFlags::SYMLINK_FOLLOW, OpenFlags::DIRECTORY);
    let path = parent.to_owned();
    let opened =
        state.filesystem().open_at(directory, flags, path, open, DescriptorFlags::READ).await;
    match opened {
        Ok(opened) => {
            let file = open_directory(state, &opened);
            state.table.delete(opened)?;
            Ok(file)
        }
        Err(error) => Ok(Err(error.downcast()?)),
    }
}

fn open_directory(
    state: &SyncMgrCtx,
    directory: &Resource<Descriptor>,
) -> Result<Arc<File>, ErrorCode> {
    match state.table.get(directory) {
        Ok(Descriptor::Dir(directory)) => Ok(Arc::clone(&directory.dir)),
        Ok(Descriptor::File(_)) => Err(ErrorCode::NotDirectory),
        Err(_) => Err(ErrorCode::BadDescriptor),
    }
}

/// Checks whether a link may be created at a path.
pub(super) async fn may_link(
    state: &mut SyncMgrCtx,
    text: &str,
    directory: &Resource<Descriptor>,
    path: &str,
) -> Outcome<()> {
    // Creating the link returns the error of the path.
    let Some((parent_path, _)) = split(path) else { return Ok(Ok(())) };
    let parent = match parent(state, directory, parent_path).await? {
        Ok(parent) => parent,
        Err(error) => return Ok(Err(error)),
    };
    Ok(match link_stays_inside(text, &parent, &state.wasi_files.roots) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(ErrorCode::NotPermitted),
    })
}

/// Checks whether an entry may be moved or linked.
pub(super) async fn may_move(
    state: &mut SyncMgrCtx,
    (from, path): (&Resource<Descriptor>, &str),
    (to, to_path): (&Resource<Descriptor>, &str),
) -> Outcome<()> {
    let (Some((from_parent, name)), Some((to_parent, _))) = (split(path), split(to_path)) else {
        return Ok(Ok(()));
    };
    if from.rep() == to.rep() && from_parent == to_parent {
        return Ok(Ok(()));
    }
    let from = match parent(state, from, from_parent).await? {
        Ok(from) => from,
        Err(error) => return Ok(Err(error)),
    };
    let to = match parent(state, to, to_parent).await? {
        Ok(to) => to,
        Err(error) => return Ok(Err(error)),
    };
    Ok(match may_move_between(&from, name, &to, &state.wasi_files.roots) {
        // Moving returns the error of a missing entry.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(ErrorCode::NotPermitted),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_directory_and_a_name() {
        for (path, expected) in [
            ("a", Some((".", "a"))),
            ("a/", Some((".", "a"))),
            ("a/b", Some(("a", "b"))),
            ("a/b//", Some(("a", "b"))),
            ("a//b", Some(("a/", "b"))),
            ("../a", Some(("..", "a"))),
            ("/a", Some(("/", "a"))),
            ("", None),
            ("/", None),
            (".", None),
            ("a/..", None),
        ] {
            assert_eq!(split(path), expected, "{path:?}");
        }
    }
}

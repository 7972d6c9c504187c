//! Calls every function with a path or name parameter with the same path.

use syncmgr_plugin::bindings::syncmgr::plugin::{directories, types};

use super::wasi::{DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags};
use super::wasi_02::wasi::filesystem::preopens;

/// Returns the answer of each function of WASI for a path in the directory `left`. Functions that
/// change something come last.
pub(super) fn through_wasi(path: &str) -> Vec<(&'static str, Result<(), ErrorCode>)> {
    let found = preopens::get_directories().into_iter().find(|(_, name)| name == "/left");
    let (root, _) = found.expect("`left` is granted");
    let (follow, stay, now) = (PathFlags::SYMLINK_FOLLOW, PathFlags::empty(), NewTimestamp::Now);
    let open = |links, flags, access| root.open_at(links, path, flags, access).map(drop);
    let (none, read, write) = (OpenFlags::empty(), DescriptorFlags::READ, DescriptorFlags::WRITE);
    vec![
        ("open-at", open(follow, none, read)),
        ("open-at without following", open(stay, none, read)),
        ("stat-at", root.stat_at(follow, path).map(drop)),
        ("stat-at without following", root.stat_at(stay, path).map(drop)),
        ("metadata-hash-at", root.metadata_hash_at(follow, path).map(drop)),
        ("readlink-at", root.readlink_at(path).map(drop)),
        ("open-at for writing", open(follow, none, write)),
        ("set-times-at", root.set_times_at(follow, path, now, now)),
        ("link-at from it", root.link_at(stay, path, &root, "linked")),
        ("link-at to it", root.link_at(stay, "file", &root, path)),
        ("symlink-at", root.symlink_at("file", path)),
        ("create-directory-at", root.create_directory_at(path)),
        ("rename-at to it", root.rename_at("moved", &root, path)),
        ("rename-at from it", root.rename_at(path, &root, "renamed")),
        ("open-at to create", open(follow, OpenFlags::CREATE, write)),
        ("open-at to truncate", open(follow, OpenFlags::TRUNCATE, write)),
        ("unlink-file-at", root.unlink_file_at(path)),
        ("remove-directory-at", root.remove_directory_at(path)),
    ]
}

/// Returns the answer for creating a link with this target.
pub(super) fn link_to(text: &str) -> Result<(), ErrorCode> {
    let found = preopens::get_directories().into_iter().find(|(_, name)| name == "/left");
    let (root, _) = found.expect("`left` is granted");
    root.symlink_at(text, "link-to")
}

/// Returns the answer of `directories` if each component of a path but the last is opened, and then
/// the last.
pub(super) fn through_directories(path: &str) -> Result<(), types::ErrorCode> {
    let code = |error: types::Error| error.code;
    let mut directory = directories::open_grant("left").map_err(code)?;
    let (around, last) = path.rsplit_once('/').unwrap_or(("", path));
    for name in around.split('/').filter(|name| !name.is_empty()) {
        directory = directory.open_directory(name).map_err(code)?;
    }
    match directory.open_file(last) {
        Ok(_) => Ok(()),
        Err(_) => directory.open_directory(last).map(drop).map_err(code),
    }
}

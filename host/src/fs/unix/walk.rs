//! Resolves a path of several names, which WASI resolves in one step.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};

use super::special;
use super::stat::device;
use crate::fs::fence::Fence;

/// The maximum number of links at the end of one path, as in the system.
const MAX_LINKS: usize = 40;
/// The maximum depth of a path below its base. No path of the system is longer.
const MAX_DEPTH: usize = 4096;

/// The flags for opening a directory only to examine it and its parent.
#[cfg(target_os = "linux")]
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const LOOK: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

pub(crate) fn leads_out(base: &File, path: &str, follow: bool, fence: &Fence) -> bool {
    // An entry that cannot be examined is treated as harmful.
    leads_out_inner(base, Path::new(path), follow, fence).unwrap_or(true)
}

fn leads_out_inner(base: &File, path: &Path, follow: bool, fence: &Fence) -> io::Result<bool> {
    let base_stat = fstat(base)?;
    let mut path = path.to_owned();
    let mut links = 0;
    let found = loop {
        // wasmtime refuses a path that leads out of the base.
        if path.is_absolute() {
            return Ok(false);
        }
        let found = statat(base, &path, AtFlags::SYMLINK_NOFOLLOW).ok();
        let is_link = found.as_ref().is_some_and(|found| kind(found) == FileType::Symlink);
        if !is_link || !follow {
            break found;
        }
        links += 1;
        if links > MAX_LINKS {
            return Ok(true);
        }
        let Ok(target) = readlinkat(base, &path, Vec::new()) else { break found };
        let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
        path = parent(&path).join(target);
    };
    let crosses = |stat: &Stat| device(stat) != device(&base_stat);
    let is_directory = found.as_ref().is_some_and(|found| kind(found) == FileType::Directory);
    if let Some(found) = &found {
        if is_directory && fence.check(device(found), found.st_ino).is_err() {
            return Ok(true);
        }
        // A single name on the same device is in the base itself.
        let is_single = path.components().count() == 1 && !path.starts_with("..");
        if is_single && !crosses(found) {
            return Ok(false);
        }
        // A file can be a mount point, too.
        if !is_directory && crosses(found) && kind(found) != FileType::Symlink {
            return match openat(base, &path, LOOK, Mode::empty()) {
                Ok(opened) => special::has(opened),
                Err(_) => Ok(true),
            };
        }
    }
    let around = if is_directory { path.as_path() } else { parent(&path) };
    let opened = openat(base, around, LOOK.difference(OFlags::NOFOLLOW), Mode::empty());
    let Ok(opened) = opened else {
        // wasmtime cannot reach a directory that does not exist or cannot be searched either.
        return Ok(found.is_some_and(|found| crosses(&found)));
    };
    let stat = fstat(&opened)?;
    if crosses(&stat) && special::has(&opened)? {
        return Ok(true);
    }
    Ok(!fence.is_empty() && is_inside(opened, stat, &base_stat, fence)?)
}

/// Returns the parent directory of a path.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Returns whether a directory, or one between it and the base, is excluded.
fn is_inside(opened: OwnedFd, stat: Stat, base: &Stat, fence: &Fence) -> io::Result<bool> {
    let identity = |stat: &Stat| (device(stat), stat.st_ino);
    let (mut opened, mut stat) = (opened, stat);
    for _ in 0..MAX_DEPTH {
        if identity(&stat) == identity(base) {
            return Ok(false);
        }
        if fence.check(device(&stat), stat.st_ino).is_err() {
            return Ok(true);
        }
        let around =
            openat(opened.as_fd(), "..", LOOK.difference(OFlags::NOFOLLOW), Mode::empty())?;
        let around_stat = fstat(&around)?;
        if identity(&around_stat) == identity(&stat) {
            return Ok(false);
        }
        (opened, stat) = (around, around_stat);
    }
    Ok(true)
}

#[allow(clippy::useless_conversion, reason = "the types differ between systems")]
fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

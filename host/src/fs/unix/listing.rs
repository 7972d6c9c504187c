//! Lists the entries of a directory.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, Mode, fstat, openat, statat};
use rustix::io::Errno;

use super::stat::{metadata, seen};
use super::{DIRECTORY, Handle};
use crate::fs::metadata::{Entry, Seen};

/// The remaining entries of a listing.
#[derive(Debug)]
pub(crate) struct Entries {
    entries: Dir,
    directory: OwnedFd,
}

impl Entries {
    pub(crate) fn new(directory: &Handle) -> io::Result<Self> {
        // A separate handle, because reading moves its position.
        let own = openat(&directory.0, ".", DIRECTORY, Mode::empty())?;
        Ok(Self { entries: Dir::read_from(&own)?, directory: own })
    }

    pub(crate) fn page(&mut self, limit: usize) -> io::Result<Vec<Entry>> {
        let mut page = Vec::new();
        while page.len() < limit {
            let Some(entry) = self.entries.read() else {
                // The listing of a directory that was removed ends early, without being empty.
                if fstat(&self.directory)?.st_nlink == 0 {
                    return Err(Errno::NOENT.into());
                }
                break;
            };
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let metadata = match statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                // Removed since it was listed.
                Err(Errno::NOENT) => continue,
                Err(error) => Err(error.into()),
                Ok(stat) => Ok(metadata(&stat)),
            };
            let name = match name.to_str() {
                Ok(name) => Ok(name.to_owned()),
                Err(_) => Err(name.to_string_lossy().into_owned()),
            };
            page.push(Entry { name, metadata });
        }
        Ok(page)
    }
}

/// Calls `each` for the entries of a directory, with their names if those are Unicode, until it
/// returns `false`.
pub(crate) fn visit(
    directory: &Handle,
    mut each: impl FnMut(Option<&str>, Seen) -> io::Result<bool>,
) -> io::Result<()> {
    let mut entries = Dir::read_from(&directory.0)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = match statat(&directory.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        if !each(name.to_str().ok(), seen(&stat))? {
            break;
        }
    }
    Ok(())
}

pub(crate) fn count_entries(directory: &std::fs::File, most: usize) -> io::Result<usize> {
    let own = openat(directory, ".", DIRECTORY, Mode::empty())?;
    let mut entries = Dir::read_from(&own)?;
    let mut count = 0;
    while count <= most {
        let Some(entry) = entries.read() else { break };
        let name = entry?;
        // Every directory contains these two, and WASI lists neither.
        count += usize::from(!matches!(name.file_name().to_bytes(), b"." | b".."));
    }
    Ok(count)
}

//! Removes runs from the trash.

use std::io;

use syncmgr_host::files::UserDirectory;

use super::tree::{open_below, split, walk};
use super::{PAIR, Part, pair_name};

/// Removes everything that a run moved to the trash. The file with its pair remains as long as
/// anything else does.
pub(crate) fn remove(part: &Part) -> io::Result<()> {
    let trash = &part.place.directory;
    let run = match trash.directory(&part.run) {
        // A run removed it, because of the setting `trash-keep`.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    if part.place.is_in_root {
        clear(&run, None)?;
        trash.remove_directory(&part.run)?;
        return remove_file(trash, &pair_name(&part.run));
    }
    clear(&run, Some(PAIR))?;
    remove_file(&run, PAIR)?;
    trash.remove_directory(&part.run)
}

/// Removes everything in a directory, except an entry of this name.
fn clear(directory: &UserDirectory, kept: Option<&str>) -> io::Result<()> {
    let directories = walk(directory, "", |path, entry| match entry.name() {
        None => Err(io::Error::new(io::ErrorKind::InvalidFilename, "a name is not Unicode")),
        Some(_) if kept == Some(path) => Ok(()),
        Some(name) => {
            let parent = open_below(directory, split(path).0)?;
            remove_file(&parent, name)
        }
    })?;
    for path in directories.iter().rev().filter(|path| !path.is_empty()) {
        let (parent, name) = split(path);
        open_below(directory, parent)?.remove_directory(name)?;
    }
    Ok(())
}

fn remove_file(directory: &UserDirectory, name: &str) -> io::Result<()> {
    match directory.remove_file(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes the directories of a run that are empty: some, each of which follows the one above it,
/// and those above them; and the run if nothing remains of it. Failures leave empty directories.
pub(super) fn prune(part: &Part, directories: &[String], above: &str) {
    let Ok(files) = part.open() else { return };
    let remove = |path: &str| {
        let (parent, name) = split(path);
        open_below(&files, parent).and_then(|parent| parent.remove_directory(name))
    };
    for path in directories.iter().rev().filter(|path| !path.is_empty()) {
        let _ = remove(path);
    }
    let mut above = above;
    while !above.is_empty() {
        if remove(above).is_err() {
            return;
        }
        above = split(above).0;
    }
    let trash = &part.place.directory;
    if part.place.is_in_root {
        if trash.remove_directory(&part.run).is_ok() {
            let _ = remove_file(trash, &pair_name(&part.run));
        }
        return;
    }
    let Ok(run) = trash.directory(&part.run) else { return };
    let _ = part.side.map(|side| run.remove_directory(side));
    if run.names().is_ok_and(|names| names.iter().all(|name| name == PAIR)) {
        let _ = remove_file(&run, PAIR);
        let _ = trash.remove_directory(&part.run);
    }
}

//! Settles a conflict in a directory. A version that is not kept is moved to the trash of the
//! directory.

use std::io;
use std::path::Path;

use serde::Serialize;
use syncmgr_host::files::{Found, UserDirectory};
use syncmgr_install::HistoryConflict;
use uuid::Uuid;

use super::copy_name::Kept;
use super::refusal::Refusal;
use super::versions::{Versions, open};
use crate::args::Keep;
use crate::escape::quote;
use crate::exit::Exit;
use crate::trash::{IN_ROOT, pair_name, write_pair};

/// The maximum number of names that are tried for a file.
const MOST_NAMES: u32 = 100;

/// What was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Settled {
    kept: Kept,
    /// The sides of the version that has the name, and of the copy.
    #[serde(skip)]
    sides: [String; 2],
    /// The new path of the other version; `None`: it is a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_to: Option<String>,
}

impl Settled {
    /// Describes what was done.
    pub(crate) fn words(&self, conflict: &HistoryConflict) -> String {
        let keep = if self.moved_to.is_none() { "would keep" } else { "kept" };
        let path = quote(&conflict.path);
        let [side, other] = match self.kept {
            Kept::Path | Kept::Both => [&*self.sides[0], &*self.sides[1]],
            Kept::Copy => [&*self.sides[1], &*self.sides[0]],
        };
        match (self.kept, &self.moved_to) {
            (Kept::Both, Some(new)) => {
                format!("{keep} both versions of {path}: that of {other} is now {}", quote(new))
            }
            (Kept::Both, None) => format!("{keep} both versions of {path}"),
            (Kept::Path | Kept::Copy, Some(trash)) => format!(
                "{keep} the version of {side} of {path}; that of {other} is now {}",
                quote(trash)
            ),
            (Kept::Path | Kept::Copy, None) => format!(
                "{keep} the version of {side} of {path}, and move that of {other} to {IN_ROOT}"
            ),
        }
    }
}

/// The destination of a version that is not kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trash<'a> {
    /// The name of the directory in the trash.
    pub(super) stamp: &'a str,
    /// The ids of the two sides, if both are directories.
    pub(super) pair: Option<[Uuid; 2]>,
}

/// Settles a conflict in the directory `path`.
pub(super) fn settle(
    path: &Path,
    conflict: &HistoryConflict,
    keep: Keep,
    Trash { stamp, pair }: Trash<'_>,
    dry_run: bool,
) -> Result<Settled, Refusal> {
    let root = open(path)?;
    let _lock = root.lock().map_err(|error| match error.kind() == io::ErrorKind::WouldBlock {
        true => Refusal {
            exit: Exit::Held,
            message: format!("another run holds {}; try again after it has ended", path.display()),
        },
        false => Refusal::failed(format!("cannot lock {}", path.display()), &error),
    })?;
    let versions = Versions::open(&root, path, conflict)?;
    let [file, copy] = &versions.files;
    let name = versions.copy_name()?;
    let sides = [name.other_side().unwrap_or("the other side"), name.side].map(str::to_owned);
    let kept = match name.choose(keep, copy.modified() > file.modified()) {
        // A rename of one name of a file to another one of the same file does nothing.
        Ok(Kept::Copy) if file.is_same_file(copy) => Kept::Path,
        chosen => chosen.map_err(Refusal::remaining)?,
    };
    if dry_run {
        return Ok(Settled { kept, sides, moved_to: None });
    }
    let failed = |error: io::Error| {
        Refusal::failed(format!("cannot settle it in {}", path.display()), &error)
    };
    let directory = versions.directory();
    let moved_to = match kept {
        Kept::Both => {
            let free = first_free(
                1,
                |number| name.ordinary(number),
                |new| directory.rename(&versions.names[1], directory, new, false),
            );
            versions.sibling(&free.map_err(failed)?)
        }
        Kept::Path | Kept::Copy => {
            let trash = trash(&root, stamp, pair, &versions.parents).map_err(failed)?;
            let moved = match kept {
                Kept::Copy => versions.replace_by_copy(&trash)?,
                Kept::Path | Kept::Both => versions.move_to(&trash, 1).map_err(failed)?,
            };
            trash.flush().map_err(failed)?;
            format!("{IN_ROOT}/{stamp}/{}", versions.sibling(&moved))
        }
    };
    directory.flush().map_err(failed)?;
    Ok(Settled { kept, sides, moved_to: Some(moved_to) })
}

impl Versions<'_> {
    /// Moves one of the two versions to the trash, and returns its name there.
    fn move_to(&self, trash: &UserDirectory, version: usize) -> io::Result<String> {
        let name = &self.names[version];
        first_free(
            0,
            |number| in_trash(name, number),
            |kept| self.directory().rename(name, trash, kept, false),
        )
    }

    /// Gives the copy the name of the entry, and returns the name of the other version in the
    /// trash. Except on file systems without hard links, the entry exists all the time.
    fn replace_by_copy(&self, trash: &UserDirectory) -> Result<String, Refusal> {
        let (directory, [name, copy]) = (self.directory(), &self.names);
        let failed = |error: io::Error| Refusal::failed(format!("cannot replace {name}"), &error);
        let linked = first_free(
            0,
            |number| in_trash(name, number),
            |kept| directory.link(name, trash, kept),
        );
        match linked {
            Ok(kept) => {
                trash.flush().map_err(failed)?;
                // A change after this is lost if it is one within the next microseconds that
                // replaces the file, as an editor may do; one that writes to it is in the trash.
                let found = [trash.look(&kept), directory.look(name), directory.look(copy)];
                let [file, copy_file] = self.files.map(Found::File);
                if found.map(|found| found.ok()) != [Some(file), Some(file), Some(copy_file)] {
                    return Err(changed());
                }
                directory.rename(copy, directory, name, true).map_err(failed)?;
                Ok(kept)
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                let kept = self.move_to(trash, 0).map_err(failed)?;
                trash.flush().map_err(failed)?;
                directory.rename(copy, directory, name, false).map_err(|error| {
                    // Another program may have created the entry again, and it is not replaced.
                    let _ = trash.rename(&kept, directory, name, false);
                    failed(error)
                })?;
                Ok(kept)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

fn changed() -> Refusal {
    Refusal::remaining("another program changed it in the meantime; try again".to_owned())
}

/// Opens the directory of this command in the trash, for entries of a directory.
fn trash(
    root: &UserDirectory,
    stamp: &str,
    pair: Option<[Uuid; 2]>,
    parents: &[String],
) -> io::Result<UserDirectory> {
    let trash = root.create_private(IN_ROOT)?;
    if let Some(pair) = pair {
        write_pair(&trash, &pair_name(stamp), pair)?;
    }
    let mut directory = trash.create_private(stamp)?;
    for parent in parents {
        directory = directory.create_private(parent)?;
    }
    Ok(directory)
}

/// Returns a name in the trash.
fn in_trash(name: &str, number: u32) -> String {
    match number {
        0 => name.to_owned(),
        more => format!("{name}.{more}"),
    }
}

/// Passes names to `attempt` until one is not taken, and returns it.
fn first_free(
    first: u32,
    name: impl Fn(u32) -> String,
    attempt: impl Fn(&str) -> io::Result<()>,
) -> io::Result<String> {
    for number in first..MOST_NAMES {
        let name = name(number);
        match attempt(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(name),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

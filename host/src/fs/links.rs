//! The rule for symbolic links: a plugin cannot create or move a link that leads out of the granted
//! directory.

use std::io;
use std::sync::Arc;

use super::directory::Directory;
use super::metadata::{EntryKind, FileIdentity};
use super::system;
use super::usage::walk_below;

/// Returns whether a link text, in a directory `depth` levels below the grant, stays inside the
/// grant. It is resolved textually: each name is one level down, whatever it refers to.
pub(crate) fn stays_inside(target: &str, depth: usize) -> bool {
    if target.is_empty() || target.starts_with(system::SEPARATORS) || system::has_drive(target) {
        return false;
    }
    let mut level = depth;
    for part in target.split(system::SEPARATORS) {
        level = match (part, level) {
            ("" | ".", _) => level,
            ("..", 0) => return false,
            ("..", _) => level - 1,
            (_, _) => level + 1,
        };
    }
    true
}

/// Returns whether a link with this text stays inside the grant if it is in this directory.
pub(crate) fn keeps_inside(directory: &Directory, target: &str) -> io::Result<bool> {
    // Most links stay inside from any directory.
    Ok(stays_inside(target, 0) || stays_inside(target, directory.depth_now()?))
}

/// Returns whether a link with this text stays inside the granted directory above an open
/// directory.
pub(crate) fn link_stays_inside(
    text: &str,
    directory: &std::fs::File,
    roots: &[FileIdentity],
) -> io::Result<bool> {
    Ok(stays_inside(text, 0) || keeps_inside(&Directory::of_file(directory, roots)?, text)?)
}

/// Does the same as [`may_move`] for two directories that are already open.
pub(crate) fn may_move_between(
    from: &std::fs::File,
    name: &str,
    to: &std::fs::File,
    roots: &[FileIdentity],
) -> io::Result<bool> {
    may_move(&Directory::of_file(from, roots)?, name, &Directory::of_file(to, roots)?)
}

/// Returns whether an entry can be moved between directories without making a link lead out of the
/// grant. Links in the storage are never followed.
pub(crate) fn may_move(from: &Directory, name: &str, to: &Directory) -> io::Result<bool> {
    if to.stored
        || Arc::ptr_eq(&from.handle, &to.handle)
        || from.handle.identity()? == to.handle.identity()?
    {
        return Ok(true);
    }
    let same_root = from.root == to.root;
    let leads_out = |text: &str, below: usize, from_depth: usize, to_depth: usize| {
        let led_out = same_root && !stays_inside(text, from_depth + below);
        !led_out && !stays_inside(text, to_depth + below)
    };
    match from.handle.look_at(name)?.kind {
        EntryKind::File | EntryKind::Other => Ok(true),
        EntryKind::SymbolicLink => {
            let text = from.handle.read_link(name)?;
            let text = text.to_string_lossy();
            Ok(stays_inside(&text, 0) || !leads_out(&text, 0, from.depth_now()?, to.depth_now()?))
        }
        EntryKind::Directory => {
            let (from_depth, to_depth) = (from.depth_now()?, to.depth_now()?);
            if same_root && to_depth >= from_depth {
                return Ok(true);
            }
            let mut inside = true;
            walk_below(from.handle.open_directory(name)?, |entry| {
                if entry.seen.kind == EntryKind::SymbolicLink {
                    let name = entry.name.ok_or(io::ErrorKind::InvalidFilename)?;
                    let text = entry.directory.read_link(name)?;
                    let text = text.to_string_lossy();
                    inside = !leads_out(&text, entry.depth + 1, from_depth, to_depth);
                }
                Ok(inside)
            })?;
            Ok(inside)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_the_grant() {
        for (target, depth, inside) in [
            ("x", 0, true),
            ("./x", 0, true),
            ("a/b/c", 0, true),
            ("../x", 1, true),
            ("../../x", 2, true),
            ("..", 1, true),
            ("a/", 0, true),
            ("a//b", 0, true),
            ("a/../b", 0, true),
            ("b/../../c", 1, true),
            ("../a/../b", 1, true),
            ("../x", 0, false),
            ("../../x", 1, false),
            ("./../x", 0, false),
            ("a/../../x", 0, false),
            ("../../x/y/z", 1, false),
            ("/etc/passwd", 5, false),
            ("//server/share", 5, false),
            // On Unix, these are names.
            ("..\\..\\x", 1, cfg!(unix)),
            ("\\x", 1, cfg!(unix)),
            ("c:x", 1, cfg!(unix)),
            ("", 0, false),
        ] {
            assert_eq!(stays_inside(target, depth), inside, "{target:?} at depth {depth}");
        }
    }
}

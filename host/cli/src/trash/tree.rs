//! The files below a directory, by handle and with one handle at a time.

use std::io;
use std::ops::Deref;

use syncmgr_host::files::{EntryKind, UserDirectory, UserEntry};

use crate::exit::UsageError;

/// A directory below another one, or that one itself.
pub(super) enum Below<'a> {
    Root(&'a UserDirectory),
    Opened(UserDirectory),
}

impl Deref for Below<'_> {
    type Target = UserDirectory;

    fn deref(&self) -> &UserDirectory {
        match self {
            Self::Root(root) => root,
            Self::Opened(directory) => directory,
        }
    }
}

/// Returns the names in a path.
pub(super) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// Opens a directory below another one, one name at a time.
pub(super) fn open_below<'a>(root: &'a UserDirectory, path: &str) -> io::Result<Below<'a>> {
    let mut current = Below::Root(root);
    for part in parts(path) {
        current = Below::Opened(current.directory(part)?);
    }
    Ok(current)
}

/// Opens a directory below another one, and creates those that are missing. Only the user can
/// access `private` ones.
pub(super) fn make_below<'a>(
    root: &'a UserDirectory,
    path: &str,
    private: bool,
) -> io::Result<Below<'a>> {
    let mut current = Below::Root(root);
    for part in parts(path) {
        let next = match private {
            true => current.create_private(part)?,
            false => match current.create_directory(part) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Ok(()) | Err(_) => current.directory(part)?,
            },
        };
        current = Below::Opened(next);
    }
    Ok(current)
}

/// Joins a path and a name.
pub(super) fn join(path: &str, name: &str) -> String {
    match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}/{name}"),
    }
}

/// Splits a path into that of its directory and its name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Calls `each` for everything below a directory but directories, by path. Returns the paths of the
/// directories, each after the one above it.
pub(crate) fn walk<E: From<io::Error>>(
    root: &UserDirectory,
    path: &str,
    mut each: impl FnMut(&str, &UserEntry) -> Result<(), E>,
) -> Result<Vec<String>, E> {
    let mut pending = vec![path.to_owned()];
    let mut visited = Vec::new();
    while let Some(path) = pending.pop() {
        let mut entries = open_below(root, &path)?.entries()?;
        entries.sort_by(|one, other| one.display_name().cmp(other.display_name()));
        let mut below = Vec::new();
        for entry in &entries {
            let path = join(&path, entry.display_name());
            match entry.kind() == EntryKind::Directory && entry.name().is_some() {
                true => below.push(path),
                false => each(&path, entry)?,
            }
        }
        pending.extend(below.into_iter().rev());
        visited.push(path);
    }
    Ok(visited)
}

/// Returns whether a path is another one, is below it, or ends with it.
pub(crate) fn is_at(path: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_matches('/');
    let is_below = |path: &str| path.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'));
    path == wanted
        || is_below(path)
        || path.strip_suffix(wanted).is_some_and(|before| before.ends_with('/'))
}

/// Checks a path of the command line: names of entries, joined by `/`.
pub(crate) fn plain_path(path: &str) -> Result<&str, UsageError> {
    let trimmed = path.trim_end_matches('/');
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    match trimmed.split('/').all(is_plain) && !trimmed.contains('\0') {
        true => Ok(trimmed),
        false => Err(UsageError(format!(
            "invalid path `{path}`: use the path that `syncmgr trash list` shows, without `.` and \
             `..`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_consists_of_names() {
        for (path, expected) in [
            ("a", Some("a")),
            ("a/b c", Some("a/b c")),
            ("a/", Some("a")),
            ("...", Some("...")),
            ("", None),
            ("/", None),
            ("/etc/passwd", None),
            ("..", None),
            ("a/../b", None),
            ("./a", None),
            ("a//b", None),
            ("a\0b", None),
        ] {
            assert_eq!(plain_path(path).ok(), expected, "{path:?}");
        }
    }

    #[test]
    fn a_path_is_found_as_a_whole_by_its_start_and_by_its_end() {
        for (path, wanted, expected) in [
            ("a/b/c", "a/b/c", true),
            ("a/b/c", "a/b", true),
            ("a/b/c", "/a/", true),
            ("a/b/c", "b/c", true),
            ("a/b/c", "c", true),
            ("a/b/c", "b", false),
            ("a/bc", "a/b", false),
            ("ab/c", "b/c", false),
        ] {
            assert_eq!(is_at(path, wanted), expected, "{path} {wanted}");
        }
    }
}

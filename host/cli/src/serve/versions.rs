//! The two versions of an entry in conflict, as far as they are in granted directories. Only sizes
//! and times are read.

use std::path::{Path, PathBuf};

/// A version of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// The name of the granted directory.
    pub(super) side: String,
    /// The path in it.
    pub(super) path: String,
    /// The size in bytes, of a file.
    pub(super) size: Option<u64>,
    /// The time of the last change, in ms since 1970.
    pub(super) modified: Option<i64>,
}

/// Returns the versions that exist.
pub(super) fn versions(directories: &[(String, String)], paths: [&str; 2]) -> Vec<Version> {
    let mut found = Vec::new();
    for (side, directory) in directories {
        for path in paths {
            let metadata = below(Path::new(directory), path).map(|path| path.symlink_metadata());
            let Some(Ok(metadata)) = metadata else { continue };
            let modified = metadata.modified().ok();
            let modified =
                modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            found.push(Version {
                side: side.clone(),
                path: path.to_owned(),
                size: metadata.is_file().then_some(metadata.len()),
                modified: modified.and_then(|time| i64::try_from(time.as_millis()).ok()),
            });
        }
    }
    found
}

/// Returns the path of an entry in a directory. A plugin chose `path`, so each of its names must be
/// the name of an entry, and each directory must not be a link.
fn below(directory: &Path, path: &str) -> Option<PathBuf> {
    let is_name = |name: &str| {
        !["", ".", ".."].contains(&name)
            && !name.contains('\0')
            && !(cfg!(windows) && name.contains(['\\', ':']))
    };
    let mut found = directory.to_owned();
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        is_name(name).then(|| found.push(name))?;
        if names.peek().is_some() && !found.symlink_metadata().ok()?.is_dir() {
            return None;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_entries_of_the_directory_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("left");
        std::fs::create_dir_all(left.join("docs")).unwrap();
        std::fs::write(left.join("docs/a.txt"), "hello").unwrap();
        std::fs::write(folder.path().join("secret"), "outside").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), left.join("link")).unwrap();
        let outside = folder.path().join("secret").display().to_string();
        let directories = [("left".to_owned(), left.display().to_string())];
        for (path, size) in [
            ("docs/a.txt", Some(Some(5))),
            ("docs", Some(None)),
            ("docs/b.txt", None),
            ("../secret", None),
            ("docs/../../secret", None),
            ("link/secret", None),
            (&*outside, None),
            ("/docs/a.txt", None),
            ("docs//a.txt", None),
            ("docs/a.txt/", None),
            ("./docs/a.txt", None),
            ("docs/a.txt\0", None),
            ("..", None),
            ("", None),
        ] {
            let found = versions(&directories, [path, "missing"]);
            let found = found.first().map(|version| version.size);
            assert_eq!(found, size, "{path:?}");
        }
        assert_eq!(versions(&directories, ["docs/a.txt", "docs"]).len(), 2);
    }
}

//! The files of a recording: recording and restoring directories.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::is_inside;
use crate::check::content::{Content, Text};
use crate::check::error::CheckError;

/// The size of an entry in a recording, without its path and content.
const ENTRY_BYTES: u64 = 128;

/// An entry of a granted directory, with its relative path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecordedFile {
    path: Text,
    /// The content of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Content>,
    /// The modification time of a file, since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_nanoseconds: Option<u64>,
    /// The target of a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<Text>,
    /// The permissions of a file or directory, where the system has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<u32>,
    /// Whether it is neither a file nor a directory nor a link.
    #[serde(default, skip_serializing_if = "is_false")]
    special: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// Records the entries of a directory and all directories below it. `taken`: the bytes of the
/// recording so far.
pub(super) fn record(
    root: &Path,
    limit: u64,
    mut taken: u64,
) -> Result<Vec<RecordedFile>, CheckError> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(CheckError::file("list", &folder))? {
            let full = entry.map_err(CheckError::file("list", &folder))?.path();
            let left = limit.saturating_sub(taken);
            let file = RecordedFile::of(root, &full, left)?;
            if file.is_directory() {
                folders.push(full);
            }
            taken = taken.saturating_add(file.len());
            if taken > limit {
                return Err(CheckError::RecordingFull { limit });
            }
            files.push(file);
        }
    }
    Ok(files)
}

impl RecordedFile {
    /// Reads an entry, and at most one byte more than `left` of its content.
    fn of(root: &Path, full: &Path, left: u64) -> Result<Self, CheckError> {
        let metadata =
            full.symlink_metadata().map_err(CheckError::file("get metadata of", full))?;
        let path = full.strip_prefix(root).unwrap_or(full).to_owned();
        let mut recorded =
            Self { path: Text::of(path.as_os_str().as_encoded_bytes()), ..Self::default() };
        if metadata.is_symlink() {
            let target = fs::read_link(full).map_err(CheckError::file("read", full))?;
            recorded.link = Some(Text::of(target.as_os_str().as_encoded_bytes()));
            return Ok(recorded);
        }
        recorded.mode = mode(&metadata);
        if metadata.is_file() {
            // A sparse file may be larger than the memory.
            let mut content = Vec::new();
            let read = fs::File::open(full)
                .and_then(|file| file.take(left.saturating_add(1)).read_to_end(&mut content));
            read.map_err(CheckError::file("read", full))?;
            let modified = metadata.modified().ok();
            let modified = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            recorded.modified_nanoseconds =
                modified.and_then(|since| u64::try_from(since.as_nanos()).ok());
            recorded.content = Some(Content::of(content));
        }
        recorded.special = !metadata.is_file() && !metadata.is_dir();
        Ok(recorded)
    }

    fn is_directory(&self) -> bool {
        self.content.is_none() && self.link.is_none() && !self.special
    }

    /// Returns the size in a recording.
    pub(super) fn len(&self) -> u64 {
        let content = self.content.as_ref().map_or(0, Content::len);
        let link = self.link.as_ref().map_or(0, Text::len);
        ENTRY_BYTES + self.path.len() + content + link
    }

    /// Returns the path in the folder, unless it leads out of it.
    fn path_in(&self, root: &Path) -> Option<PathBuf> {
        self.path.path().filter(|path| is_inside(path)).map(|path| root.join(path))
    }

    fn restore_content(&self, path: &Path, content: &Content) -> Result<(), CheckError> {
        let content = content.bytes().unwrap_or_default();
        fs::write(path, content).map_err(CheckError::file("write", path))?;
        if let Some(modified) = self.modified_nanoseconds {
            let modified = UNIX_EPOCH + Duration::from_nanos(modified);
            let set = || fs::File::options().write(true).open(path)?.set_modified(modified);
            set().map_err(CheckError::file("set the time of", path))?;
        }
        Ok(())
    }
}

/// Restores entries in an empty folder. Skips paths that lead out of it.
pub(super) fn restore_files(root: &Path, files: &[RecordedFile]) -> Result<(), CheckError> {
    let files: Vec<_> = files.iter().filter_map(|file| Some((file, file.path_in(root)?))).collect();
    // Links come last, so that no file is written through one.
    for (file, path) in &files {
        let folder = match file.is_directory() {
            true => path.as_path(),
            false => path.parent().unwrap_or(root),
        };
        fs::create_dir_all(folder).map_err(CheckError::file("create", folder))?;
        if let Some(content) = &file.content {
            file.restore_content(path, content)?;
        }
        if file.special {
            make_special(path).map_err(CheckError::file("create", path))?;
        }
    }
    for (file, path) in &files {
        if let Some(target) = file.link.as_ref().and_then(Text::path)
            && leads_through_directories(root, path)
        {
            make_link(&target, path).map_err(CheckError::file("create", path))?;
        }
    }
    // In reverse order: the mode of a directory may deny access to its entries.
    for (file, path) in files.iter().rev() {
        if let Some(mode) = file.mode
            && file.link.is_none()
            && leads_through_directories(root, path)
        {
            set_mode(path, mode).map_err(CheckError::file("set the mode of", path))?;
        }
    }
    Ok(())
}

/// Returns whether every parent of a path is a directory and not a link.
fn leads_through_directories(root: &Path, path: &Path) -> bool {
    let mut above = path.ancestors().skip(1).take_while(|folder| *folder != root);
    above.all(|folder| folder.symlink_metadata().is_ok_and(|there| there.is_dir()))
}

#[cfg(unix)]
fn mode(metadata: &fs::Metadata) -> Option<u32> {
    Some(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777)
}

#[cfg(not(unix))]
fn mode(_metadata: &fs::Metadata) -> Option<u32> {
    None
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode & 0o777))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn make_link(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// Creating a link requires a privilege that most users do not have.
#[cfg(not(unix))]
fn make_link(_target: &Path, _path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Creates an entry that is neither a file nor a directory nor a link: a FIFO.
#[cfg(target_os = "linux")]
pub(crate) fn make_special(path: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
}

/// Other systems have no such entry that the standard library can create.
#[cfg(not(target_os = "linux"))]
pub(crate) fn make_special(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::check::recording::RecordingHead;

    fn file(path: &str) -> RecordedFile {
        RecordedFile {
            path: Text::Unicode(path.to_owned()),
            content: Some(Content::of(b"x".to_vec())),
            ..RecordedFile::default()
        }
    }

    fn link(path: &str, target: &str) -> RecordedFile {
        let link = Some(Text::Unicode(target.to_owned()));
        RecordedFile { link, content: None, ..file(path) }
    }

    #[test]
    fn a_recording_cannot_write_outside_of_its_folder() {
        let home = tempfile::tempdir().unwrap();
        let inside = home.path().join("inside");
        let outside = home.path().join("escaped").display().to_string();
        let up = "../../..";
        let files = || {
            vec![
                link("up", up),
                link("up/made", up),
                link("a/up", up),
                file("../escaped"),
                file(&outside),
                file("a/b"),
                file("a/up/escaped"),
                file(""),
            ]
        };
        let names = ["d", "..", ".", "", "/", "x/../..", &home.path().display().to_string()];
        let directories = BTreeMap::from(names.map(|name| (name.to_owned(), files())));
        let head = RecordingHead { directories: Some(directories), ..RecordingHead::default() };
        // The conflicting link may be an error.
        let _ = head.restore(&inside);
        assert!(inside.join("d/a/b").exists());
        let there = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert_eq!((there(&inside), there(home.path())), (1, 1), "a file outside of the folder");
    }

    #[test]
    fn a_file_above_the_limit_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        fs::File::create(home.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
        let refused = record(home.path(), 1 << 20, 0);
        assert!(matches!(refused, Err(CheckError::RecordingFull { .. })), "{refused:?}");
    }

    #[cfg(unix)]
    #[test]
    fn all_kinds_of_entries_are_restored() {
        use std::os::unix::ffi::OsStrExt as _;
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("from"), home.path().join("to"));
        fs::create_dir_all(from.join("d/empty")).unwrap();
        fs::create_dir(&to).unwrap();
        let odd = std::ffi::OsStr::from_bytes(b"caf\xe9");
        for name in [odd, "a\nb".as_ref(), "d/f".as_ref()] {
            fs::write(from.join(name), name.as_bytes()).unwrap();
        }
        fs::write(from.join("controls"), [1; 100]).unwrap();
        set_mode(&from.join("d/f"), 0o640).unwrap();
        set_mode(&from.join("d"), 0o500).unwrap();
        for target in ["/etc/passwd", "nowhere", "d"] {
            let name = target.trim_start_matches('/').replace('/', "-");
            std::os::unix::fs::symlink(target, from.join(format!("to-{name}"))).unwrap();
        }
        std::os::unix::fs::symlink(odd, from.join("to-odd")).unwrap();
        #[cfg(target_os = "linux")]
        make_special(&from.join("fifo")).unwrap();
        let files = record(&from, u64::MAX, 0).unwrap();
        let text = serde_json::to_string(&files).unwrap();
        let read: Vec<RecordedFile> = serde_json::from_str(&text).unwrap();
        assert_eq!(read, files);
        restore_files(&to, &read).unwrap();
        let sorted = |root: &Path| {
            let mut files = record(root, u64::MAX, 0).unwrap();
            files.sort_by_key(|file| file.path.path());
            files
        };
        assert_eq!(sorted(&to), sorted(&from));
        for root in [&from, &to] {
            set_mode(&root.join("d"), 0o700).unwrap();
        }
    }
}

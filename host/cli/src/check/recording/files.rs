//! The files of a recording: what was in a granted directory, and the same made anew.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::is_inside;

use crate::check::error::KitError;

/// What an entry takes in a recording, in addition to its path and content.
const ENTRY_BYTES: u64 = 128;

/// One entry of a directory, with its path from the granted one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RecordedFile {
    path: Text,
    /// Of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Content>,
    /// Of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_nanoseconds: Option<u64>,
    /// Of a symbolic link.
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

/// A name or the text of a link: Unicode where it is that.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
enum Text {
    Unicode(String),
    Bytes { base64: String },
}

impl Default for Text {
    fn default() -> Self {
        Self::Unicode(String::new())
    }
}

impl Text {
    fn of(text: OsString) -> Self {
        match text.into_string() {
            Ok(text) => Self::Unicode(text),
            Err(text) => Self::Bytes { base64: BASE64.encode(text.as_encoded_bytes()) },
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Unicode(text) => text.len() as u64,
            Self::Bytes { base64 } => base64.len() as u64,
        }
    }

    /// Absent: this system has no such text.
    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Unicode(text) => Some(text.into()),
            Self::Bytes { base64 } => os_string(BASE64.decode(base64).ok()?).map(PathBuf::from),
        }
    }
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_string(_bytes: Vec<u8>) -> Option<OsString> {
    None
}

/// What is in a file: as text where it is that, so that a recording can be read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Content {
    Text(String),
    Base64(String),
}

impl Content {
    fn of(bytes: Vec<u8>) -> Self {
        // JSON has six bytes for most control characters.
        let plain = |byte: &u8| *byte >= b' ' || b"\n\r\t".contains(byte);
        match bytes.iter().all(plain) {
            true => String::from_utf8(bytes)
                .map_or_else(|error| Self::Base64(BASE64.encode(error.as_bytes())), Self::Text),
            false => Self::Base64(BASE64.encode(bytes)),
        }
    }

    /// What it takes in a recording.
    fn len(&self) -> u64 {
        match self {
            Self::Text(text) => {
                let escaped = text.bytes().filter(|byte| b"\n\r\t\"\\".contains(byte)).count();
                (text.len() + escaped) as u64
            }
            Self::Base64(text) => text.len() as u64,
        }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Base64(text) => BASE64.decode(text).ok(),
        }
    }
}

/// What is in a directory, with everything below it, for a recording in which others have `taken` so
/// many bytes.
pub(super) fn take_up(
    root: &Path,
    limit: u64,
    mut taken: u64,
) -> Result<Vec<RecordedFile>, KitError> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(KitError::file("list", &folder))? {
            let full = entry.map_err(KitError::file("list", &folder))?.path();
            let left = limit.saturating_sub(taken);
            let file = RecordedFile::of(root, &full, left)?;
            if file.is_directory() {
                folders.push(full);
            }
            taken = taken.saturating_add(file.len());
            if taken > limit {
                return Err(KitError::RecordingFull { limit });
            }
            files.push(file);
        }
    }
    Ok(files)
}

impl RecordedFile {
    /// Reads an entry, if its content takes no more than so many bytes.
    fn of(root: &Path, full: &Path, left: u64) -> Result<Self, KitError> {
        let metadata = full.symlink_metadata().map_err(KitError::file("look at", full))?;
        let path = full.strip_prefix(root).unwrap_or(full).to_owned();
        let mut recorded = Self { path: Text::of(path.into()), ..Self::default() };
        if metadata.is_symlink() {
            let target = fs::read_link(full).map_err(KitError::file("read", full))?;
            recorded.link = Some(Text::of(target.into()));
            return Ok(recorded);
        }
        recorded.mode = mode(&metadata);
        if metadata.is_file() {
            // A sparse file has more in it than there is memory.
            let mut content = Vec::new();
            let read = fs::File::open(full)
                .and_then(|file| file.take(left.saturating_add(1)).read_to_end(&mut content));
            read.map_err(KitError::file("read", full))?;
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

    /// What it takes in a recording.
    pub(super) fn len(&self) -> u64 {
        let content = self.content.as_ref().map_or(0, Content::len);
        let link = self.link.as_ref().map_or(0, Text::len);
        ENTRY_BYTES + self.path.len() + content + link
    }

    /// Where it is to be, if that is in the folder.
    fn place(&self, root: &Path) -> Option<PathBuf> {
        self.path.path().filter(|path| is_inside(path)).map(|path| root.join(path))
    }

    fn restore_content(&self, path: &Path, content: &Content) -> Result<(), KitError> {
        let content = content.bytes().unwrap_or_default();
        fs::write(path, content).map_err(KitError::file("write", path))?;
        if let Some(modified) = self.modified_nanoseconds {
            let modified = UNIX_EPOCH + Duration::from_nanos(modified);
            let set = || fs::File::options().write(true).open(path)?.set_modified(modified);
            set().map_err(KitError::file("date", path))?;
        }
        Ok(())
    }
}

/// Makes files anew in a folder that is empty. What a recording has outside of it is left out.
pub(super) fn restore_files(root: &Path, files: &[RecordedFile]) -> Result<(), KitError> {
    let placed: Vec<_> = files.iter().filter_map(|file| Some((file, file.place(root)?))).collect();
    // There are no links until everything else is there: nothing is written through one.
    for (file, path) in &placed {
        let folder = match file.is_directory() {
            true => path.as_path(),
            false => path.parent().unwrap_or(root),
        };
        fs::create_dir_all(folder).map_err(KitError::file("make", folder))?;
        if let Some(content) = &file.content {
            file.restore_content(path, content)?;
        }
        if file.special {
            make_special(path).map_err(KitError::file("make", path))?;
        }
    }
    for (file, path) in &placed {
        if let Some(target) = file.link.as_ref().and_then(Text::path)
            && leads_through_directories(root, path)
        {
            make_link(&target, path).map_err(KitError::file("make", path))?;
        }
    }
    // Those below come first: a directory may be one that no one can look into.
    for (file, path) in placed.iter().rev() {
        if let Some(mode) = file.mode
            && file.link.is_none()
            && leads_through_directories(root, path)
        {
            set_mode(path, mode).map_err(KitError::file("set the mode of", path))?;
        }
    }
    Ok(())
}

/// Whether each part of the way to a file is a directory, and no link.
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

/// Making one needs a privilege that few have.
#[cfg(not(unix))]
fn make_link(_target: &Path, _path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Makes something that is no file, no directory and no link: a FIFO.
#[cfg(target_os = "linux")]
pub(crate) fn make_special(path: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
}

/// There is none here that needs no special call.
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
        // That a link is where a directory is makes it a bad one, and nothing else.
        let _ = head.restore(&inside);
        assert!(inside.join("d/a/b").exists());
        let there = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert_eq!((there(&inside), there(home.path())), (1, 1), "there is nothing else");
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        fs::File::create(home.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
        let refused = take_up(home.path(), 1 << 20, 0);
        assert!(matches!(refused, Err(KitError::RecordingFull { .. })), "{refused:?}");
    }

    #[cfg(unix)]
    #[test]
    fn everything_that_a_directory_can_have_is_made_anew() {
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
        let files = take_up(&from, u64::MAX, 0).unwrap();
        let text = serde_json::to_string(&files).unwrap();
        let read: Vec<RecordedFile> = serde_json::from_str(&text).unwrap();
        assert_eq!(read, files);
        restore_files(&to, &read).unwrap();
        let sorted = |root: &Path| {
            let mut files = take_up(root, u64::MAX, 0).unwrap();
            files.sort_by_key(|file| file.path.path());
            files
        };
        assert_eq!(sorted(&to), sorted(&from));
        for root in [&from, &to] {
            set_mode(&root.join("d"), 0o700).unwrap();
        }
    }
}

//! Working directories for nonconforming guests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

/// `left` is granted read-write, `reading` and `locked` read-only, and `outside` is not granted. If
/// the system supports them, `left` contains links that escape, and a FIFO.
#[derive(Debug)]
pub struct Workdir {
    root: TempDir,
}

/// The content of a directory, to detect changes.
pub type Snapshot = BTreeMap<PathBuf, String>;

impl Workdir {
    /// Creates a new one.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn new() -> Result<Self> {
        let workdir = Self { root: TempDir::new()? };
        for name in ["left", "reading", "locked"] {
            fs::create_dir_all(workdir.path(name).join("sub"))?;
            fs::write(workdir.path(name).join("a.txt"), name)?;
        }
        fs::create_dir(workdir.path("outside"))?;
        fs::write(workdir.path("outside").join("secret.txt"), "private")?;
        fs::create_dir(workdir.path("storage"))?;
        fs::write(workdir.path("storage").join("state"), "what it remembers")?;
        fs::create_dir(workdir.path("left").join("swapped"))?;
        #[cfg(unix)]
        workdir.furnish()?;
        Ok(workdir)
    }

    #[cfg(unix)]
    fn furnish(&self) -> Result<()> {
        let left = self.path("left");
        for (name, target) in [
            ("link-out", "../outside"),
            ("link-file", "../outside/secret.txt"),
            ("link-etc", "/etc"),
            ("zero", "/dev/zero"),
        ] {
            std::os::unix::fs::symlink(target, left.join(name))?;
        }
        let made = std::process::Command::new("mkfifo").arg(left.join("fifo")).status()?;
        anyhow::ensure!(made.success(), "mkfifo failed");
        Ok(())
    }

    /// Returns the path of one of the directories.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Returns the content that must not change.
    ///
    /// # Errors
    /// Returns the errors of the file system.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut snapshot = Snapshot::new();
        for name in ["outside", "reading", "locked"] {
            look(&self.path(name), &mut snapshot)?;
        }
        for entry in fs::read_dir(self.root.path())? {
            snapshot.insert(entry?.path(), String::new());
        }
        Ok(snapshot)
    }

    /// Repeatedly replaces `left/swapped` with a link that escapes, and restores it.
    pub fn swap(&self) {
        let (swapped, aside) = (self.path("left").join("swapped"), self.path("left").join("aside"));
        for _ in 0..2_000 {
            let _ = fs::rename(&swapped, &aside);
            #[cfg(unix)]
            let _ = std::os::unix::fs::symlink("../outside", &swapped);
            let _ = fs::remove_file(&swapped);
            let _ = fs::rename(&aside, &swapped);
        }
    }
}

fn look(path: &Path, into: &mut Snapshot) -> Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let content = match metadata.is_file() {
        true => fs::read_to_string(path)?,
        false => String::new(),
    };
    #[cfg(unix)]
    let more = {
        use std::os::unix::fs::MetadataExt;
        (metadata.mode(), metadata.nlink(), metadata.ino())
    };
    #[cfg(not(unix))]
    let more = metadata.permissions().readonly();
    let seen = format!("{content:?} {:?} {more:?}", metadata.modified()?);
    into.insert(path.to_owned(), seen);
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            look(&entry?.path(), into)?;
        }
    }
    Ok(())
}

//! Where one run, or several after each other, take place.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use syncmgr_host::{Access, Grant, Limits, Plugin, SessionOptions};
use uuid::Uuid;

use crate::check::error::KitError;
use crate::check::fixture::Fixture;
use crate::check::recording::make_special;

const NAMESPACE: Uuid = Uuid::from_u128(0x1f7c_90d2_8a35_4b6e_b1c4_52e0_97da_3386);

/// Bytes of files that are compared by content in one look at them. A sparse file has any number.
const MAX_HASHED: u64 = 1 << 30;

/// A copy of a fixture, with a storage of its own. Gone when it is dropped.
#[derive(Debug)]
pub struct Stage {
    home: tempfile::TempDir,
    fixture: Fixture,
}

/// A fixture is small: who takes this long hangs. Every report is to be heard.
pub(crate) fn limits() -> Limits {
    Limits {
        progress_per_second: u64::MAX,
        compute_time: PATIENCE,
        idle_time: PATIENCE,
        wall_time: 4 * PATIENCE,
        ..Limits::default()
    }
}

/// How long a plugin may compute, or be silent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What is in the directories: of each entry what it is, and what it holds.
pub(crate) type Snapshot = BTreeMap<PathBuf, String>;

impl Stage {
    /// Copies a fixture into a temporary folder.
    ///
    /// # Errors
    /// [`KitError::File`].
    pub fn new(fixture: &Fixture) -> Result<Self, KitError> {
        let home = tempfile::tempdir().map_err(KitError::file("make", std::env::temp_dir()))?;
        for (name, folder) in &fixture.directories {
            copy(folder, &home.path().join("directories").join(name))?;
        }
        let storage = home.path().join("storage");
        fs::create_dir_all(&storage).map_err(KitError::file("make", &storage))?;
        Ok(Self { home, fixture: fixture.clone() })
    }

    /// Grants it, as far as the plugin wants it.
    ///
    /// # Errors
    /// [`KitError::Grant`].
    pub fn options(&self, plugin: &Plugin) -> Result<SessionOptions, KitError> {
        let requests = &plugin.description().requests;
        let mut options = self.without_directories(plugin);
        for name in self.fixture.directories.keys() {
            let access = requests.directory(name).unwrap_or(Access::ReadOnly);
            // Each copy is at another place, and passes for the same directory.
            let known = self.fixture.ids.get(name).copied();
            let id = known.unwrap_or_else(|| Uuid::new_v5(&NAMESPACE, name.as_bytes()));
            options = options.grant(Grant::new(name, &self.directory(name), access)?.with_id(id));
        }
        Ok(options)
    }

    /// The same without any directory. What else the plugin asks for, it gets.
    pub(crate) fn without_directories(&self, plugin: &Plugin) -> SessionOptions {
        let storage = self.home.path().join("storage");
        let mut options = SessionOptions::new().storage(storage).limits(limits());
        if let Some(hook) = &self.fixture.output_hook {
            options = options.output_hook(hook.clone());
        }
        for (name, value) in &self.fixture.settings {
            options = options.setting(name, value);
        }
        for (capability, _) in &plugin.description().requests.capabilities {
            let allowed = self.fixture.capabilities.as_ref();
            if allowed.is_none_or(|allowed| allowed.contains(capability)) {
                options = options.allow(*capability);
            }
        }
        options
    }

    /// What a run has changed in the directories, a line for each entry.
    ///
    /// # Errors
    /// [`KitError::File`].
    pub fn changes(&self) -> Result<Vec<String>, KitError> {
        let before = Self::new(&self.fixture)?.snapshot()?;
        let after = self.snapshot()?;
        let new = after.iter().filter_map(|(path, content)| match before.get(path) {
            None => Some(format!("new: {}", path.display())),
            Some(other) if other != content => Some(format!("changed: {}", path.display())),
            Some(_) => None,
        });
        let gone = before.keys().filter(|path| !after.contains_key(*path));
        Ok(new.chain(gone.map(|path| format!("gone: {}", path.display()))).collect())
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.home.path().join("directories").join(name)
    }

    /// What is there now.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, KitError> {
        let root = self.home.path().join("directories");
        let mut snapshot = Snapshot::new();
        if root.exists() {
            let mut folders = vec![root.clone()];
            let mut left = MAX_HASHED;
            while let Some(folder) = folders.pop() {
                let listed = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                // The plugin may have made what cannot be listed: that is a difference, too.
                let Ok(entries) = listed else {
                    let path = folder.strip_prefix(&root).unwrap_or(&folder).to_owned();
                    snapshot.insert(path, "directory that cannot be listed".to_owned());
                    continue;
                };
                for entry in entries {
                    let path = entry.path();
                    let name = path.strip_prefix(&root).unwrap_or(&path).to_owned();
                    let content = look(&path, &mut folders, &mut left)
                        .unwrap_or_else(|error| format!("unreadable: {}", error.kind()));
                    snapshot.insert(name, content);
                }
            }
        }
        Ok(snapshot)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        remove_all(self.home.path());
    }
}

/// Removes what a plugin left in a folder: however deep it is, and whether or not its directories can
/// be looked into. Directories within directories are moved up first, so that no path grows.
fn remove_all(folder: &Path) {
    let mut number = 0_u64;
    loop {
        let (mut before, mut removed) = (0, 0);
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            before += 1;
            let path = entry.path();
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                removed += usize::from(fs::remove_file(&path).is_ok());
                continue;
            }
            make_accessible(&path);
            for below in fs::read_dir(&path).into_iter().flatten().flatten() {
                let below = (below.path(), below.file_type().is_ok_and(|kind| kind.is_dir()));
                match below {
                    (path, false) => drop(fs::remove_file(path)),
                    (path, true) => {
                        make_accessible(&path);
                        number += 1;
                        let _ = fs::rename(&path, folder.join(format!("removed-{number}")));
                    }
                }
            }
            removed += usize::from(fs::remove_dir(&path).is_ok());
        }
        if before == 0 || removed == 0 {
            return;
        }
    }
}

/// Lets the owner of a directory change what is in it.
fn make_accessible(directory: &Path) {
    #[cfg(unix)]
    let permissions: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    #[cfg(not(unix))]
    let permissions = {
        let Ok(metadata) = directory.metadata() else { return };
        let mut permissions = metadata.permissions();
        #[allow(clippy::permissions_set_readonly_false, reason = "it is an attribute here")]
        permissions.set_readonly(false);
        permissions
    };
    let _ = fs::set_permissions(directory, permissions);
}

/// An entry in which two snapshots differ.
#[derive(Clone, Debug)]
pub(crate) enum Difference {
    /// It holds something else.
    Content(PathBuf),
    /// It is in the first one only.
    Missing(PathBuf),
    /// It is in the second one only.
    New(PathBuf),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(path) => write!(f, "{} has other content", path.display()),
            Self::Missing(path) => write!(f, "{} is missing", path.display()),
            Self::New(path) => write!(f, "{} is new", path.display()),
        }
    }
}

/// The first entry that is not the same in both. One with other content comes first: that is what
/// harms most.
pub(crate) fn difference(before: &Snapshot, after: &Snapshot) -> Option<Difference> {
    let changed =
        before.iter().find(|(path, content)| after.get(*path).is_some_and(|now| now != *content));
    let missing = || before.keys().find(|path| !after.contains_key(*path)).cloned();
    let new = || after.keys().find(|path| !before.contains_key(*path)).cloned();
    changed
        .map(|(path, _)| Difference::Content(path.clone()))
        .or_else(|| missing().map(Difference::Missing))
        .or_else(|| new().map(Difference::New))
}

/// What an entry is, and what it holds.
fn look(path: &Path, folders: &mut Vec<PathBuf>, left: &mut u64) -> std::io::Result<String> {
    let metadata = path.symlink_metadata()?;
    if metadata.is_dir() {
        folders.push(path.to_owned());
        return Ok("directory".to_owned());
    }
    if metadata.is_symlink() {
        return Ok(format!("link to {}", fs::read_link(path)?.display()));
    }
    if !metadata.is_file() {
        return Ok("neither a file nor a directory".to_owned());
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(path)?.take(*left))?;
    *left -= hasher.count();
    // Of what is too large, the length has to do.
    Ok(format!("file of {} bytes {}", metadata.len(), hasher.finalize()))
}

/// Copies a folder with the times of its files. Links are copied as links.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), KitError> {
    fs::create_dir_all(to).map_err(KitError::file("make", to))?;
    for entry in fs::read_dir(from).map_err(KitError::file("list", from))? {
        let path = entry.map_err(KitError::file("list", from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        let metadata = path.symlink_metadata().map_err(KitError::file("look at", &path))?;
        if metadata.is_dir() {
            copy(&path, &target)?;
        } else if metadata.is_symlink() {
            copy_link(&path, &target).map_err(KitError::file("copy", &path))?;
        } else if metadata.is_file() {
            copy_file(&path, &target, &metadata).map_err(KitError::file("copy", &path))?;
        } else {
            make_special(&target).map_err(KitError::file("make", &target))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, metadata: &fs::Metadata) -> std::io::Result<()> {
    fs::copy(from, to)?;
    let file = fs::File::options().write(true).open(to)?;
    file.set_modified(metadata.modified()?)
}

#[cfg(unix)]
fn copy_link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(from)?, to)
}

#[cfg(not(unix))]
fn copy_link(_from: &Path, _to: &Path) -> std::io::Result<()> {
    // Making one needs a privilege that few have.
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_whatever_a_plugin_made() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        fs::create_dir_all(folder.join("a/b/c")).unwrap();
        fs::write(folder.join("a/b/f"), "x").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::os::unix::fs::symlink("/", folder.join("a/root")).unwrap();
            for (name, mode) in [("a/b/c", 0), ("a/b", 0o300), ("a", 0o500)] {
                fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        // Deeper than any path can be.
        let name = "d".repeat(200);
        let deep = folder.join(&name);
        fs::create_dir(&deep).unwrap();
        for _ in 0..100 {
            let above = folder.join("above");
            fs::create_dir(&above).unwrap();
            fs::rename(&deep, above.join(&name)).unwrap();
            fs::rename(&above, &deep).unwrap();
        }
        remove_all(folder);
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }

    #[test]
    fn a_sparse_file_is_looked_at_in_parts() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("sparse");
        fs::File::create(&path).unwrap().set_len(1 << 43).unwrap();
        let mut left = 1 << 20;
        let content = look(&path, &mut Vec::new(), &mut left).unwrap();
        assert!(content.starts_with("file of 8796093022208 bytes"), "{content}");
        assert_eq!(left, 0);
    }
}

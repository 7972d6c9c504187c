//! Temporary copies of fixtures.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use syncmgr_host::http::HttpGrant;
use syncmgr_host::{Access, Grant, Limits, Plugin, SessionOptions};
use uuid::Uuid;

use crate::check::error::CheckError;
use crate::check::fixture::Fixture;
use crate::check::recording::make_special;
use crate::check::server::{Behaviour, Server};

const NAMESPACE: Uuid = Uuid::from_u128(0x1f7c_90d2_8a35_4b6e_b1c4_52e0_97da_3386);

/// The bytes of file content that a snapshot compares. A sparse file may be of any size.
const MAX_HASHED: u64 = 1 << 30;

/// A temporary copy of a fixture with its own storage, removed on drop.
#[derive(Debug)]
pub struct TempFixture {
    home: tempfile::TempDir,
    fixture: Fixture,
    behaviour: Behaviour,
    /// The server of the directories that are requested as servers, once it has been granted.
    server: OnceLock<Server>,
}

/// Returns limits for checks: fixtures are small, so a slow plugin hangs, and no report is
/// throttled.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.progress_per_second = u64::MAX;
    limits.compute_time = PATIENCE;
    limits.idle_time = PATIENCE;
    limits.wall_time = 4 * PATIENCE;
    limits
}

/// The maximum time that a plugin may compute, or not report.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The kind and content of each entry of the directories.
pub(crate) type Snapshot = BTreeMap<PathBuf, String>;

impl TempFixture {
    /// Copies a fixture to a temporary folder.
    ///
    /// # Errors
    /// [`CheckError::File`].
    pub fn new(fixture: &Fixture) -> Result<Self, CheckError> {
        let home = tempfile::tempdir().map_err(CheckError::file("create", std::env::temp_dir()))?;
        for (name, folder) in &fixture.directories {
            copy(folder, &home.path().join("directories").join(name))?;
        }
        let storage = home.path().join("storage");
        fs::create_dir_all(&storage).map_err(CheckError::file("create", &storage))?;
        let behaviour = Behaviour::Files;
        Ok(Self { home, fixture: fixture.clone(), behaviour, server: OnceLock::new() })
    }

    /// Sets what the servers do.
    pub(crate) fn with_servers(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    /// Returns the number of requests to the servers so far.
    pub(crate) fn requests(&self) -> u64 {
        self.server.get().map_or(0, Server::requests)
    }

    /// Returns whether the fixture has servers.
    pub(crate) fn has_servers(&self, plugin: &Plugin) -> bool {
        self.servers(plugin).next().is_some()
    }

    /// Returns the names of folders that the plugin requests as servers, and the access. A server
    /// with a fixed URL cannot be here.
    fn servers(&self, plugin: &Plugin) -> impl Iterator<Item = (&str, Access)> {
        let requests = &plugin.description().requests;
        self.fixture.directories.keys().filter_map(|name| {
            let server = requests.server(name).filter(|server| server.url.is_none())?;
            requests.directory(name).is_none().then_some((name.as_str(), server.access))
        })
    }

    fn server(&self) -> Result<&Server, CheckError> {
        if let Some(server) = self.server.get() {
            return Ok(server);
        }
        let folder = self.home.path().join("directories");
        let started = Server::start(folder.clone(), self.behaviour);
        let started = started.map_err(CheckError::file("serve", folder))?;
        Ok(self.server.get_or_init(|| started))
    }

    /// Returns options that grant the fixture, with the access that the plugin requests. A folder
    /// with the name of a requested server is what that server has.
    ///
    /// # Errors
    /// [`CheckError::Grant`], or [`CheckError::File`] if there is no port for the server.
    pub fn options(&self, plugin: &Plugin) -> Result<SessionOptions, CheckError> {
        let mut options = self.without_servers(plugin)?;
        for (name, access) in self.servers(plugin) {
            let grant = HttpGrant::new(name, &self.server()?.url(name), access);
            // The names of folders may be no names of grants.
            if let Ok(grant) = grant {
                options = options.http(grant);
            }
        }
        Ok(options)
    }

    /// Returns the same options without servers.
    pub(crate) fn without_servers(&self, plugin: &Plugin) -> Result<SessionOptions, CheckError> {
        let requests = &plugin.description().requests;
        let mut options = self.without_directories(plugin);
        let servers: Vec<_> = self.servers(plugin).map(|(name, _)| name).collect();
        let folders = self.fixture.directories.keys();
        for name in folders.filter(|name| !servers.contains(&name.as_str())) {
            let access = requests.directory(name).unwrap_or(Access::ReadOnly);
            // Every copy has another path and must have the same id.
            let known = self.fixture.ids.get(name).copied();
            let id = known.unwrap_or_else(|| Uuid::new_v5(&NAMESPACE, name.as_bytes()));
            options = options.grant(Grant::new(name, self.directory(name), access)?.with_id(id));
        }
        Ok(options)
    }

    /// Returns options without directories, and with the capabilities that the plugin requests.
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

    /// Returns the changes of a run in the directories, a line for each entry.
    ///
    /// # Errors
    /// [`CheckError::File`].
    pub fn changes(&self) -> Result<Vec<String>, CheckError> {
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

    /// Returns the current state of the directories.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, CheckError> {
        let root = self.home.path().join("directories");
        let mut snapshot = Snapshot::new();
        if root.exists() {
            let mut folders = vec![root.clone()];
            let mut left = MAX_HASHED;
            while let Some(folder) = folders.pop() {
                let listed = fs::read_dir(&folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                // The plugin may have created a directory that cannot be listed.
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

impl Drop for TempFixture {
    fn drop(&mut self) {
        remove_all(self.home.path());
    }
}

/// Removes the entries of a folder at any depth and with any permissions. Moves nested directories
/// up first, so that paths stay short.
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

/// Makes a directory writable for its owner.
fn make_accessible(directory: &Path) {
    #[cfg(unix)]
    let permissions: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    #[cfg(not(unix))]
    let permissions = {
        let Ok(metadata) = directory.metadata() else { return };
        let mut permissions = metadata.permissions();
        #[allow(clippy::permissions_set_readonly_false, reason = "the attribute of Windows")]
        permissions.set_readonly(false);
        permissions
    };
    let _ = fs::set_permissions(directory, permissions);
}

/// The difference of two snapshots in one entry.
#[derive(Clone, Debug)]
pub(crate) enum Difference {
    /// The entry has other content.
    Content(PathBuf),
    /// Only the first snapshot has the entry.
    Missing(PathBuf),
    /// Only the second snapshot has the entry.
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

/// Returns the first entry that differs, with changed content first as the most harmful difference.
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

/// Describes the kind and content of an entry.
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
    // Beyond the limit, only the length is compared.
    Ok(format!("file of {} bytes {}", metadata.len(), hasher.finalize()))
}

/// Copies a folder with the modification times of its files. Copies links as links.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), CheckError> {
    fs::create_dir_all(to).map_err(CheckError::file("create", to))?;
    for entry in fs::read_dir(from).map_err(CheckError::file("list", from))? {
        let path = entry.map_err(CheckError::file("list", from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        let metadata =
            path.symlink_metadata().map_err(CheckError::file("get metadata of", &path))?;
        if metadata.is_dir() {
            copy(&path, &target)?;
        } else if metadata.is_symlink() {
            copy_link(&path, &target).map_err(CheckError::file("copy", &path))?;
        } else if metadata.is_file() {
            copy_file(&path, &target, &metadata).map_err(CheckError::file("copy", &path))?;
        } else {
            make_special(&target).map_err(CheckError::file("create", &target))?;
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
    // Creating a link requires a privilege that most users do not have.
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_entries_are_removed() {
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
    fn only_the_start_of_a_sparse_file_is_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("sparse");
        fs::File::create(&path).unwrap().set_len(1 << 43).unwrap();
        let mut left = 1 << 20;
        let content = look(&path, &mut Vec::new(), &mut left).unwrap();
        assert!(content.starts_with("file of 8796093022208 bytes"), "{content}");
        assert_eq!(left, 0);
    }
}

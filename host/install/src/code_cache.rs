//! Precompiled code of plugins that are not installed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use syncmgr_host::{Host, Plugin};

use crate::error::InstallError;
use crate::folder::PrivateFolder;
use crate::scope::Scope;

/// The maximum size. The least recently used entries are removed first.
const CACHE_BYTES: u64 = 512 << 20;

const EXTENSION: &str = "compiled";

/// A cache of precompiled plugins, by the digest of the component and the configuration of the
/// host. Only its owner can access it. Damaged entries, and those of other hosts, are ignored.
#[derive(Clone, Debug)]
pub struct CodeCache {
    state_dir: PathBuf,
    folder: PathBuf,
    max_bytes: u64,
}

/// The name of the folder in the state directory.
const FOLDER: &str = "cache";

/// A precompiled plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// The time of its last use.
    pub used: SystemTime,
}

impl CodeCache {
    /// Returns the cache in a state directory.
    pub fn new(state_dir: &Path) -> Self {
        let (state_dir, folder) = (state_dir.to_owned(), state_dir.join(FOLDER));
        Self { state_dir, folder, max_bytes: CACHE_BYTES }
    }

    /// Sets the maximum size in bytes.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Returns the maximum size in bytes.
    pub const fn limit(&self) -> u64 {
        self.max_bytes
    }

    /// Returns the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Loads a plugin, and compiles it only if it is not in the cache. A failure to write to the
    /// cache is not an error.
    ///
    /// # Errors
    /// Returns the errors of loading the plugin.
    pub fn load(&self, host: &Host, name: &str, component: &[u8]) -> Result<Plugin, InstallError> {
        self.load_digested(host, name, component, blake3::hash(component).to_hex().as_str())
    }

    /// [`CodeCache::load`] for a component with a known BLAKE3 digest, in hexadecimal digits.
    ///
    /// # Errors
    /// Returns the errors of loading the plugin.
    pub fn load_digested(
        &self,
        host: &Host,
        name: &str,
        component: &[u8],
        key: &str,
    ) -> Result<Plugin, InstallError> {
        let file = format!("{key}-{}.{EXTENSION}", host.compatibility());
        if let Some(plugin) = self.load_kept(host, name, &file) {
            return Ok(plugin);
        }
        let compiled = host.precompile(name, component)?;
        // SAFETY: these are the bytes that `precompile` has just returned.
        #[expect(unsafe_code, reason = "precompiled code is native code")]
        let plugin = unsafe { host.load_precompiled(name, &compiled) }?;
        let _ = self.keep(&file, &compiled);
        Ok(plugin)
    }

    fn load_kept(&self, host: &Host, name: &str, file: &str) -> Option<Plugin> {
        // Checks the state directory, too: a user who can write to it can replace the cache.
        let state = PrivateFolder::open(&self.state_dir).ok()?;
        let folder = state.folder(FOLDER).ok()?;
        let opened = folder.open_file(file).ok()??;
        state.check_private(Scope::User).ok()?;
        folder.check_private(Scope::User).ok()?;
        folder.check_private_file(&opened, file, Scope::User).ok()?;
        // SAFETY: only this module writes files of this name to the folder, with the bytes that
        // `precompile` returned, and replaces them without changing them. The checks above, by
        // handle, ensure that no other user can write to the file or the folder.
        #[expect(unsafe_code, reason = "precompiled code is native code")]
        let plugin =
            unsafe { host.load_precompiled_open_file(name, &opened, self.folder.join(file)) };
        let plugin = plugin.ok()?;
        // Marks the entry as used. A failure has no effect but on the order of removal.
        let _ = opened.set_modified(SystemTime::now());
        Some(plugin)
    }

    fn keep(&self, file: &str, compiled: &[u8]) -> Result<(), InstallError> {
        let folder = PrivateFolder::create(&self.state_dir)?.create_folder(FOLDER)?;
        folder.check_private(Scope::User)?;
        folder.remove_unfinished()?;
        let bytes = compiled.len() as u64;
        if bytes > self.max_bytes {
            return Ok(());
        }
        let mut entries = entries(&folder)?;
        entries.sort_by_key(|entry| entry.used);
        let mut held = entries.iter().map(|entry| entry.bytes).sum::<u64>() + bytes;
        for entry in entries {
            if held <= self.max_bytes {
                break;
            }
            remove(&folder, &entry)?;
            held -= entry.bytes;
        }
        folder.replace(file, compiled)
    }

    /// Opens the folder, if it exists.
    fn open(&self) -> Result<Option<PrivateFolder>, InstallError> {
        match PrivateFolder::open(&self.state_dir).and_then(|state| state.folder(FOLDER)) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes the entries of a component, by its digest. Ignores errors.
    pub fn forget(&self, digest: &str) {
        let prefix = format!("{digest}-");
        let Ok(Some(folder)) = self.open() else { return };
        for entry in entries(&folder).unwrap_or_default() {
            let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&prefix) {
                let _ = folder.remove(&name);
            }
        }
    }

    /// Returns the entries in any order.
    ///
    /// # Errors
    /// [`InstallError::File`].
    pub fn entries(&self) -> Result<Vec<CacheEntry>, InstallError> {
        self.open()?.map_or_else(|| Ok(Vec::new()), |folder| entries(&folder))
    }

    /// Removes all entries.
    ///
    /// # Errors
    /// [`InstallError::File`].
    pub fn clear(&self) -> Result<(), InstallError> {
        let Some(folder) = self.open()? else { return Ok(()) };
        folder.remove_unfinished()?;
        entries(&folder)?.iter().try_for_each(|entry| remove(&folder, entry))
    }
}

fn entries(folder: &PrivateFolder) -> Result<Vec<CacheEntry>, InstallError> {
    let entry = |name: std::ffi::OsString| {
        let path = folder.path().join(&name);
        // Ignores other files.
        path.extension().filter(|extension| *extension == EXTENSION)?;
        // Another process may have removed the file.
        let metadata = folder.open_file(name.to_str()?).ok()??.metadata().ok()?;
        Some(CacheEntry { path, bytes: metadata.len(), used: metadata.modified().ok()? })
    };
    Ok(folder.names()?.into_iter().filter_map(entry).collect())
}

fn remove(folder: &PrivateFolder, entry: &CacheEntry) -> Result<(), InstallError> {
    folder.remove(&entry.path.file_name().unwrap_or_default().to_string_lossy())
}

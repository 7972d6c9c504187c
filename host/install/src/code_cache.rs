//! What plugins that are not installed were compiled to.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use syncmgr_host::{Host, Plugin};

use crate::error::StoreError;
use crate::folder::PrivateFolder;
use crate::scope::Scope;

/// What it may hold before the least recently used is removed.
const CACHE_BYTES: u64 = 512 << 20;

const EXTENSION: &str = "compiled";

/// A folder of compiled plugins, found by the digest of the component and by what the host that
/// compiled it was like. It is its owner's alone; what is damaged, or made by another host, counts
/// as not there.
#[derive(Clone, Debug)]
pub struct CodeCache {
    state_dir: PathBuf,
    folder: PathBuf,
    max_bytes: u64,
}

/// Its name in the state directory.
const FOLDER: &str = "cache";

/// One compiled plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was last used.
    pub used: SystemTime,
}

impl CodeCache {
    /// That of a user whose state folder this is.
    pub fn new(state_dir: &Path) -> Self {
        let (state_dir, folder) = (state_dir.to_owned(), state_dir.join(FOLDER));
        Self { state_dir, folder, max_bytes: CACHE_BYTES }
    }

    /// Changes what it may hold, in bytes.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// What it may hold, in bytes.
    pub const fn limit(&self) -> u64 {
        self.max_bytes
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Loads a plugin, and compiles it only if that was not done before. That nothing can be kept
    /// is no reason to fail.
    ///
    /// # Errors
    /// Those of loading it.
    pub fn load(&self, host: &Host, name: &str, component: &[u8]) -> Result<Plugin, StoreError> {
        self.load_digested(host, name, component, blake3::hash(component).to_hex().as_str())
    }

    /// [`CodeCache::load`] for a component whose BLAKE3 digest is known, in hexadecimal digits.
    ///
    /// # Errors
    /// Those of loading it.
    pub fn load_digested(
        &self,
        host: &Host,
        name: &str,
        component: &[u8],
        key: &str,
    ) -> Result<Plugin, StoreError> {
        let file = format!("{key}-{}.{EXTENSION}", host.compatibility());
        if let Some(plugin) = self.load_kept(host, name, &file) {
            return Ok(plugin);
        }
        let compiled = host.precompile(name, component)?;
        // SAFETY: these are the bytes that `precompile` has just returned.
        #[expect(unsafe_code, reason = "what is compiled is native code")]
        let plugin = unsafe { host.load_precompiled(name, &compiled) }?;
        let _ = self.keep(&file, &compiled);
        Ok(plugin)
    }

    fn load_kept(&self, host: &Host, name: &str, file: &str) -> Option<Plugin> {
        // From the state folder on: whoever can write there can put another one in its place.
        let state = PrivateFolder::open(&self.state_dir).ok()?;
        let folder = state.folder(FOLDER).ok()?;
        let opened = folder.open_file(file).ok()??;
        state.check_private(Scope::User).ok()?;
        folder.check_private(Scope::User).ok()?;
        folder.check_private_file(&opened, file, Scope::User).ok()?;
        // SAFETY: only this module writes files of this name into the folder, with what
        // `precompile` returned, and replaces them without changing them. That nobody else can
        // write to this file or there was checked above, by handle.
        #[expect(unsafe_code, reason = "what was compiled earlier is native code")]
        let plugin =
            unsafe { host.load_precompiled_open_file(name, &opened, &self.folder.join(file)) };
        let plugin = plugin.ok()?;
        // Keeps what is used from being removed; it is no harm if that cannot be.
        let _ = opened.set_modified(SystemTime::now());
        Some(plugin)
    }

    fn keep(&self, file: &str, compiled: &[u8]) -> Result<(), StoreError> {
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

    /// `None`: it is not there.
    fn open(&self) -> Result<Option<PrivateFolder>, StoreError> {
        match PrivateFolder::open(&self.state_dir).and_then(|state| state.folder(FOLDER)) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what a component was compiled to, found by its digest. That nothing is there, or cannot
    /// be removed, is no failure.
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

    /// What it holds, in no order.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn entries(&self) -> Result<Vec<CacheEntry>, StoreError> {
        self.open()?.map_or_else(|| Ok(Vec::new()), |folder| entries(&folder))
    }

    /// Removes everything.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn clear(&self) -> Result<(), StoreError> {
        let Some(folder) = self.open()? else { return Ok(()) };
        folder.remove_unfinished()?;
        entries(&folder)?.iter().try_for_each(|entry| remove(&folder, entry))
    }
}

fn entries(folder: &PrivateFolder) -> Result<Vec<CacheEntry>, StoreError> {
    let entry = |name: std::ffi::OsString| {
        let path = folder.path().join(&name);
        // Nothing else is touched, whatever somebody has put there.
        path.extension().filter(|extension| *extension == EXTENSION)?;
        // What another program has just removed is not there.
        let metadata = folder.open_file(name.to_str()?).ok()??.metadata().ok()?;
        Some(CacheEntry { path, bytes: metadata.len(), used: metadata.modified().ok()? })
    };
    Ok(folder.names()?.into_iter().filter_map(entry).collect())
}

fn remove(folder: &PrivateFolder, entry: &CacheEntry) -> Result<(), StoreError> {
    folder.remove(&entry.path.file_name().unwrap_or_default().to_string_lossy())
}

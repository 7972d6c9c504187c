//! What plugins that are not installed were compiled to.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use syncmgr_host::{Host, Plugin};

use crate::error::StoreError;
use crate::place::{Scope, check_private, create_private, replace_file};

/// What it may hold before the least recently used is removed.
const CACHE_BYTES: u64 = 512 << 20;

const EXTENSION: &str = "compiled";

/// A folder of compiled plugins, found by the digest of the component and by what the host that
/// compiled it was like. It is its owner's alone; what is damaged, or made by another host, counts
/// as not there.
#[derive(Clone, Debug)]
pub struct CodeCache {
    folder: PathBuf,
    max_bytes: u64,
}

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
        Self { folder: state_dir.join("cache"), max_bytes: CACHE_BYTES }
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
        let file = self.folder.join(format!("{key}-{}.{EXTENSION}", host.compatibility()));
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

    fn load_kept(&self, host: &Host, name: &str, file: &Path) -> Option<Plugin> {
        // From the state folder on: whoever can write there can put another one in its place.
        for place in self.folder.ancestors().take(2).chain([file]) {
            check_private(place, Scope::User).ok()?;
        }
        // SAFETY: only this module writes files of this name into the folder, with what
        // `precompile` returned, and that nobody else can write there was checked above.
        #[expect(unsafe_code, reason = "what was compiled earlier is native code")]
        let plugin = unsafe { host.load_precompiled_file(name, file) }.ok()?;
        // Keeps what is used from being removed; it is no harm if that cannot be.
        let opened = File::options().append(true).open(file);
        let _ = opened.and_then(|file| file.set_modified(SystemTime::now()));
        Some(plugin)
    }

    fn keep(&self, file: &Path, compiled: &[u8]) -> Result<(), StoreError> {
        create_private(&self.folder).map_err(StoreError::file(&self.folder))?;
        check_private(&self.folder, Scope::User)?;
        let bytes = compiled.len() as u64;
        if bytes > self.max_bytes {
            return Ok(());
        }
        let mut entries = self.entries()?;
        entries.sort_by_key(|entry| entry.used);
        let mut held = entries.iter().map(|entry| entry.bytes).sum::<u64>() + bytes;
        for entry in entries {
            if held <= self.max_bytes {
                break;
            }
            fs::remove_file(&entry.path).map_err(StoreError::file(&entry.path))?;
            held -= entry.bytes;
        }
        replace_file(file, compiled).map_err(StoreError::file(file))
    }

    /// Removes what a component was compiled to, found by its digest. That nothing is there, or cannot
    /// be removed, is no failure.
    pub fn forget(&self, digest: &str) {
        let prefix = format!("{digest}-");
        for entry in self.entries().unwrap_or_default() {
            let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(&prefix) {
                let _ = fs::remove_file(&entry.path);
            }
        }
    }

    /// What it holds, in no order.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn entries(&self) -> Result<Vec<CacheEntry>, StoreError> {
        let failed = StoreError::file(&self.folder);
        let found = match fs::read_dir(&self.folder) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let entry = |entry: fs::DirEntry| {
            let path = entry.path();
            // Nothing else is touched, whatever somebody has put there.
            path.extension().filter(|extension| *extension == EXTENSION)?;
            // What has just been removed by another program is not there.
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some(CacheEntry { path, bytes: metadata.len(), used: metadata.modified().ok()? })
        };
        Ok(found.flatten().filter_map(entry).collect())
    }

    /// Removes everything.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn clear(&self) -> Result<(), StoreError> {
        for entry in self.entries()? {
            fs::remove_file(&entry.path).map_err(StoreError::file(&entry.path))?;
        }
        Ok(())
    }
}

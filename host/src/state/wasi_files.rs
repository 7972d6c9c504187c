//! The files and listings that a plugin has open through WASI.

use std::collections::{HashMap, HashSet};
use std::sync::Weak;

use crate::fs::metadata::FileIdentity;
use crate::fs::system::look_at_file;

/// The files and listings that a plugin has open through WASI.
#[derive(Debug, Default)]
pub(crate) struct WasiFiles {
    /// The descriptors in the storage.
    pub(crate) stored: HashSet<u32>,
    /// The open files. A stream keeps a file open after its descriptor is closed.
    pub(crate) opened: Vec<Weak<std::fs::File>>,
    /// The preopened directories.
    pub(crate) roots: Vec<FileIdentity>,
    /// The open listings, with the number of their entries.
    pub(crate) listings: HashMap<u32, usize>,
}

impl WasiFiles {
    pub(crate) fn count_open(&mut self) -> u64 {
        self.opened.retain(|file| file.strong_count() > 0);
        self.opened.len() as u64
    }

    /// Returns the number of descriptors and streams of open files.
    pub(crate) fn count_streams(&self) -> u64 {
        self.opened.iter().map(|file| file.strong_count() as u64).sum()
    }

    /// Returns whether a file is open.
    pub(crate) fn has_open(&self, identity: FileIdentity) -> bool {
        let mut files = self.opened.iter().filter_map(Weak::upgrade);
        // A file whose metadata cannot be read may be this one.
        files.any(|file| look_at_file(&file).map_or(true, |seen| seen.identity == identity))
    }
}

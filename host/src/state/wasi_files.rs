//! The files and listings that a plugin has open through WASI.

use std::collections::{HashMap, HashSet};
use std::sync::Weak;

use crate::fs::metadata::FileIdentity;
use crate::fs::system::look_at_file;

/// The files and listings that a plugin has open through WASI.
#[derive(Debug, Default)]
pub(crate) struct WasiFiles {
    /// The descriptors that are in the storage.
    pub(crate) stored: HashSet<u32>,
    /// The open files. A stream keeps a file open when its descriptor is gone.
    pub(crate) opened: Vec<Weak<std::fs::File>>,
    /// The directories that WASI begins with.
    pub(crate) roots: Vec<FileIdentity>,
    /// The listings that there are, and how many entries each has.
    pub(crate) listings: HashMap<u32, usize>,
}

impl WasiFiles {
    pub(crate) fn count_open(&mut self) -> u64 {
        self.opened.retain(|file| file.strong_count() > 0);
        self.opened.len() as u64
    }

    /// Descriptors and streams of what is open.
    pub(crate) fn count_streams(&self) -> u64 {
        self.opened.iter().map(|file| file.strong_count() as u64).sum()
    }

    /// Whether a file is open.
    pub(crate) fn has_open(&self, identity: FileIdentity) -> bool {
        let mut files = self.opened.iter().filter_map(Weak::upgrade);
        // One that cannot be looked at may be that one.
        files.any(|file| look_at_file(&file).map_or(true, |seen| seen.identity == identity))
    }
}

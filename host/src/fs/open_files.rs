//! Tracks open files by weak references.

use std::fs::File;
use std::sync::{Arc, Weak};

use super::metadata::FileIdentity;
use super::system::look_at_file;

/// Files outside the storage that are open for writing.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles(Vec<(Weak<File>, Option<FileIdentity>)>);

impl OpenFiles {
    pub(crate) fn opened(&mut self, file: &Arc<File>) {
        // Pruned only when the list is full, because there may be many.
        if self.0.len() == self.0.capacity() {
            self.0.retain(|(file, _)| file.strong_count() > 0);
        }
        self.0.push((Arc::downgrade(file), None));
    }

    pub(crate) fn contains(&mut self, identity: FileIdentity) -> bool {
        self.0.retain_mut(|(file, known)| {
            let Some(file) = file.upgrade() else { return false };
            if known.is_none() {
                *known = look_at_file(&file).ok().map(|seen| seen.identity);
            }
            true
        });
        // A file whose metadata cannot be read may be this one.
        self.0.iter().any(|(_, known)| known.is_none_or(|known| known == identity))
    }
}

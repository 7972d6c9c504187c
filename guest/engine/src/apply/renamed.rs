//! Files that got another fingerprint when they were renamed: some servers can only copy them. The
//! plan has the fingerprints from before.

use std::collections::HashMap;

use crate::tree::{Fingerprint, Side};

/// What the plan expects, and what is there now, by side and new path.
#[derive(Debug, Default)]
pub(super) struct RenamedFiles([HashMap<String, [Fingerprint; 2]>; 2]);

impl RenamedFiles {
    /// Records a file that was at `old` before it was renamed.
    pub(super) fn add(&mut self, on: Side, old: &str, path: String, change: [Fingerprint; 2]) {
        let files = &mut self.0[on.index()];
        let [before, now] = change;
        // It may have been renamed twice.
        let planned = files.remove(old).filter(|[_, last]| *last == before);
        files.insert(path, [planned.map_or(before, |[planned, _]| planned), now]);
    }

    /// Returns the fingerprint that the file with this path must have now.
    pub(super) fn expected(&self, on: Side, path: &str, planned: &Fingerprint) -> Fingerprint {
        match self.0[on.index()].get(path) {
            Some([before, now]) if before.is_still(planned) => *now,
            Some(_) | None => *planned,
        }
    }
}

//! Builds the new baseline from the parts of the plan that were carried out.

use std::sync::Arc;

use syncmgr_plugin::Result;

use super::Applier;
use crate::endpoint::Metadata;
use crate::plan::Operation;
use crate::state::{self, BaseChildren, BaseKind, Seen};
use crate::tree::{Digest, Side, split};

impl Applier<'_> {
    /// Records how a side recognizes an entry that was just created there. Returns its permissions.
    pub(super) fn note(
        &mut self,
        on: Side,
        operation: &Operation,
        next: &mut BaseChildren,
        digest: Option<Digest>,
    ) -> Result<Option<u16>> {
        let Some(found) = self.end_of(on).stat(&operation.paths[on.index()])? else {
            return Ok(None);
        };
        self.note_found(on, operation, &found, next, digest);
        Ok(found.mode)
    }

    /// Records the metadata of an entry that was just created.
    pub(super) fn note_found(
        &self,
        on: Side,
        operation: &Operation,
        found: &Metadata,
        next: &mut BaseChildren,
        digest: Option<Digest>,
    ) {
        let (parent, name) = split(&operation.key);
        let entries = state::directory_mut(next, parent);
        let Some(base) = entries.and_then(|entries| entries.get_mut(name)) else { return };
        let base = Arc::make_mut(base);
        let Metadata { fingerprint, mode, .. } = *found;
        let can = self.ends[on.index()].capabilities();
        // Otherwise, the next run would download each file that this one has sent.
        let is_racy = can.is_racy(&fingerprint, self.now);
        let racy = is_racy && (can.hashes_cheaply || fingerprint.modified == 0);
        base.sides[on.index()] = Seen { fingerprint, mode, racy };
        if let (Some(digest), BaseKind::File(baseline)) = (digest, &mut base.kind) {
            *baseline = digest;
        }
    }
}

/// Restores the old baseline of a path where the plan was not carried out.
pub(super) fn restore(mut next: &mut BaseChildren, mut before: &BaseChildren, key: &str) {
    static NOTHING: BaseChildren = BaseChildren::new();
    let mut parts = key.split('/').peekable();
    while let Some(part) = parts.next() {
        let old = before.get(part);
        let is_last = parts.peek().is_none();
        let is_directory = next.get(part).is_some_and(|base| base.children().is_some());
        if is_last || !is_directory {
            // Its whole directory is restored.
            match old {
                Some(old) => drop(next.insert(part.into(), Arc::clone(old))),
                None => drop(next.remove(part)),
            }
            return;
        }
        let Some(base) = next.get_mut(part).map(Arc::make_mut) else { return };
        let BaseKind::Directory(children) = &mut base.kind else { return };
        next = children;
        before = old.and_then(|old| old.children()).unwrap_or(&NOTHING);
    }
}

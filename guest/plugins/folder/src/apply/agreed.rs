//! What the two sides agree on, as far as the plan was carried out.

use std::sync::Arc;

use syncmgr_plugin::Result;

use super::Applier;
use crate::plan::{Operation, is_racy};
use crate::scan::{self, fingerprint};
use crate::state::{Base, BaseChildren, BaseKind, Seen};
use crate::tree::{Digest, Side};
use crate::walker::split;

impl Applier<'_> {
    /// Records how a side recognises what was just made there. Returns the permissions that it has.
    pub(super) fn note(
        &mut self,
        on: Side,
        operation: &Operation,
        next: &mut BaseChildren,
        digest: Option<Digest>,
    ) -> Result<Option<u16>> {
        let (parent, name) = split(&operation.paths[on.index()]);
        let directory = self.roots[on.index()].directory(parent, false)?;
        let Some(metadata) = directory.stat(name)? else { return Ok(None) };
        let fingerprint = fingerprint(&metadata);
        let mode = scan::mode(&metadata);
        let Some(base) = find(next, &operation.key) else { return Ok(mode) };
        let racy = is_racy(&fingerprint, self.now);
        base.sides[on.index()] = Seen { fingerprint, mode, racy };
        if let (Some(digest), BaseKind::File(agreed)) = (digest, &mut base.kind) {
            *agreed = digest;
        }
        Ok(mode)
    }
}

fn find<'a>(entries: &'a mut BaseChildren, key: &str) -> Option<&'a mut Base> {
    match key.split_once('/') {
        None => entries.get_mut(key).map(Arc::make_mut),
        Some((first, rest)) => match &mut Arc::make_mut(entries.get_mut(first)?).kind {
            BaseKind::Directory(children) => find(children, rest),
            BaseKind::File(_) | BaseKind::Link(_) => None,
        },
    }
}

/// Puts back what was agreed on before, for a path where the plan was not carried out.
pub(super) fn revert(next: &mut BaseChildren, before: &BaseChildren, key: &str) {
    let (first, rest) = match key.split_once('/') {
        None => (key, None),
        Some((first, rest)) => (first, Some(rest)),
    };
    let old = before.get(first);
    match (rest, next.get_mut(first).map(Arc::make_mut)) {
        (Some(rest), Some(Base { kind: BaseKind::Directory(children), .. })) => {
            static NOTHING: BaseChildren = BaseChildren::new();
            revert(children, old.and_then(|old| old.children()).unwrap_or(&NOTHING), rest);
        }
        // The directory around it goes back as a whole.
        (_, _) => match old {
            Some(old) => {
                next.insert(first.into(), Arc::clone(old));
            }
            None => {
                next.remove(first);
            }
        },
    }
}

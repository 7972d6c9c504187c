//! Version tags of files, and how reliable they are.

use std::num::NonZeroU64;

use syncmgr_engine::endpoint::Metadata;
use syncmgr_engine::tree::{Fingerprint, join};
use syncmgr_plugin::Interrupt;
use syncmgr_plugin::directories::EntryKind;

use super::Collection;
use super::listing::Listings;
use crate::multistatus::Found;

/// Times in whole seconds are smaller until the year 2514.
const MAX_SECONDS: u64 = 1 << 34;
const SECOND_NS: u64 = 1_000_000_000;

impl Collection {
    /// Asks for a file of a listing again, if that shows for the first time whether tags are stable.
    /// Those that are new each time are not used.
    pub(super) fn check_tags(&mut self, directory: &str) -> Result<(), Interrupt> {
        let Some(Ok(entries)) = self.listings.ready.get(directory) else { return Ok(()) };
        let tagged = entries.iter().find_map(|entry| {
            let found = entry.metadata.as_ref().ok()?.fingerprint;
            Some((entry.name.text()?, found)).filter(|(_, found)| found.changed.is_some())
        });
        let (None, Some((name, before))) = (self.listings.has_stable_tags, tagged) else {
            return Ok(());
        };
        let path = join(directory, name);
        let now = match self.one(&path, self.propfind(&path, "0").send()) {
            Ok(Some(now)) => now.fingerprint,
            Ok(None) | Err(Interrupt::Failed(_)) => return Ok(()),
            Err(cancelled @ (Interrupt::Item | Interrupt::All)) => return Err(cancelled),
        };
        let is_other = now.size != before.size || now.modified != before.modified;
        let is_stable = is_other || now == before;
        match is_stable {
            true => self.listings.has_stable_tags = Some(true),
            false => self.listings.ignore_tags(),
        }
        Ok(())
    }

    /// Returns the metadata of an entry. The file id in its fingerprint is that of the server, if it
    /// states one.
    pub(super) fn metadata(&self, found: &Found) -> Metadata {
        let found = metadata(found);
        match self.listings.has_stable_tags {
            Some(false) => Metadata { fingerprint: without_tag(found.fingerprint), ..found },
            Some(true) | None => found,
        }
    }
}

impl Listings {
    /// Uses no tags from now on.
    pub(super) fn ignore_tags(&mut self) {
        self.has_stable_tags = Some(false);
        self.has_coarse_tags = true;
        let ready = self.ready.values_mut().flatten().flatten();
        for found in ready.filter_map(|entry| entry.metadata.as_mut().ok()) {
            found.fingerprint = without_tag(found.fingerprint);
        }
    }
}

/// Returns whether a version tag is only made of the size and of the time in whole seconds: then
/// two versions of one second may have the same one. nginx joins the two with `-`; servers in Go
/// write the time in ns, and the size after it.
pub(super) fn is_coarse(tag: &str, size: u64) -> bool {
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let is_seconds = |part: u64| part < MAX_SECONDS;
    match tag.split_once('-').map(|(one, other)| (hex(one), hex(other))) {
        Some((Some(one), Some(other))) => {
            (one == size && is_seconds(other)) || (other == size && is_seconds(one))
        }
        Some(_) => false,
        None => {
            let time = tag.strip_suffix(&format!("{size:x}")).and_then(hex);
            time.is_some_and(|time| time > 0 && time % SECOND_NS == 0)
        }
    }
}

/// Returns the fingerprint of a file whose tag says nothing.
pub(super) fn without_tag(found: Fingerprint) -> Fingerprint {
    Fingerprint { size: found.size, modified: found.modified, ..Fingerprint::default() }
}

fn metadata(found: &Found) -> Metadata {
    let (kind, size) = match found.is_collection {
        true => (EntryKind::Directory, 0),
        false => (EntryKind::File, found.size.unwrap_or(0)),
    };
    let modified = found.modified.unwrap_or(0);
    let exact = found.tag.as_ref().filter(|tag| !is_coarse(tag, size));
    let fingerprint = match (exact, kind) {
        (Some(tag), EntryKind::File) => {
            let version = Fingerprint::of_version(size, modified, tag);
            Fingerprint { file_id: found.id.map_or(version.file_id, NonZeroU64::get), ..version }
        }
        (None, _) | (_, EntryKind::Directory | EntryKind::SymbolicLink | EntryKind::Other) => {
            Fingerprint { size, modified, ..Fingerprint::default() }
        }
    };
    Metadata { kind, fingerprint, mode: None, identity: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_whole_seconds_are_coarse() {
        for (tag, size, coarse) in [
            // nginx, and Apache with its microseconds.
            ("692ad3f0-c", 12, true),
            ("c-644b8a0c3f5e1", 12, false),
            // Go: with the time in ns, and in whole seconds.
            ("18791d2f5b7c3a00c", 12, false),
            ("18d75b8423f30005c", 12, false),
            ("18d75b8423f30000c", 12, true),
            ("c", 12, false),
            ("5f4dcc3b5aa765d61d8327deb882cf99", 12, false),
            ("692ad3f0-d", 12, false),
        ] {
            assert_eq!(is_coarse(tag, size), coarse, "{tag}");
        }
    }
}

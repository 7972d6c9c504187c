//! Flushes finished copies, and gives them their names.

use syncmgr_plugin::{Error, Result};

use super::Applier;
use super::copy::Planned;
use super::place::{Finished, check};
use crate::endpoint::{Metadata, changed};
use crate::state::BaseChildren;
use crate::tree::{Digest, Side};

impl Applier<'_> {
    /// Flushes the created copies, and renames them.
    pub(super) fn name_copies(&mut self, next: &mut BaseChildren) {
        self.batch.bytes = 0;
        let copies = std::mem::take(&mut self.batch.copies);
        for from in Side::BOTH {
            let copies: Vec<_> =
                copies.iter().filter(|(planned, _)| planned.from == from).collect();
            if copies.is_empty() {
                continue;
            }
            let temps: Vec<_> = copies.iter().map(|(planned, _)| &*planned.temp).collect();
            let durable = self.options.durable;
            let flushed = self.end_of(from.other()).flush_received(&temps, durable);
            let mut good = Vec::with_capacity(copies.len());
            for ((planned, digest), flushed) in copies.into_iter().zip(flushed) {
                match flushed {
                    Ok(()) => good.push((planned, *digest)),
                    Err(error) => self.lose(planned, &error),
                }
            }
            // One after the other, the time between a check and its rename is shortest.
            let at_once = self.end_of(from.other()).capabilities().at_once.max(1);
            for some in good.chunks(at_once) {
                self.name(from, some, next);
            }
        }
    }

    /// Renames copies whose sources are still unchanged.
    fn name(&mut self, from: Side, copies: &[(&Planned, Digest)], next: &mut BaseChildren) {
        let on = from.other();
        let paths: Vec<_> = copies.iter().map(|(planned, _)| planned.path(from)).collect();
        let sources = self.end_of(from).stat_all(&paths);
        let mut good = Vec::with_capacity(copies.len());
        for ((planned, digest), source) in copies.iter().zip(sources) {
            match source.and_then(|source| check(&source, &planned.source)) {
                Ok(()) => good.push((*planned, *digest)),
                Err(error) => self.lose(planned, &error),
            }
        }
        let finished: Vec<_> = good.iter().map(|(planned, _)| planned.finished()).collect();
        let placed = self.place(on, &finished);
        let mut named = Vec::with_capacity(good.len());
        for ((planned, digest), placed) in good.into_iter().zip(placed) {
            match placed {
                Ok(found) => named.push((planned, digest, found)),
                Err(error) => self.lose(planned, &error),
            }
        }
        let is_unknown = |found: &Option<Metadata>| found.is_none();
        let unknown = named.iter().filter(|(_, _, found)| is_unknown(found));
        let paths: Vec<_> = unknown.map(|(planned, ..)| planned.path(on)).collect();
        let mut asked = match paths.is_empty() {
            true => Vec::new(),
            false => self.end_of(on).stat_all(&paths),
        }
        .into_iter();
        for (planned, digest, found) in named {
            let found = match found {
                Some(found) => Ok(Some(found)),
                None => asked.next().unwrap_or(Ok(None)),
            };
            let noted = found
                .and_then(|found| self.note_copy(planned, digest, found, next))
                .and_then(|()| self.note_renamed_source(from, planned, next));
            match noted {
                Ok(()) => {
                    self.outage.works();
                    self.done.copied += 1;
                    self.done.bytes += planned.source.size;
                    self.report(&planned.operation);
                }
                Err(error) => self.fail(&planned.operation, &error),
            }
        }
    }

    /// Records how the side recognizes a copy.
    fn note_copy(
        &mut self,
        planned: &Planned,
        digest: Digest,
        found: Option<Metadata>,
        next: &mut BaseChildren,
    ) -> Result<()> {
        let Some(found) = found else { return Ok(()) };
        if found.is_directory() || found.fingerprint.size != planned.source.size {
            return Err(changed("it"));
        }
        self.note_found(planned.from.other(), &planned.operation, &found, next, Some(digest));
        Ok(())
    }

    /// Records how the side recognizes a source that was renamed before its copy. One that was
    /// edited since is found by the next run.
    fn note_renamed_source(
        &mut self,
        from: Side,
        planned: &Planned,
        next: &mut BaseChildren,
    ) -> Result<()> {
        if planned.source.changed.is_some() {
            return Ok(());
        }
        let found = self.end_of(from).stat(planned.path(from))?;
        if let Some(found) = found.filter(|found| found.fingerprint.is_still(&planned.source)) {
            self.note_found(from, &planned.operation, &found, next, None);
        }
        Ok(())
    }

    /// Removes a copy that cannot be renamed.
    fn lose(&mut self, planned: &Planned, error: &Error) {
        self.remove_temp(planned);
        self.fail(&planned.operation, error);
    }
}

impl Planned {
    fn finished(&self) -> Finished<'_> {
        Finished { operation: &self.operation, temp: &self.temp, replaces: self.replaces.as_ref() }
    }
}

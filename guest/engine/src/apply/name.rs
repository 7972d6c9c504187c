//! Flushes finished copies, and gives them their names.

use syncmgr_plugin::Error;

use super::Applier;
use super::copy::Planned;
use super::place::{Finished, check};
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
                Ok(()) => named.push((planned, digest)),
                Err(error) => self.lose(planned, &error),
            }
        }
        let paths: Vec<_> = named.iter().map(|(planned, _)| planned.path(on)).collect();
        let found = self.end_of(on).stat_all(&paths);
        for ((planned, digest), found) in named.into_iter().zip(found) {
            match found {
                Ok(found) => {
                    if let Some(found) = found {
                        self.note_found(on, &planned.operation, &found, next, Some(digest));
                    }
                    if planned.source.changed.is_none() {
                        // The source was renamed before its copy.
                        let noted = self.note(from, &planned.operation, next, None);
                        if let Err(error) = noted {
                            self.fail(&planned.operation, &error);
                            continue;
                        }
                    }
                    self.outage.works();
                    self.done.copied += 1;
                    self.done.bytes += planned.source.size;
                }
                Err(error) => self.fail(&planned.operation, &error),
            }
        }
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

//! Gives finished copies and links their names. Every change checks first that the entries still
//! match the plan.

use syncmgr_plugin::directories::EntryKind;
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Applier;
use crate::endpoint::{Metadata, Rename, changed};
use crate::plan::Operation;
use crate::tree::{Fingerprint, Side, split};

/// A finished temporary entry.
#[derive(Clone, Copy)]
pub(super) struct Finished<'a> {
    pub(super) operation: &'a Operation,
    /// Its path.
    pub(super) temp: &'a str,
    /// The entry to replace; `None`: the name must be unused.
    pub(super) replaces: Option<&'a Fingerprint>,
}

/// Checks that an entry still matches the plan.
pub(super) fn check(found: &Option<Metadata>, planned: &Fingerprint) -> Result<()> {
    match found {
        None => {
            Err(Error::new(ErrorCode::NotFound, "removed during the sync; the next run syncs that"))
        }
        Some(now) => match (now.kind, now.fingerprint.is_still(planned)) {
            (EntryKind::File | EntryKind::SymbolicLink, true) => Ok(()),
            (EntryKind::Directory | EntryKind::Other, _) | (_, false) => Err(changed("it")),
        },
    }
}

fn no_result<T>() -> Result<T> {
    Err(Error::failed("no result"))
}

impl Applier<'_> {
    /// Names one entry.
    pub(super) fn place_one(&mut self, on: Side, finished: Finished<'_>) -> Result<()> {
        self.place(on, &[finished]).pop().unwrap_or(Ok(None)).map(drop)
    }

    /// Names several entries of a side, and moves the entries that they replace to the trash.
    /// Returns the metadata that the side knows.
    pub(super) fn place(
        &mut self,
        on: Side,
        finished: &[Finished<'_>],
    ) -> Vec<Result<Option<Metadata>>> {
        let checked = self.check_replaced(on, finished).into_iter();
        let mut results: Vec<_> = checked.map(|result| result.map(|()| None)).collect();
        let right = results.iter().zip(finished).filter(|(result, _)| result.is_ok());
        let renames: Vec<_> = right
            .map(|(_, finished)| Rename {
                path: finished.temp,
                to: split(&finished.operation.paths[on.index()]).1,
                replaces: finished.replaces,
            })
            .collect();
        let mut renamed = self.end_of(on).rename_all(&renames).into_iter();
        for (result, finished) in results.iter_mut().zip(finished) {
            if result.is_err() {
                continue;
            }
            *result = match renamed.next().unwrap_or_else(no_result) {
                Ok(found) => Ok(found),
                Err(error) => Err(self.why_not_named(on, finished, error)),
            };
            if result.is_ok() {
                let (parent, _) = split(&finished.operation.paths[on.index()]);
                self.dirty.touch(on, parent, &finished.operation.key);
                if finished.replaces.is_some() && !self.options.trash {
                    self.room.made(on);
                }
            }
        }
        results
    }

    /// Checks the entries that are replaced, and keeps them in the trash.
    fn check_replaced(&mut self, on: Side, finished: &[Finished<'_>]) -> Vec<Result<()>> {
        let replacing = finished.iter().filter(|one| one.replaces.is_some());
        let paths: Vec<_> = replacing.map(|one| &*one.operation.paths[on.index()]).collect();
        let mut found = match paths.is_empty() {
            true => Vec::new(),
            false => self.end_of(on).stat_all(&paths),
        }
        .into_iter();
        let check_one = |one: &Finished<'_>| match one.replaces {
            Some(planned) => check(&found.next().unwrap_or_else(no_result)?, planned),
            None => Ok(()),
        };
        let mut results: Vec<Result<()>> = finished.iter().map(check_one).collect();
        let right = results.iter_mut().zip(finished).filter(|(result, _)| result.is_ok());
        let (kept, operations): (Vec<_>, Vec<_>) = right
            .filter_map(|(result, one)| Some((result, (one.operation, one.replaces?))))
            .unzip();
        if self.options.trash && !operations.is_empty() {
            let results = self.keep_in_trash(on, &operations, true);
            kept.into_iter().zip(results).for_each(|(kept, result)| *kept = result);
        }
        results
    }

    fn why_not_named(&mut self, on: Side, finished: &Finished<'_>, error: Error) -> Error {
        if finished.replaces.is_some() {
            return error;
        }
        if error.code == ErrorCode::AlreadyExists {
            return self.taken(finished.operation);
        }
        // It still exists under the temporary name.
        match self.end_of(on).stat(finished.temp) {
            Ok(Some(_)) => self.not_named(on, error),
            Ok(None) => error,
            Err(other) => other,
        }
    }
}

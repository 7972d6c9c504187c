//! Moves entries away that are replaced or removed: to a collection of the run in the trash. There,
//! nothing else changes them, so they are compared once more, and no other run deletes them. An
//! unexpected entry is moved back.

use std::collections::HashSet;

use syncmgr_engine::endpoint::{Metadata, Removal, Rename, changed, without_cancellation};
use syncmgr_engine::names;
use syncmgr_engine::tree::{Fingerprint, join, prefixes, split};
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::relocate::{deleted, moved};
use super::tags::without_tag;
use super::{Collection, complete, is_collection, request};
use crate::permissions::Change;

/// The trash of a run.
#[derive(Debug, Default)]
pub(super) struct Trash {
    /// The collections that exist.
    made: HashSet<String>,
    /// The paths of entries.
    places: HashSet<String>,
    /// Whether it has an entry that stays there.
    is_kept: bool,
}

/// A path in the trash, and the result of moving an entry there. After a failure, it may be there.
type Captured = (String, Result<()>);

impl Collection {
    /// Moves files to the trash. Returns their paths there.
    pub(super) fn capture(&mut self, removals: &[Removal<'_>]) -> Vec<Result<String>> {
        let paths: Vec<_> = removals.iter().map(|removal| removal.path).collect();
        let captured = self.move_to_trash(&paths);
        let places: Vec<_> = captured.iter().flatten().map(|(place, _)| &**place).collect();
        let mut found = self.stat_many(&places).into_iter();
        let check = |(removal, captured): (&Removal<'_>, Result<Captured>)| {
            let (place, moved) = captured?;
            match found.next().unwrap_or(Ok(None)) {
                Ok(Some(entry)) => {
                    let [now, expected] =
                        [entry.fingerprint, *removal.expected].map(|it| self.moved(it));
                    match !is_collection(entry) && now.is_still(&expected) {
                        true => Ok(place),
                        false => Err(self.put_back(&place, removal.path, entry)),
                    }
                }
                Ok(None) => Err(moved.err().unwrap_or_else(|| {
                    Error::failed(format!("the server moved it to {place:?}, but it is not there"))
                })),
                Err(error) => Err(
                    match self.relocate(&place, removal.path, Metadata::file(*removal.expected)) {
                        Ok(()) => error,
                        Err(_) if moved.is_ok() => error.context(is_at(&place)),
                        Err(_) => error.context(format!("it may be {place:?} on the server now")),
                    },
                ),
            }
        };
        removals.iter().zip(captured).map(check).collect()
    }

    /// Returns what the server keeps of a fingerprint when it moves a file.
    fn moved(&self, found: Fingerprint) -> Fingerprint {
        let uses_tags = self.server.moves_tags && self.listings.has_stable_tags != Some(false);
        let found = if uses_tags { found } else { without_tag(found) };
        let modified = if self.server.moves_times { found.modified } else { 0 };
        // A server may give a moved file another id.
        Fingerprint { modified, file_id: 0, ..found }
    }

    /// Moves entries to the trash.
    fn move_to_trash(&mut self, paths: &[&str]) -> Vec<Result<Captured>> {
        let places: Vec<_> = paths.iter().map(|path| self.place_in_trash(path)).collect();
        let requests: Vec<_> = paths
            .iter()
            .zip(&places)
            .filter_map(|(path, place)| {
                let place = place.as_ref().ok()?;
                Some(self.move_request(&self.file(path), &self.file(place)))
            })
            .collect();
        let count = requests.len();
        let mut results = complete(self.send_all(requests, moved), count).into_iter();
        let mut result = |place: String| (place, results.next().unwrap_or(Ok(())));
        places.into_iter().map(|place| place.map(&mut result)).collect()
    }

    /// Returns an unused path in the trash for an entry. Its parents exist.
    fn place_in_trash(&mut self, path: &str) -> Result<String> {
        self.permit(path, Change::Delete)?;
        self.prepare()?;
        let (parent, name) = split(path);
        let directory = join(names::TRASH, &self.run()?.stamp);
        let directory = if parent.is_empty() { directory } else { join(&directory, parent) };
        for above in prefixes(&directory) {
            if self.trash.made.contains(above) {
                continue;
            }
            match self.make(above) {
                Err(error) if error.code != ErrorCode::AlreadyExists => {
                    return Err(error.context("the trash cannot be used"));
                }
                Ok(()) | Err(_) => self.trash.made.insert(above.to_owned()),
            };
        }
        // Two entries with one name may be deleted in one run: first a file, later its replacement.
        let mut place = join(&directory, name);
        let mut number = 0;
        while self.trash.made.contains(&place) || !self.trash.places.insert(place.clone()) {
            number += 1;
            place = join(&directory, &format!("{name}.{number}"));
        }
        Ok(place)
    }

    /// Moves an entry back that is not the expected one, and returns the error that says so.
    fn put_back(&self, place: &str, path: &str, entry: Metadata) -> Error {
        match self.relocate(place, path, entry) {
            Ok(()) => changed("it"),
            Err(error) if error.code == ErrorCode::AlreadyExists => {
                let message = format!(
                    "it changed twice during the sync; the version in between is {place:?} on the \
                     server, and the next run syncs the other one"
                );
                Error::new(ErrorCode::Changed, message)
            }
            Err(error) => error.context(format!(
                "it changed during the sync; it is {place:?} on the server now, and cannot be \
                 moved back"
            )),
        }
    }

    /// Moves the files away that are replaced, unless they are in the trash already.
    pub(super) fn capture_replaced(
        &mut self,
        renames: &[Rename<'_>],
        targets: &[String],
    ) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = renames.iter().map(|_| Ok(())).collect();
        let (mut replacing, mut removals) = (Vec::new(), Vec::new());
        for (at, (rename, path)) in renames.iter().zip(targets).enumerate() {
            if let Some(expected) = rename.replaces
                && !self.captured.contains_key(path)
            {
                replacing.push(at);
                removals.push(Removal { path, expected });
            }
        }
        let captured = self.capture(&removals);
        for ((at, removal), captured) in replacing.into_iter().zip(&removals).zip(captured) {
            match captured {
                Ok(place) => {
                    self.captured.insert(targets[at].clone(), (place, *removal.expected));
                }
                Err(error) => results[at] = Err(error),
            }
        }
        results
    }

    /// Fails for names that are used, if the server cannot refuse to replace a file.
    pub(super) fn check_unused(&self, paths: &[String], results: &mut [Result<()>]) {
        if self.server.refuses_overwrites {
            return;
        }
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        for (result, unused) in results.iter_mut().zip(self.expect_unused(&paths)) {
            if result.is_ok() {
                *result = unused;
            }
        }
    }

    pub(super) fn expect_unused(&self, paths: &[&str]) -> Vec<Result<()>> {
        let found = self.stat_many(paths).into_iter();
        let unused = found.map(|found| match found? {
            None => Ok(()),
            Some(_) => Err(Error::new(ErrorCode::AlreadyExists, "the name is used")),
        });
        unused.collect()
    }

    /// Deletes the files that were replaced, unless they stay in the trash. Moves those back whose
    /// replacements failed.
    pub(super) fn settle_replaced(&mut self, targets: &[String], results: &mut [Result<()>]) {
        let keeps_trash = self.run.as_ref().is_some_and(|run| run.trash);
        let mut deletions = Vec::new();
        for (path, result) in targets.iter().zip(results) {
            let Some((place, kept)) = self.captured.remove(path) else { continue };
            match std::mem::replace(result, Ok(())) {
                Ok(()) if keeps_trash => {}
                Ok(()) => deletions.push(request("DELETE", &self.file(&place))),
                Err(error) => *result = Err(self.not_replaced(&place, path, kept, error)),
            }
        }
        // What is left is in the trash.
        let _ = self.send_all(deletions, deleted);
    }

    /// Moves a file back that could not be replaced. Returns the error that says so.
    fn not_replaced(&self, place: &str, path: &str, file: Fingerprint, error: Error) -> Error {
        let kept = format!("the version that it should replace is {place:?} on the server");
        if error.code == ErrorCode::AlreadyExists {
            return Error::new(ErrorCode::Changed, format!("{}; {kept}", changed("it").message));
        }
        match self.relocate(place, path, Metadata::file(file)) {
            Ok(()) => error,
            Err(_) => error.context(kept),
        }
    }

    /// Moves files to the trash that stay there.
    pub(super) fn keep(&mut self, removals: &[Removal<'_>], stays: bool) -> Vec<Result<()>> {
        let captured = self.capture(removals);
        let keep = |(removal, place): (&Removal<'_>, Result<String>)| {
            let place = place?;
            self.trash.is_kept = true;
            if stays {
                self.captured.insert(removal.path.to_owned(), (place, *removal.expected));
            }
            Ok(())
        };
        removals.iter().zip(captured).map(keep).collect()
    }

    /// Removes a file for good.
    pub(super) fn remove_file(&mut self, removal: Removal<'_>) -> Result<()> {
        let place = self.capture(&[removal]).pop();
        let place = place.unwrap_or_else(|| Err(Error::failed("no result")))?;
        self.delete(&self.file(&place))
    }

    /// Removes an empty collection. DELETE would also remove entries that another client creates at
    /// the same time, so the collection is listed in the trash, where no client changes it. It stays
    /// there if the server does not list all its entries.
    pub(super) fn remove_empty(&mut self, path: &str) -> Result<()> {
        let not_empty = || Error::new(ErrorCode::AlreadyExists, "the collection is not empty");
        if !without_cancellation(self.list_directory(path))?.is_empty() {
            return Err(not_empty());
        }
        let place = self.place_in_trash(path)?;
        let collection = Metadata::directory();
        self.relocate(path, &place, collection)?;
        if !self.server.lists_hidden {
            self.trash.is_kept = true;
            return Ok(());
        }
        match without_cancellation(self.list_directory(&place)) {
            Ok(entries) if entries.is_empty() => self.delete(&self.collection(&place)),
            Ok(_) => Err(Error::new(
                ErrorCode::AlreadyExists,
                self.put_back(&place, path, collection).message,
            )),
            Err(error) => Err(match self.relocate(&place, path, collection) {
                Ok(()) => error,
                Err(_) => error.context(is_at(&place)),
            }),
        }
    }

    /// Deletes the collections of the run in the trash if nothing stays there, and if the server
    /// lists all entries.
    pub(super) fn clear_trash(&mut self) {
        if std::mem::take(&mut self.trash.is_kept) || !self.server.lists_hidden {
            return;
        }
        let mut made: Vec<_> =
            self.trash.made.drain().filter(|path| path != names::TRASH).collect();
        // Those in a collection precede it.
        made.sort_unstable_by(|one, other| other.cmp(one));
        for path in made {
            let is_empty = without_cancellation(self.list_directory(&path))
                .is_ok_and(|found| found.is_empty());
            if is_empty {
                let _ = self.delete(&self.collection(&path));
            }
        }
    }
}

fn is_at(place: &str) -> String {
    format!("it is {place:?} on the server now")
}

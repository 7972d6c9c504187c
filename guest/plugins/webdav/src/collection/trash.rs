//! Removes entries: into a trash collection of the run, or for good.

use syncmgr_engine::tree::{join, split};
use syncmgr_engine::{Endpoint as _, names};
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::{Collection, is_collection, moved};
use crate::answer::failed;

impl Collection {
    /// Returns whether replaced files are in the trash already.
    pub(super) fn keeps_trash(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.trash)
    }

    /// Moves a file to the trash.
    pub(super) fn move_to_trash(&mut self, path: &str) -> Result<()> {
        let (parent, name) = split(path);
        let stamp = self.run.as_ref().map(|run| run.stamp.clone()).unwrap_or_default();
        let directory = join(names::TRASH, &stamp);
        let directory = if parent.is_empty() { directory } else { join(&directory, parent) };
        self.make_all(&directory)?;
        // Two entries with one name may be deleted in one run: first a file, later its replacement.
        for number in 0..100_u32 {
            let kept = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
            let to = self.file(&join(&directory, &kept));
            match moved(self.move_request(&self.file(path), &to, false).send()) {
                Err(error) if error.code == ErrorCode::AlreadyExists => {}
                result => return result,
            }
        }
        Err(Error::failed("the trash of this run has 100 entries of that name"))
    }

    /// Creates a collection in the trash and its parents.
    fn make_all(&mut self, directory: &str) -> Result<()> {
        let ends = directory.match_indices('/').map(|(at, _)| at).chain([directory.len()]);
        for end in ends {
            let path = &directory[..end];
            if self.trash.contains(path) {
                continue;
            }
            match failed(self.make(path)) {
                Ok(()) => {}
                Err(error) if error.code == ErrorCode::AlreadyExists => {}
                Err(error) => return Err(error.context("the trash cannot be used")),
            }
            self.trash.insert(path.to_owned());
        }
        Ok(())
    }

    /// Removes a file for good. DELETE would remove a collection that took its place, with
    /// everything in it, so the entry is moved away and looked at first.
    pub(super) fn remove_file(&mut self, path: &str) -> Result<()> {
        let away = join(&self.staging()?, &self.temp());
        moved(self.move_request(&self.file(path), &self.file(&away), false).send())?;
        match self.stat(&away)? {
            Some(found) if is_collection(found) => {
                self.move_back(&self.collection(&away), &self.collection(path))
            }
            _ => self.delete(&self.file(&away)),
        }
    }

    /// Removes an empty collection. It is moved away and listed there: DELETE would also remove what
    /// was created in it meanwhile.
    pub(super) fn remove_empty(&mut self, path: &str) -> Result<()> {
        let not_empty = || Error::new(ErrorCode::AlreadyExists, "the collection is not empty");
        if !failed(self.list_directory(path))?.is_empty() {
            return Err(not_empty());
        }
        let away = join(&self.staging()?, &self.temp());
        let [from, to] = [self.collection(path), self.collection(&away)];
        moved(self.move_request(&from, &to, false).send())?;
        if failed(self.list_directory(&away))?.is_empty() {
            return self.delete(&to);
        }
        self.move_back(&to, &from)?;
        Err(not_empty())
    }

    /// Moves an entry back that is not the expected one.
    fn move_back(&self, away: &str, url: &str) -> Result<()> {
        moved(self.move_request(away, url, false).send())?;
        let message = "it changed during the sync; the next run syncs it";
        Err(Error::new(ErrorCode::Changed, message))
    }
}

//! Keeps replaced and deleted objects: the bucket does, if it has versions; otherwise, they are
//! copied below `.syncmgr-trash`.

use syncmgr_engine::endpoint::{Removal, changed};
use syncmgr_engine::names;
use syncmgr_engine::tree::join;
use syncmgr_plugin::Result;

use super::Bucket;
use crate::answer::missing;

impl Bucket {
    /// Keeps an object that is replaced, which `stays`, or deleted.
    pub(super) fn keep(&mut self, removal: &Removal<'_>, stays: bool) -> Result<()> {
        let path = removal.path;
        let mut object = self.expected(path, removal.expected)?;
        let has_versions = self.server.as_ref().is_some_and(|server| server.has_versions);
        if has_versions && object.is_kept.is_none() {
            object = self.head(path)?.ok_or_else(missing)?;
            if !object.is_still(removal.expected) {
                return Err(changed("it"));
            }
        }
        if object.is_kept != Some(true) {
            let place = self.place_in_trash(path)?;
            self.copy(path, &place, &object)
                .map_err(|error| error.context("it cannot be kept in the trash"))?;
        }
        if stays { Ok(()) } else { self.delete_expected(path, &object) }
    }

    /// Returns an unused path in the trash.
    fn place_in_trash(&mut self, path: &str) -> Result<String> {
        let place = join(&join(names::TRASH, &self.run()?.stamp), path);
        // A file and its replacement may be deleted in one run.
        let mut numbers = (0..).map(|number| match number {
            0 => place.clone(),
            number => format!("{place}.{number}"),
        });
        let unused = numbers.find(|place| !self.trash.contains(place));
        let place = unused.unwrap_or_default();
        self.trash.insert(place.clone());
        Ok(place)
    }
}

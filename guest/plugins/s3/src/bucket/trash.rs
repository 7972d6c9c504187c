//! Keeps replaced and deleted objects: the bucket does, if it has versions; otherwise, they are
//! copied below `.syncmgr-trash`.

use syncmgr_engine::endpoint::{Metadata, Removal, changed, without_cancellation};
use syncmgr_engine::names;
use syncmgr_engine::tree::join;
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Bucket;
use super::objects::{Object, Place};
use crate::answer::{expect, missing, used};
use crate::xml;

/// The maximum size of an object that a server copies in one request.
const MAX_COPY: u64 = 5 << 30;

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

    /// Copies an object on the server.
    pub(super) fn copy(&self, path: &str, to: &str, object: &Object) -> Result<()> {
        if object.metadata.fingerprint.size > MAX_COPY {
            let message = "the server copies no object of more than 5 GiB";
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
        let mut copy = self
            .request("PUT", to)
            .header("x-amz-copy-source", &self.location.source(path))
            .body(b"");
        if !object.tag.is_empty() {
            let tag = format!("\"{}\"", object.tag);
            copy = copy.header("x-amz-copy-source-if-match", &tag);
        }
        let response = without_cancellation(expect(copy.send()))?;
        // The status is 200 even after an error.
        without_cancellation(xml::read(response, "CopyObjectResult", &mut |_, _, _| Ok(())))
    }

    /// Renames an object: copies it, and deletes it if it is still the one that was copied.
    pub(super) fn move_file(&mut self, path: &str, to: &str) -> Result<Metadata> {
        let Some(Ok(Place::Object(object))) = self.find(&[path]).pop() else {
            return Err(missing());
        };
        if self.is_used(to)? {
            return Err(used());
        }
        self.copy(path, to, &object)?;
        self.directories.add(to);
        self.delete_expected(path, &object)?;
        self.stat_entries(&[to]).pop().unwrap_or(Ok(None))?.ok_or_else(missing)
    }
}

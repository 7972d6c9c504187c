//! Renames entries: the server copies each object, and the old ones are deleted if they are still
//! those that were copied.

use std::collections::HashMap;

use syncmgr_engine::endpoint::{Metadata, Renamed, without_cancellation};
use syncmgr_engine::tree::moved_path;
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::listing::Found;
use super::object::{Object, Place};
use super::{Bucket, send_all};
use crate::answer::{expect, missing, used};

/// The maximum number of objects in a directory that is renamed.
const MAX_OBJECTS: usize = 1_000;

impl Bucket {
    /// Renames an object, or a directory with everything in it.
    pub(super) fn relocate(&mut self, path: &str, to: &str) -> Result<()> {
        let mut found = self.find(&[path, to]).into_iter();
        let mut next = || found.next().unwrap_or(Ok(Place::Nothing));
        let (source, target) = (next()?, next()?);
        let is_new = self.directories.is_new(path);
        if !matches!(target, Place::Nothing) || self.directories.is_new(to) {
            return Err(used());
        }
        let objects = match source {
            Place::Object(object) => vec![(path.to_owned(), object)],
            Place::Directory => self.objects_below(path)?,
            Place::Nothing if is_new => Vec::new(),
            Place::Nothing => return Err(missing()),
        };
        let place = |old: &str| moved_path(old, path, to).unwrap_or_default();
        let copies = objects.iter().map(|(old, object)| (&**old, place(old), object));
        let mut copied = self.copy_all(&copies.collect::<Vec<_>>(), true);
        for ((old, object), copied) in objects.iter().zip(&mut copied) {
            // It may be the copy whose answer was lost.
            if copied.as_ref().is_err_and(|error| error.code == ErrorCode::Changed)
                && let (Ok(Some(old)), Ok(Some(new))) = (self.head(old), self.head(&place(old)))
                && old.tag == object.tag
                && new.is_copy_of(&old)
            {
                *copied = Ok(new.tag);
            }
        }
        if let Some(error) = copied.iter().find_map(|copied| copied.as_ref().err()) {
            let error = error.clone();
            self.delete_copies(&objects, &copied, place);
            return Err(error);
        }
        let tags: Vec<String> = copied.into_iter().flatten().collect();
        self.leave(path)?;
        self.directories.add(to).has_new_file = true;
        self.directories.rename(path, to);
        let deleted = self.delete_copied(&objects);
        self.note_renamed(to, &objects, &tags, place);
        deleted
    }

    /// Deletes the copies of a rename that failed, where the server deletes nothing else. Others are
    /// new files.
    fn delete_copies(
        &self,
        objects: &[(String, Object)],
        copied: &[Result<String>],
        place: impl Fn(&str) -> String,
    ) {
        if !self.refuses_deletions() {
            return;
        }
        let requests = objects.iter().zip(copied).filter_map(|((old, _), copied)| {
            let tag = copied.as_ref().ok().filter(|tag| !tag.is_empty())?;
            Some(self.delete_request(&place(old), &Object::new(0, 0, tag.clone())))
        });
        let _ = send_all(requests.collect(), |_, response| {
            without_cancellation(expect(response).map(drop))
        });
    }

    /// Returns the objects in a directory, with the markers, whose paths end with `/`.
    fn objects_below(&mut self, directory: &str) -> Result<Vec<(String, Object)>> {
        let (mut objects, mut has_others) = (Vec::new(), false);
        let listed = self.all_pages(&format!("{directory}/"), false, &mut |_, page| {
            has_others |= !page.skipped.is_empty() || objects.len() > MAX_OBJECTS;
            for found in page.found.into_iter().take(MAX_OBJECTS + 1) {
                match found {
                    Found::File(path, object) => objects.push((path, object)),
                    Found::Marker(path, object) => objects.push((format!("{path}/"), object)),
                    Found::Directory(_) => {}
                }
            }
            Ok(())
        });
        without_cancellation(listed)?;
        match has_others || objects.len() > MAX_OBJECTS {
            true => {
                let message = "the server cannot rename a directory of more than 1,000 objects, or \
                               with keys that are no paths";
                Err(Error::new(ErrorCode::NotImplemented, message))
            }
            false => Ok(objects),
        }
    }

    /// Deletes objects that were copied, unless they changed since.
    fn delete_copied(&mut self, objects: &[(String, Object)]) -> Result<()> {
        let files: Vec<_> = objects.iter().filter(|(path, _)| !path.ends_with('/')).collect();
        let mut unchanged = vec![Ok(()); files.len()];
        if !self.refuses_deletions() || self.has_coarse_tags {
            let paths: Vec<_> = files.iter().map(|(path, _)| &**path).collect();
            self.find(&paths);
            unchanged = files
                .iter()
                .map(|(path, object)| self.expected(path, &object.metadata.fingerprint).map(drop))
                .collect();
        }
        let mut requests = Vec::new();
        for ((path, object), unchanged) in files.iter().zip(&unchanged) {
            if unchanged.is_ok() {
                requests.push(self.delete_request(path, object));
            }
        }
        let markers = objects.iter().filter(|(path, _)| path.ends_with('/'));
        requests.extend(markers.map(|(path, object)| self.delete_request(path, object)));
        let deleted = send_all(requests, |_, response| {
            match without_cancellation(expect(response).map(drop)) {
                Err(error) if error.code == ErrorCode::NotFound => Ok(()),
                deleted => deleted,
            }
        });
        unchanged.into_iter().chain(deleted).collect()
    }

    /// Finds out the fingerprints of copies, which have other times.
    fn note_renamed(
        &mut self,
        to: &str,
        objects: &[(String, Object)],
        tags: &[String],
        place: impl Fn(&str) -> String,
    ) {
        let copies: HashMap<String, (&Object, &String)> = objects
            .iter()
            .zip(tags)
            .map(|((old, object), tag)| (place(old), (object, tag)))
            .collect();
        let mut renamed = Vec::new();
        let mut note = |path: String, now: &Object| {
            if let Some((before, tag)) = copies.get(&path)
                && **tag == now.tag
            {
                let before = before.metadata.fingerprint;
                renamed.push(Renamed { path, before, now: now.metadata.fingerprint });
            }
        };
        if copies.contains_key(to) {
            if let Some(Ok(Place::Object(now))) = self.find(&[to]).pop() {
                note(to.to_owned(), &now);
            }
        } else if let Ok(found) = self.objects_below(to) {
            found.into_iter().for_each(|(path, now)| note(path, &now));
        }
        self.renamed.extend(renamed);
    }

    /// Gives an object another name in its directory.
    pub(super) fn move_file(&mut self, path: &str, to: &str) -> Result<Metadata> {
        self.relocate(path, to)?;
        self.renamed.clear();
        self.stat_entries(&[to]).pop().unwrap_or(Ok(None))?.ok_or_else(missing)
    }
}

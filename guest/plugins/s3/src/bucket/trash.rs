//! Keeps replaced and deleted objects: the bucket does, if it has versions; otherwise, they are
//! copied below `.syncmgr-trash`.

use syncmgr_engine::endpoint::{Removal, changed, without_cancellation};
use syncmgr_engine::names;
use syncmgr_engine::tree::join;
use syncmgr_plugin::Result;

use super::object::Object;
use super::{Bucket, send_all};
use crate::answer::expect;

impl Bucket {
    /// Keeps objects that are replaced, which `stay`, or deleted.
    pub(super) fn keep_all(&mut self, removals: &[Removal<'_>], stay: bool) -> Vec<Result<()>> {
        let objects = removals.iter().map(|one| self.expected(one.path, one.expected));
        let mut objects: Vec<Result<Object>> = objects.collect();
        if self.server.as_ref().is_some_and(|server| server.has_versions) {
            self.find_versions(removals, &mut objects);
        }
        let mut places = Vec::new();
        for (at, removal) in removals.iter().enumerate() {
            let Ok(object) = &objects[at] else { continue };
            if object.is_kept != Some(true) {
                match self.place_in_trash(removal.path) {
                    Ok(place) => places.push((at, place, object.clone())),
                    Err(error) => objects[at] = Err(error),
                }
            }
        }
        let copies =
            places.iter().map(|(at, place, object)| (removals[*at].path, place.clone(), object));
        let copied = self.copy_all(&copies.collect::<Vec<_>>(), false);
        for ((at, ..), copied) in places.iter().zip(copied) {
            if let Err(error) = copied {
                objects[*at] = Err(error.context("it cannot be kept in the trash"));
            }
        }
        let mut results = Vec::with_capacity(removals.len());
        for (removal, object) in removals.iter().zip(objects) {
            results.push(object.and_then(|object| match stay {
                true => Ok(()),
                false => self.delete_expected(removal.path, &object),
            }));
        }
        results
    }

    /// Finds out which objects the bucket keeps when they are replaced or deleted.
    fn find_versions(&self, removals: &[Removal<'_>], objects: &mut [Result<Object>]) {
        let expected: Vec<_> = (0..objects.len()).filter(|at| objects[*at].is_ok()).collect();
        let heads = expected.iter().map(|at| self.request("HEAD", removals[*at].path)).collect();
        let heads = send_all(heads, |_, response| {
            without_cancellation(expect(response)).and_then(|head| Object::of(&head))
        });
        for (at, head) in expected.into_iter().zip(heads) {
            match head {
                Ok(head) if head.is_still(removals[at].expected) => {
                    if let Ok(object) = &mut objects[at] {
                        object.is_kept = head.is_kept;
                    }
                }
                Ok(_) => objects[at] = Err(changed("it")),
                Err(error) => objects[at] = Err(error),
            }
        }
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

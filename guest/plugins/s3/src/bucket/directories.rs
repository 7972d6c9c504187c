//! Directories, which exist only as parts of keys, and their markers.

use std::collections::HashMap;

use syncmgr_engine::endpoint::without_cancellation;
use syncmgr_engine::tree::{moved_path, split};
use syncmgr_plugin::http::Request;
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::Bucket;
use super::listing::Found;
use super::object::Place;
use crate::answer::{expect, missing, used};

/// What is known of directories, by path.
#[derive(Debug, Default)]
pub(super) struct Directories(pub(super) HashMap<String, Known>);

/// A directory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// The number of its entries.
    pub(super) entries: u32,
    pub(super) has_marker: bool,
    /// Whether this run created it. Without entries, it needs a marker.
    pub(super) is_new: bool,
    /// Whether this run created a file in it.
    pub(super) has_new_file: bool,
}

impl Directories {
    /// Records a new entry. Returns its directory.
    pub(super) fn add(&mut self, path: &str) -> &mut Known {
        let parent = self.0.entry(split(path).0.to_owned()).or_default();
        parent.entries += 1;
        parent
    }

    /// Returns the directories in another one that only this run knows.
    pub(super) fn new_in(&self, directory: &str) -> Vec<String> {
        let is_new = |(path, known): &(&String, &Known)| {
            known.is_new && !known.has_marker && split(path).0 == directory
        };
        self.0.iter().filter(is_new).map(|(path, _)| path.clone()).collect()
    }

    /// Updates the paths after a directory was renamed.
    pub(super) fn rename(&mut self, path: &str, to: &str) {
        let known = std::mem::take(&mut self.0).into_iter();
        let place = |old: String| moved_path(&old, path, to).unwrap_or(old);
        self.0 = known.map(|(old, known)| (place(old), known)).collect();
    }

    /// Returns whether a scan or this run has found it.
    pub(super) fn is_known(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    pub(super) fn is_new(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|known| known.is_new)
    }
}

impl Bucket {
    /// Creates a directory, which gets a marker unless it gets another entry.
    pub(super) fn make_directory(&mut self, path: &str) -> Result<()> {
        let (parent, _) = split(path);
        if !parent.is_empty()
            && !self.directories.0.contains_key(parent)
            && !self.is_directory(parent)?
        {
            return Err(missing());
        }
        let known = self.directories.0.get(parent).copied().unwrap_or_default();
        // Nothing is in a new directory.
        let is_unused = known.is_new && !known.has_new_file;
        if self.directories.is_new(path) || (!is_unused && self.is_used(path)?) {
            return Err(used());
        }
        self.directories.add(path);
        let known = Known { is_new: true, ..Known::default() };
        self.directories.0.insert(path.to_owned(), known);
        Ok(())
    }

    /// Returns whether a key begins with the path of a directory.
    pub(super) fn is_directory(&self, path: &str) -> Result<bool> {
        let page =
            self.page(&[("prefix", &self.location.key(&format!("{path}/"))), ("max-keys", "1")]);
        Ok(!without_cancellation(page)?.is_empty())
    }

    /// Returns whether an entry has a path.
    pub(super) fn is_used(&mut self, path: &str) -> Result<bool> {
        let found = self.find(&[path]).pop().unwrap_or(Ok(Place::Nothing))?;
        Ok(!matches!(found, Place::Nothing))
    }

    /// Removes an empty directory. What another client creates in it at the same time stays: only
    /// the marker is deleted.
    pub(super) fn remove_empty(&mut self, path: &str) -> Result<()> {
        let page =
            self.page(&[("prefix", &self.location.key(&format!("{path}/"))), ("max-keys", "2")]);
        let page = without_cancellation(page)?;
        let is_marker = |found: &Found| matches!(found, Found::Marker(other, _) if other == path);
        let has_marker = page.found.iter().any(is_marker);
        if !page.skipped.is_empty() || page.found.len() > usize::from(has_marker) {
            return Err(Error::new(ErrorCode::AlreadyExists, "the directory is not empty"));
        }
        if !has_marker && !self.directories.is_new(path) {
            return Err(missing());
        }
        self.leave(path)?;
        if has_marker {
            without_cancellation(expect(self.marker("DELETE", path).send()).map(drop))?;
        }
        self.directories.0.remove(path);
        Ok(())
    }

    /// Prepares the removal of an entry: without its last entry, a directory needs a marker.
    pub(super) fn leave(&mut self, path: &str) -> Result<()> {
        let (parent, _) = split(path);
        let known = self.directories.0.get(parent).copied().unwrap_or_default();
        if !parent.is_empty() && known.entries <= 1 && !known.has_marker {
            match self.mark(parent) {
                // The directory goes with its last entry.
                Err(error) if error.code == ErrorCode::NotImplemented => {}
                marked => marked?,
            }
        }
        if let Some(known) = self.directories.0.get_mut(parent) {
            known.entries = known.entries.saturating_sub(1);
        }
        Ok(())
    }

    /// Creates the markers of the new directories in these directories that are empty.
    pub(super) fn mark_empty(&mut self, directories: &[&str]) -> Vec<Result<()>> {
        let mut empty: HashMap<&str, Vec<String>> =
            directories.iter().map(|directory| (*directory, Vec::new())).collect();
        for (path, known) in &self.directories.0 {
            if known.is_new
                && known.entries == 0
                && !known.has_marker
                && let Some(paths) = empty.get_mut(split(path).0)
            {
                paths.push(path.clone());
            }
        }
        let mut mark = |directory: &&str| {
            let paths = empty.remove(*directory).unwrap_or_default();
            paths.iter().try_for_each(|path| self.mark(path))
        };
        directories.iter().map(&mut mark).collect()
    }

    /// Creates a marker, unless there is an object with its key, which may have a content.
    fn mark(&mut self, path: &str) -> Result<()> {
        self.prepare()?;
        let server = self.server.clone().unwrap_or_default();
        if !server.has_markers {
            let message = format!("the server cannot keep the empty directory {path}");
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
        let put = self.marker("PUT", path);
        let put = match server.creates_new {
            true => Some(put.header("If-None-Match", "*")),
            false => self.head(&format!("{path}/"))?.is_none().then_some(put),
        };
        let sent = put.map_or(Ok(()), |put| expect(put.body(b"").send()).map(drop));
        match without_cancellation(sent) {
            Err(error) if error.code != ErrorCode::Changed => return Err(error),
            // Some servers refuse the marker of a directory that only has entries.
            Err(_) if !self.is_marked(path)? => {
                let sent = expect(self.marker("PUT", path).body(b"").send());
                without_cancellation(sent.map(drop))?;
            }
            // It exists already.
            Ok(()) | Err(_) => {}
        }
        self.directories.0.entry(path.to_owned()).or_default().has_marker = true;
        Ok(())
    }

    /// Returns whether a list shows an object with the key of a marker. HEAD may answer without one.
    fn is_marked(&self, path: &str) -> Result<bool> {
        let prefix = self.location.key(&format!("{path}/"));
        let page = without_cancellation(self.page(&[("prefix", &prefix), ("max-keys", "1")]))?;
        let is_marker = |found: &Found| matches!(found, Found::Marker(other, _) if other == path);
        Ok(page.found.iter().any(is_marker) || !page.skipped.is_empty())
    }

    pub(super) fn marker(&self, method: &str, path: &str) -> Request<'static> {
        self.request(method, &format!("{path}/"))
    }
}

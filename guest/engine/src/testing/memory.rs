//! A side in memory.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::rc::Rc;

use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use crate::endpoint::{
    Capabilities, Content, Each, Endpoint, Entry, Like, Metadata, OpenRequest, Progress, Received,
    Removal, Rename, Renamed, Transfer, changed,
};
use crate::tree::{Fingerprint, join, prefixes, split};

/// A side in memory. Clones share their entries, so that a test keeps one and looks at it after a
/// run, or changes it during one.
#[derive(Clone, Debug, Default)]
pub struct Memory(Rc<RefCell<Store>>);

#[derive(Debug, Default)]
struct Store {
    entries: BTreeMap<String, Stored>,
    trash: Vec<Vec<u8>>,
    /// The version of the next entry.
    next: u64,
    capabilities: Option<Capabilities>,
    /// Whether fingerprints have times only.
    has_only_times: bool,
    /// Whether renames create new versions.
    copies: bool,
    /// Files that got new versions.
    renamed: Vec<Renamed>,
}

/// A file, or a directory if there is no content.
#[derive(Clone, Debug)]
struct Stored {
    content: Option<Vec<u8>>,
    /// The size that its metadata state.
    size: u64,
    version: u64,
}

/// The time of the first version, in ns since 1970. Each version is a second later.
const FIRST: i64 = 1_700_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

impl Memory {
    /// Creates an empty side with these capabilities. It has no links, and keeps no times.
    pub fn with(capabilities: Capabilities) -> Self {
        let store = Store { capabilities: Some(capabilities), ..Store::default() };
        Self(Rc::new(RefCell::new(store)))
    }

    /// Shows a version as a time, as servers without version tags do. No two are equal.
    #[must_use]
    pub fn with_only_times(self) -> Self {
        self.0.borrow_mut().has_only_times = true;
        self
    }

    /// Gives a renamed file a new version, as servers that copy it.
    #[must_use]
    pub fn with_copies(self) -> Self {
        self.0.borrow_mut().copies = true;
        self
    }

    /// Creates an empty side that can do the same.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let Store { capabilities, has_only_times, copies, .. } = *self.0.borrow();
        let store = Store { capabilities, has_only_times, copies, ..Store::default() };
        Self(Rc::new(RefCell::new(store)))
    }

    /// Writes a file, and creates its directories. Returns whether that is possible: the path may
    /// be that of a directory, and a directory above it may be a file.
    pub fn put(&self, path: &str, content: &[u8]) -> bool {
        let is_file = |path: &str| {
            let store = self.0.borrow();
            store.entries.get(path).map(|stored| stored.content.is_some())
        };
        let above = || prefixes(split(path).0).filter(|above| !above.is_empty());
        if is_file(path) == Some(false) || above().any(|above| is_file(above) == Some(true)) {
            return false;
        }
        for above in above() {
            if is_file(above).is_none() {
                self.0.borrow_mut().put(above, None);
            }
        }
        self.0.borrow_mut().put(path, Some(content.to_vec()));
        true
    }

    /// Lets the metadata of a file state another size, as a server that is wrong about it.
    pub fn claim_size(&self, path: &str, size: u64) {
        if let Some(stored) = self.0.borrow_mut().entries.get_mut(path) {
            stored.size = size;
        }
    }

    /// Returns the content of each file, by path.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let store = self.0.borrow();
        let file =
            |(path, stored): (&String, &Stored)| Some((path.clone(), stored.content.clone()?));
        store.entries.iter().filter_map(file).collect()
    }

    /// Returns the contents in the trash.
    pub fn trash(&self) -> Ref<'_, Vec<Vec<u8>>> {
        Ref::map(self.0.borrow(), |store| &store.trash)
    }

    /// Returns how many entries were written so far.
    pub fn writes(&self) -> u64 {
        self.0.borrow().next
    }

    /// Returns the fingerprint of a file; that of an empty file if there is none.
    pub fn fingerprint(&self, path: &str) -> Fingerprint {
        self.0.borrow().metadata(path).map(|found| found.fingerprint).unwrap_or_default()
    }
}

impl Store {
    fn put(&mut self, path: &str, content: Option<Vec<u8>>) {
        self.next += 1;
        let size = content.as_ref().map_or(0, Vec::len) as u64;
        self.entries.insert(path.to_owned(), Stored { content, size, version: self.next });
    }

    fn metadata(&self, path: &str) -> Option<Metadata> {
        let stored = self.entries.get(path)?;
        let modified = FIRST + stored.version.cast_signed() * SECOND;
        let fingerprint = match self.has_only_times {
            true => Fingerprint { size: stored.size, modified, ..Fingerprint::default() },
            false => Fingerprint::of_version(stored.size, modified, &stored.version.to_string()),
        };
        Some(match stored.content {
            Some(_) => Metadata::file(fingerprint),
            None => Metadata::directory(),
        })
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.entries.get(path).is_some_and(|stored| stored.content.is_none())
    }

    fn content(&self, path: &str) -> Result<&Vec<u8>> {
        self.entries.get(path).and_then(|stored| stored.content.as_ref()).ok_or_else(missing)
    }

    /// Returns the content of a file, if it is the expected one.
    fn expect(&self, path: &str, expected: Option<&Fingerprint>) -> Result<&Vec<u8>> {
        let content = self.content(path)?;
        let now = self.metadata(path).map(|found| found.fingerprint).unwrap_or_default();
        match expected.is_none_or(|expected| now.is_still(expected)) {
            true => Ok(content),
            false => Err(changed("the file")),
        }
    }

    fn rename(&mut self, path: &str, to: &str, replaces: bool) -> Result<()> {
        if !replaces && self.entries.contains_key(to) {
            return Err(used());
        }
        let inside = format!("{path}/");
        let moved: Vec<_> = self
            .entries
            .keys()
            .filter(|one| *one == path || one.starts_with(&inside))
            .cloned()
            .collect();
        if moved.is_empty() {
            return Err(missing());
        }
        for old in moved {
            let before = self.metadata(&old);
            if let Some(mut stored) = self.entries.remove(&old) {
                if self.copies && stored.content.is_some() {
                    self.next += 1;
                    stored.version = self.next;
                }
                let new = format!("{to}{}", &old[path.len()..]);
                self.entries.insert(new.clone(), stored);
                self.note(new, before);
            }
        }
        Ok(())
    }

    /// Notes a renamed file with another fingerprint.
    fn note(&mut self, path: String, before: Option<Metadata>) {
        let (Some(before), Some(now)) = (before, self.metadata(&path)) else { return };
        if before.fingerprint != now.fingerprint {
            let (before, now) = (before.fingerprint, now.fingerprint);
            self.renamed.push(Renamed { path, before, now });
        }
    }
}

fn missing() -> Error {
    Error::new(ErrorCode::NotFound, "it does not exist")
}

fn used() -> Error {
    Error::new(ErrorCode::AlreadyExists, "the name is used")
}

impl Endpoint for Memory {
    fn capabilities(&self) -> Capabilities {
        let usual = Capabilities { has_versions: true, renames: true, ..Capabilities::default() };
        self.0.borrow().capabilities.unwrap_or(usual)
    }

    fn list(&mut self, directory: &str, each: &mut Each<'_>) -> Result<(), Interrupt> {
        let entries: Vec<_> = {
            let store = self.0.borrow();
            if !store.is_directory(directory) {
                return Err(missing().into());
            }
            let inside = store.entries.keys().filter(|path| split(path).0 == directory);
            let entry =
                |path: &String| Entry::new(split(path).1, store.metadata(path).ok_or_else(missing));
            inside.map(entry).collect()
        };
        entries.into_iter().try_for_each(each)
    }

    fn stat(&mut self, path: &str) -> Result<Option<Metadata>> {
        Ok(self.0.borrow().metadata(path))
    }

    fn open(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
        let store = self.0.borrow();
        let open = |file: &OpenRequest<'_>| {
            let content = store.content(file.path)?.clone();
            let metadata = store.metadata(file.path).ok_or_else(missing)?;
            Ok(Content { metadata, reader: Box::new(Cursor::new(content)) })
        };
        files.iter().map(open).collect()
    }

    fn receive(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        let mut content = Vec::new();
        let received = transfer.read(from, progress, |part| {
            content.extend_from_slice(part);
            Ok(())
        })?;
        let store = &mut *self.0.borrow_mut();
        if !store.is_directory(split(transfer.temp).0) {
            return Err(missing().into());
        }
        store.put(transfer.temp, Some(content));
        Ok(received)
    }

    fn rename_all(&mut self, renames: &[Rename<'_>]) -> Vec<Result<Option<Metadata>>> {
        let rename = |one: &Rename<'_>| {
            let store = &mut *self.0.borrow_mut();
            let to = join(split(one.path).0, one.to);
            if one.replaces.is_some() {
                store.expect(&to, one.replaces)?;
            }
            store.rename(one.path, &to, one.replaces.is_some())?;
            store.renamed.clear();
            Ok(store.metadata(&to))
        };
        renames.iter().map(rename).collect()
    }

    fn rename(&mut self, path: &str, to: &str) -> Result<()> {
        if !self.0.borrow().is_directory(split(to).0) {
            return Err(missing());
        }
        self.0.borrow_mut().rename(path, to, false)
    }

    fn take_renamed(&mut self) -> Vec<Renamed> {
        std::mem::take(&mut self.0.borrow_mut().renamed)
    }

    fn keep_in_trash(&mut self, removals: &[Removal<'_>], stays: bool) -> Vec<Result<()>> {
        let store = &mut *self.0.borrow_mut();
        let mut keep = |removal: &Removal<'_>| {
            let content = store.expect(removal.path, Some(removal.expected))?.clone();
            store.trash.push(content);
            if !stays {
                store.entries.remove(removal.path);
            }
            Ok(())
        };
        removals.iter().map(&mut keep).collect()
    }

    fn remove(&mut self, path: &str, expected: Option<&Fingerprint>) -> Result<()> {
        let store = &mut *self.0.borrow_mut();
        store.expect(path, expected)?;
        store.entries.remove(path);
        Ok(())
    }

    fn create_directory(&mut self, path: &str, _like: Option<Like<'_>>) -> Result<()> {
        let store = &mut *self.0.borrow_mut();
        if store.entries.contains_key(path) {
            return Err(used());
        }
        if !store.is_directory(split(path).0) {
            return Err(missing());
        }
        store.put(path, None);
        Ok(())
    }

    fn remove_directory(&mut self, path: &str) -> Result<()> {
        let store = &mut *self.0.borrow_mut();
        if !store.entries.contains_key(path) {
            return Err(missing());
        }
        if store.entries.keys().any(|other| split(other).0 == path) {
            return Err(Error::new(ErrorCode::AlreadyExists, "it is not empty"));
        }
        store.entries.remove(path);
        Ok(())
    }
}

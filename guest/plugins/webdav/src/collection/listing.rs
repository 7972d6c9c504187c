//! Lists collections, some of them before they are needed.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use syncmgr_engine::endpoint::{Entry, Metadata, without_cancellation};
use syncmgr_engine::names;
use syncmgr_engine::tree::{Fingerprint, join, split};
use syncmgr_plugin::directories::EntryName;
use syncmgr_plugin::http::{self, Response};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::{Collection, is_collection, request};
use crate::answer::expect;
use crate::multistatus::{self, Found};

/// The maximum number of entries that are listed ahead.
const MAX_AHEAD: usize = 20_000;
/// The number of entries of a collection for each wanted one up to which the whole collection is
/// listed.
const WHOLE: usize = 50;

/// A part of the URL of a Nextcloud or ownCloud server.
const NEXTCLOUD: &str = "/remote.php/";

/// The requested properties.
pub(super) const PROPFIND: &[u8] = br#"<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/></prop></propfind>"#;

/// The requested properties of a Nextcloud or ownCloud server.
const PROPFIND_OC: &[u8] = br#"<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:" xmlns:oc="http://owncloud.org/ns"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/><oc:fileid/><oc:permissions/></prop></propfind>"#;

/// The requested property of the root for the room that is left.
const QUOTA: &[u8] = br#"<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><quota-available-bytes/></prop></propfind>"#;

/// Listings that were announced or received.
#[derive(Debug, Default)]
pub(super) struct Listings {
    /// Announced ones, the next one first.
    expected: VecDeque<String>,
    pub(super) ready: HashMap<String, Result<Vec<Entry>, Interrupt>>,
    /// The number of entries in `ready`.
    ahead: usize,
    /// The number of entries of each collection when it was listed last.
    sizes: RefCell<HashMap<String, usize>>,
    /// Whether two versions of a file may have the same tag, or none.
    pub(super) has_coarse_tags: bool,
    /// Whether a file has the same tag if it is asked for again; `None`: not known yet.
    pub(super) has_stable_tags: Option<bool>,
    /// How far the server's clock is ahead, in ns.
    pub(super) clock_ahead: i64,
}

impl Listings {
    pub(super) fn expect(&mut self, directories: &[String]) {
        for directory in directories.iter().rev() {
            self.expected.push_front(directory.clone());
        }
    }

    /// Returns the directories to list now, with this one first.
    fn next(&mut self, directory: &str, at_once: usize) -> Vec<String> {
        self.expected.retain(|expected| expected != directory);
        let mut next = vec![directory.to_owned()];
        while next.len() < at_once
            && self.ahead < MAX_AHEAD
            && let Some(expected) = self.expected.pop_front()
        {
            next.push(expected);
        }
        next
    }
}

impl Collection {
    /// Returns the entries of a directory.
    pub(super) fn list_directory(&mut self, directory: &str) -> Result<Vec<Entry>, Interrupt> {
        if let Some(ready) = self.listings.ready.remove(directory) {
            self.listings.ahead -= ready.as_ref().map_or(0, Vec::len);
            return ready;
        }
        let next = self.listings.next(directory, self.in_flight);
        self.list_some(&next)?;
        if let Some(Ok(_)) = self.listings.ready.get(directory) {
            self.recognize()?;
            self.check_tags(directory)?;
        }
        match self.listings.ready.remove(directory) {
            Some(ready) => {
                self.listings.ahead -= ready.as_ref().map_or(0, Vec::len);
                ready
            }
            None => Err(Error::failed("no answer").into()),
        }
    }

    /// Requests listings, which are then ready.
    fn list_some(&mut self, next: &[String]) -> Result<(), Interrupt> {
        let requests: Vec<_> = next.iter().map(|path| self.propfind(path, "1")).collect();
        let mut found = next.iter();
        http::send_all(requests, self.in_flight, |_, response| {
            let Some(path) = found.next() else { return Ok(()) };
            let date = response.as_ref().ok().and_then(|response| response.header("date"));
            if let Some(ahead) = date.and_then(clock_ahead) {
                self.listings.clock_ahead = ahead;
            }
            let entries = self.entries(path, response);
            if let Err(interrupt @ (Interrupt::Item | Interrupt::All)) = entries {
                return Err(interrupt);
            }
            let count = entries.as_ref().map_or(0, Vec::len);
            let is_coarse = |entry: &Entry| {
                let file = entry.metadata.as_ref().ok().filter(|found| !is_collection(**found));
                file.is_some_and(|file| file.fingerprint.changed.is_none())
            };
            self.listings.has_coarse_tags |=
                entries.as_ref().is_ok_and(|entries| entries.iter().any(is_coarse));
            self.listings.sizes.get_mut().insert(path.clone(), count);
            self.listings.ahead += count;
            self.listings.ready.insert(path.clone(), entries);
            Ok(())
        })
    }

    pub(super) fn propfind(&self, path: &str, depth: &str) -> http::Request<'static> {
        // A collection is listed by its own URL; an entry may be either.
        let url = if depth == "1" { self.collection(path) } else { self.file(path) };
        propfind_at(&url, depth, self.properties())
    }

    fn properties(&self) -> &'static [u8] {
        match self.root.contains(NEXTCLOUD) {
            true => PROPFIND_OC,
            false => PROPFIND,
        }
    }

    /// Returns the room on the server in bytes, if it states it.
    pub(super) fn available(&self) -> Option<u64> {
        let mut available = None;
        let response = propfind_at(&self.root, "0", QUOTA).send();
        let read = read(response, &mut |found| {
            available = found.available;
            Ok(())
        });
        read.ok().and(available)
    }

    /// Reads a listing. It is complete only if it contains the directory itself.
    fn entries(
        &self,
        directory: &str,
        response: Result<Response, Interrupt>,
    ) -> Result<Vec<Entry>, Interrupt> {
        let own = self.server_path(directory);
        let mut entries = Vec::new();
        let mut is_complete = false;
        read(response, &mut |found| {
            if is_same(&found.path, &own) {
                is_complete = found.is_collection;
                self.note_permissions(directory, &found);
                return Ok(());
            }
            let name =
                name_in(&own, &found.path).filter(|name| is_name(name)).ok_or_else(|| {
                    let message = format!("the server lists {:?} in {own:?}", found.path);
                    Error::new(ErrorCode::InputOutput, message)
                })?;
            self.note_permissions(&join(directory, name), &found);
            let name = EntryName::Text(name.to_owned());
            entries.push(Entry { name, metadata: Ok(self.metadata(&found)) });
            Ok(())
        })?;
        match is_complete {
            true => Ok(entries),
            false => {
                let message = format!("the server lists {own:?} without itself as a collection");
                Err(Error::new(ErrorCode::InputOutput, message).into())
            }
        }
    }

    /// Returns the decoded path on the server.
    fn server_path(&self, path: &str) -> String {
        match (self.base.is_empty(), path.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => self.base.clone(),
            (false, false) => format!("{}/{path}", self.base),
        }
    }

    /// Returns the metadata of entries. Several in one small collection need one request.
    pub(super) fn stat_many(&self, paths: &[&str]) -> Vec<Result<Option<Metadata>>> {
        let mut wanted: HashMap<&str, usize> = HashMap::new();
        for path in paths {
            *wanted.entry(split(path).0).or_default() += 1;
        }
        let is_listed = |directory: &str, count: usize| {
            let size = self.listings.sizes.borrow().get(directory).copied().unwrap_or(0);
            count > 1 && size <= count * WHOLE
        };
        let whole: Vec<String> = wanted
            .iter()
            .filter(|(directory, count)| is_listed(directory, **count))
            .map(|(directory, _)| (*directory).to_owned())
            .collect();
        let single: Vec<String> = paths
            .iter()
            .filter(|path| !whole.iter().any(|directory| directory == split(path).0))
            .map(|path| (*path).to_owned())
            .collect();
        let mut known: HashMap<String, Result<Option<Metadata>>> = HashMap::new();
        let requests: Vec<_> = whole
            .iter()
            .map(|path| self.propfind(path, "1"))
            .chain(single.iter().map(|path| self.propfind(path, "0")))
            .collect();
        let mut lists: HashMap<&str, Result<HashMap<String, Metadata>>> = HashMap::new();
        let sent = http::send_all(requests, self.in_flight, |at, response| {
            if let Some(directory) = whole.get(at) {
                let entries = without_cancellation(self.entries(directory, response));
                lists.insert(directory, entries.map(by_name));
            } else if let Some(path) = single.get(at - whole.len()) {
                known.insert(path.clone(), without_cancellation(self.one(path, response)));
            }
            Ok(())
        });
        let cancelled = || Err(Error::new(ErrorCode::Cancelled, "cancelled"));
        let result = |path: &&str| {
            let (directory, name) = split(path);
            match (known.remove(*path), lists.get(directory)) {
                (Some(found), _) => found,
                (None, Some(Ok(entries))) => match entries.get(name) {
                    Some(found) => Ok(Some(*found)),
                    // The server knows whether it is the same entry.
                    None if entries.keys().any(|other| alike(other) == alike(name)) => {
                        without_cancellation(self.one(path, self.propfind(path, "0").send()))
                    }
                    None => Ok(None),
                },
                (None, Some(Err(error))) if error.code == ErrorCode::NotFound => Ok(None),
                (None, Some(Err(error))) => Err(error.clone()),
                (None, None) => cancelled(),
            }
        };
        let _ = sent;
        for (directory, entries) in &lists {
            let count = entries.as_ref().map_or(0, HashMap::len);
            self.listings.sizes.borrow_mut().insert((*directory).to_owned(), count);
        }
        paths.iter().map(result).collect()
    }

    /// Reads the answer about one entry. A server may spell its name differently.
    pub(super) fn one(
        &self,
        path: &str,
        response: Result<Response, Interrupt>,
    ) -> Result<Option<Metadata>, Interrupt> {
        let is_redirect = |response: &Response| {
            let to = response.header("location").unwrap_or_default();
            matches!(response.status(), 301 | 302 | 307 | 308) && to.ends_with('/')
        };
        let response = match response.as_ref().is_ok_and(is_redirect) {
            // Some servers accept only the URL of a collection that ends with `/`.
            true => propfind_at(&self.collection(path), "0", self.properties()).send(),
            false => response,
        };
        let own = alike(&self.server_path(path));
        let mut found = None;
        let read = read(response, &mut |one| {
            if alike(&one.path) == own {
                self.note_permissions(path, &one);
                found = Some(self.metadata(&one));
            }
            Ok(())
        });
        match read {
            Ok(()) => Ok(found),
            Err(Interrupt::Failed(error)) if error.code == ErrorCode::NotFound => Ok(None),
            Err(interrupt) => Err(interrupt),
        }
    }

    /// Returns the fingerprints of the entries of a collection.
    pub(super) fn fingerprints(&self, path: &str) -> Result<HashMap<String, Fingerprint>> {
        let response = self.propfind(path, "1").send();
        let entries = without_cancellation(self.entries(path, response))?;
        let fingerprint = |(name, metadata): (String, Metadata)| (name, metadata.fingerprint);
        Ok(by_name(entries).into_iter().map(fingerprint).collect())
    }
}

pub(super) fn propfind_at(
    url: &str,
    depth: &str,
    properties: &'static [u8],
) -> http::Request<'static> {
    request("PROPFIND", url)
        .header("Depth", depth)
        .header("Content-Type", "application/xml; charset=utf-8")
        .body(properties)
}

fn by_name(entries: Vec<Entry>) -> HashMap<String, Metadata> {
    let pair = |entry: Entry| Some((entry.name.text()?.to_owned(), entry.metadata.ok()?));
    entries.into_iter().filter_map(pair).collect()
}

/// Returns whether two decoded paths are the same, perhaps to a server that normalizes names.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    names::key(one) == names::key(other)
}

/// Returns the name of an entry in a collection.
fn name_in<'a>(collection: &str, path: &'a str) -> Option<&'a str> {
    let (parent, name) = split(path);
    is_same(parent, collection).then_some(name)
}

/// Returns what is equal for paths that a server may consider to be one.
pub(super) fn alike(path: &str) -> String {
    names::key(path).to_lowercase()
}

/// Returns whether a text is the name of a single entry.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

pub(super) fn read(
    response: Result<Response, Interrupt>,
    each: &mut dyn FnMut(Found) -> Result<(), Interrupt>,
) -> Result<(), Interrupt> {
    let response = expect(response, &[])?;
    if response.status() != 207 {
        let message = format!(
            "the server answered {} to PROPFIND, not as a WebDAV server; check its URL and whether \
             it wants a login",
            response.status()
        );
        return Err(Error::new(ErrorCode::InputOutput, message).into());
    }
    multistatus::read(response, each)
}

/// Returns how far the clock of a server is ahead, in ns.
fn clock_ahead(date: &str) -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    multistatus::time(date)?.checked_sub(i64::try_from(now.as_nanos()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_normalize_names() {
        for (collection, path, name) in [
            ("", "a", Some("a")),
            ("", "a/b", None),
            ("dav", "dav/a", Some("a")),
            ("dav", "david/a", None),
            ("dav/\u{e9}", "dav/e\u{301}/a", Some("a")),
            ("dav", "dav/a/b", None),
        ] {
            assert_eq!(name_in(collection, path), name, "{path}");
        }
    }
}

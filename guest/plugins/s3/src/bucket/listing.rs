//! Lists objects. The scan lists all of them page by page, and builds directories from their keys:
//! a request for 1,000 objects, however many directories there are.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use percent_encoding::percent_decode;
use syncmgr_engine::endpoint::{Entry, Metadata};
use syncmgr_engine::names;
use syncmgr_engine::tree::{Fingerprint, join, split};
use syncmgr_plugin::http::Response;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, LogLevel, callback};

use super::object::{Object, tag};
use super::{Bucket, request};
use crate::answer::{expect, missing};
use crate::location::{MAX_KEY, is_path};
use crate::{server, xml};

/// The maximum number of objects.
const MAX_OBJECTS: usize = 4_000_000;
/// The maximum number of entries of a page.
const MAX_PAGE: usize = 10_000;
/// The maximum number of pages in a row that show nothing.
const MAX_EMPTY: usize = 100;
/// The maximum number of warnings about keys.
const MAX_WARNINGS: usize = 20;

/// What a page shows, by path.
#[derive(Debug)]
pub(super) enum Found {
    File(String, Object),
    /// A directory with entries.
    Directory(String),
    /// The marker of a directory.
    Marker(String, Object),
}

/// A page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) found: Vec<Found>,
    /// Keys that are no path, and why.
    pub(super) skipped: Vec<(String, &'static str)>,
    /// The parameter that returns the next page, if there is one.
    pub(super) next: Option<String>,
    /// The first and the last key, if the keys are sorted.
    range: Option<[String; 2]>,
    /// The name of the server.
    server: String,
}

/// An element of a page.
#[derive(Default)]
struct Raw {
    key: String,
    size: Option<u64>,
    modified: Option<i64>,
    tag: String,
    is_prefix: bool,
}

impl Page {
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty() && self.skipped.is_empty()
    }
}

/// The name of an entry, and the fingerprint of a file. A directory has none.
type Listed = (Box<str>, Option<Fingerprint>);

/// The entries of directories by path.
#[derive(Debug)]
pub(super) struct Snapshot(HashMap<String, Vec<Listed>>);

impl Snapshot {
    /// Returns the entries of a directory. It and those above it exist from then on.
    fn entries(&mut self, directory: &str) -> &mut Vec<Listed> {
        let (mut above, mut new) = (directory, Vec::new());
        while !self.0.contains_key(above) {
            self.0.insert(above.to_owned(), Vec::new());
            new.push(split(above));
            above = split(above).0;
        }
        for (parent, name) in new {
            self.0.entry(parent.to_owned()).or_default().push((name.into(), None));
        }
        self.0.entry(directory.to_owned()).or_default()
    }
}

impl Bucket {
    /// Returns the entries of a directory.
    pub(super) fn list_directory(&mut self, directory: &str) -> Result<Vec<Entry>, Interrupt> {
        if self.run.is_none() && directory.is_empty() {
            self.scan()?;
        }
        let snapshot = self.snapshot.as_mut();
        match snapshot.and_then(|snapshot| snapshot.0.remove(directory)) {
            Some(entries) => Ok(to_entries(directory, entries)),
            None => self.list_now(directory),
        }
    }

    /// Lists all objects.
    fn scan(&mut self) -> Result<(), Interrupt> {
        let mut snapshot = Snapshot(HashMap::from([(String::new(), Vec::new())]));
        let (mut count, mut skipped) = (0, 0);
        let trash = format!("{}/", names::TRASH);
        self.all_pages("", false, &mut |bucket, page| {
            count += page.found.len();
            for (key, why) in page.skipped {
                if skipped < MAX_WARNINGS {
                    let text = format!("{}: skips the object {key:?}: {why}", bucket.name);
                    callback::log(LogLevel::Warning, &text);
                }
                skipped += 1;
            }
            if count > MAX_OBJECTS {
                return Err(invalid("it has more than 4,000,000 objects"));
            }
            for found in page.found {
                match found {
                    Found::File(path, _) | Found::Directory(path) | Found::Marker(path, _)
                        if path.starts_with(&trash) || path == names::TRASH => {}
                    Found::File(path, object) => {
                        let (parent, name) = split(&path);
                        let fingerprint = Some(object.metadata.fingerprint);
                        snapshot.entries(parent).push((name.into(), fingerprint));
                    }
                    Found::Directory(path) => drop(snapshot.entries(&path)),
                    Found::Marker(path, _) => {
                        snapshot.entries(&path);
                        bucket.directories.0.entry(path).or_default().has_marker = true;
                    }
                }
            }
            Ok(())
        })?;
        if skipped > MAX_WARNINGS {
            let name = &self.name;
            let text = format!("{name}: skips {skipped} objects whose keys are no paths");
            callback::log(LogLevel::Warning, &text);
        }
        for (path, entries) in &snapshot.0 {
            let known = self.directories.0.entry(path.clone()).or_default();
            known.entries = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        }
        self.snapshot = Some(snapshot);
        Ok(())
    }

    /// Lists one directory.
    fn list_now(&mut self, directory: &str) -> Result<Vec<Entry>, Interrupt> {
        let inside = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let mut entries = Vec::new();
        let mut exists = directory.is_empty() || self.directories.is_new(directory);
        self.all_pages(&inside, true, &mut |_, page| {
            exists |= !page.is_empty();
            entries.extend(page.found.into_iter().filter_map(|found| match found {
                Found::File(path, object) => {
                    Some((split(&path).1.into(), Some(object.metadata.fingerprint)))
                }
                Found::Directory(path) => Some((split(&path).1.into(), None)),
                Found::Marker(..) => None,
            }));
            Ok(())
        })?;
        if !exists {
            return Err(missing().into());
        }
        for path in self.directories.new_in(directory) {
            let name: Box<str> = split(&path).1.into();
            if !entries.contains(&(name.clone(), None)) {
                entries.push((name, None));
            }
        }
        Ok(to_entries(directory, entries))
    }

    /// Passes all pages of the objects whose paths begin with `start` to `each`. With `delimited`,
    /// only the entries of one directory.
    pub(super) fn all_pages(
        &mut self,
        start: &str,
        delimited: bool,
        each: &mut dyn FnMut(&mut Self, Page) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt> {
        let prefix = self.location.key(start);
        let trash = self.location.key(&format!("{}/", names::TRASH));
        // `0` follows `/`.
        let behind_trash = self.location.key(&format!("{}0", names::TRASH));
        let (mut place, mut seen) = (None::<(&str, String)>, HashSet::new());
        let (mut empty, mut last, mut is_sorted) = (0, String::new(), true);
        loop {
            let mut parameters = vec![("prefix", &*prefix)];
            if delimited {
                parameters.push(("delimiter", "/"));
            }
            parameters.extend(place.as_ref().map(|(name, value)| (*name, &**value)));
            let page = self.page(&parameters)?;
            self.recognize(&page.server);
            self.has_coarse_tags |= page.found.iter().any(|found| match found {
                Found::File(_, object) => object.tag.is_empty(),
                Found::Directory(_) | Found::Marker(..) => false,
            });
            empty = if page.is_empty() { empty + 1 } else { 0 };
            if empty > MAX_EMPTY {
                return Err(invalid("it has no end"));
            }
            if let Some([first, end]) = &page.range {
                is_sorted &= *first > last;
                last.clone_from(end);
            } else {
                is_sorted &= page.is_empty();
            }
            let next = page.next.clone();
            each(self, page)?;
            let Some(next) = next else { return Ok(()) };
            if !seen.insert(blake3::hash(next.as_bytes())) {
                return Err(invalid("it returns the same page again"));
            }
            // The trash may be larger than everything else.
            place = Some(match is_sorted && !delimited && last.starts_with(&trash) {
                true => ("start-after", behind_trash.clone()),
                false => ("continuation-token", next),
            });
        }
    }

    /// Requests a page.
    pub(super) fn page(&self, parameters: &[(&str, &str)]) -> Result<Page, Interrupt> {
        self.read_page(parameters[0].1, request("GET", &self.location.list(parameters)).send())
    }

    /// Reads a page of the keys that begin with `prefix`.
    pub(super) fn read_page(
        &self,
        prefix: &str,
        response: Result<Response, Interrupt>,
    ) -> Result<Page, Interrupt> {
        let mut response = expect(response)?;
        let (mut raw, mut all) = (Raw::default(), Vec::new());
        let (mut is_truncated, mut next, mut is_encoded) = (None, None, false);
        xml::read(&mut response, "ListBucketResult", &mut |parent, name, text| {
            match (parent, name) {
                ("Contents", "Key") => text.clone_into(&mut raw.key),
                ("Contents", "Size") => raw.size = text.trim().parse().ok(),
                ("Contents", "LastModified") => raw.modified = listed_time(text),
                ("Contents", "ETag") => raw.tag = tag(text),
                ("CommonPrefixes", "Prefix") => {
                    all.push(Raw { key: text.to_owned(), is_prefix: true, ..Raw::default() });
                }
                ("ListBucketResult", "Contents") => all.push(std::mem::take(&mut raw)),
                ("ListBucketResult", "IsTruncated") => is_truncated = Some(text.trim() == "true"),
                ("ListBucketResult", "NextContinuationToken") => next = Some(text.to_owned()),
                ("ListBucketResult", "EncodingType") => is_encoded = text.trim() == "url",
                _ => {}
            }
            match all.len() > MAX_PAGE {
                true => Err(invalid("it has too many entries")),
                false => Ok(()),
            }
        })?;
        let mut page = Page {
            next: next.filter(|next| is_truncated == Some(true) && !next.is_empty()),
            server: server::name(response.header("server")),
            ..Page::default()
        };
        match is_truncated {
            Some(true) if page.next.is_none() => return Err(invalid("it has no next page")),
            Some(_) => {}
            None => return Err(invalid("it does not say whether it is complete")),
        }
        for raw in all {
            self.add(&mut page, prefix, raw, is_encoded)?;
        }
        Ok(page)
    }

    /// Adds an element to a page.
    fn add(
        &self,
        page: &mut Page,
        prefix: &str,
        raw: Raw,
        is_encoded: bool,
    ) -> Result<(), Interrupt> {
        let bytes: Vec<u8> = match is_encoded {
            true => percent_decode(raw.key.replace('+', " ").as_bytes()).collect(),
            false => raw.key.clone().into_bytes(),
        };
        let Ok(key) = String::from_utf8(bytes) else {
            page.skipped.push((raw.key, "it is not valid Unicode"));
            return Ok(());
        };
        let path = self.location.path(&key).filter(|_| key.starts_with(prefix));
        let Some(path) = path else {
            return Err(invalid(&format!("it has {key:?}, which does not begin with {prefix:?}")));
        };
        let (name, is_directory) = match path.strip_suffix('/') {
            Some(name) => (name, true),
            None => (path, false),
        };
        // The marker of the prefix itself.
        if !path.is_empty() {
            if key.len() > MAX_KEY || !is_path(name) || (raw.is_prefix && !is_directory) {
                page.skipped.push((key.clone(), "it is no path"));
            } else if raw.is_prefix {
                page.found.push(Found::Directory(name.to_owned()));
            } else {
                let size = raw.size.ok_or_else(|| invalid("an object has no size"))?;
                let object = Object::new(size, raw.modified.unwrap_or(0), raw.tag);
                match (is_directory, size) {
                    (true, 0) => page.found.push(Found::Marker(name.to_owned(), object)),
                    (true, _) => page.skipped.push((key.clone(), "it ends with `/`")),
                    (false, _) => page.found.push(Found::File(path.to_owned(), object)),
                }
            }
        }
        match &mut page.range {
            Some([_, last]) if *last < key => *last = key,
            None if page.found.len() + page.skipped.len() <= 1 => {
                page.range = Some([key.clone(), key]);
            }
            // Once unsorted, a page has no range.
            Some(_) | None => page.range = None,
        }
        Ok(())
    }
}

/// Returns the entries of a directory. A file with the name of a directory is skipped.
fn to_entries(directory: &str, entries: Vec<Listed>) -> Vec<Entry> {
    let directories: HashSet<Box<str>> =
        entries.iter().filter(|(_, file)| file.is_none()).map(|(name, _)| name.clone()).collect();
    let entry = |(name, file): Listed| match file {
        None => Some(Entry::new(&name, Ok(Metadata::directory()))),
        Some(_) if directories.contains(&name) => {
            let path = join(directory, &name);
            let text = format!("skips the object {path:?}: it has the name of a directory");
            callback::log(LogLevel::Warning, &text);
            None
        }
        Some(file) => Some(Entry::new(&name, Ok(Metadata::file(file)))),
    };
    entries.into_iter().filter_map(entry).collect()
}

/// Parses a time such as `2026-11-29T11:00:00.123Z`, in ns since 1970. Only listings have parts of
/// seconds.
fn listed_time(text: &str) -> Option<i64> {
    let time: Timestamp = text.trim().parse().ok()?;
    time.as_second().checked_mul(1_000_000_000)
}

fn invalid(why: &str) -> Interrupt {
    Error::new(ErrorCode::InputOutput, format!("the list of the server is invalid: {why}")).into()
}

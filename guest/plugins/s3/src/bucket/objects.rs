//! Single objects: their metadata, their contents and their deletion.

use std::collections::HashMap;
use std::io::{self, Read};

use syncmgr_engine::endpoint::{
    Content, Metadata, OpenRequest, Progress, changed, without_cancellation,
};
use syncmgr_engine::tree::{Digest, Fingerprint, split};
use syncmgr_plugin::http::{Request, Response};
use syncmgr_plugin::{Interrupt, Result};

use super::listing::{Found, Page};
use super::object::{Object, Place, tag};
use super::{Bucket, RETRIES, or_missing, request, send_all};
use crate::answer::{expect, missing};

/// The number of files in one directory from which they are listed, instead of asking for each.
const LISTED: usize = 4;
/// The maximum number of objects that are remembered.
const MAX_REMEMBERED: usize = 4_096;

impl Bucket {
    /// Returns the metadata of entries.
    pub(super) fn stat_entries(&mut self, paths: &[&str]) -> Vec<Result<Option<Metadata>>> {
        let mut results: Vec<_> = paths.iter().map(|path| self.stat_here(path).map(Ok)).collect();
        let unknown: Vec<_> = (0..paths.len()).filter(|at| results[*at].is_none()).collect();
        let asked: Vec<_> = unknown.iter().map(|at| paths[*at]).collect();
        for (at, found) in unknown.into_iter().zip(self.find(&asked)) {
            results[at] = Some(found.map(|place| match place {
                Place::Nothing => None,
                Place::Directory => Some(Metadata::directory()),
                Place::Object(object) => Some(object.metadata),
            }));
        }
        results.into_iter().map(|result| result.unwrap_or(Ok(None))).collect()
    }

    /// Returns the metadata of an entry that is not on the server yet.
    fn stat_here(&self, path: &str) -> Option<Option<Metadata>> {
        match self.staged.get(path) {
            Some(staged) => {
                let size = staged.size();
                Some(Some(Metadata::file(Fingerprint { size, ..Fingerprint::default() })))
            }
            None => self.directories.is_new(path).then(|| Some(Metadata::directory())),
        }
    }

    /// Asks for entries, and remembers objects. They are listed: some servers round the times that
    /// HEAD returns. Several entries of one directory need one request.
    pub(super) fn find(&mut self, paths: &[&str]) -> Vec<Result<Place>> {
        let mut groups: HashMap<&str, Vec<&str>> = HashMap::new();
        for path in paths {
            groups.entry(split(path).0).or_default().push(path);
        }
        let mut listed = HashMap::new();
        if groups.len() > 1 && paths.len() >= LISTED {
            // New files are neighbours, although they are in several directories.
            let mut sorted = paths.to_vec();
            sorted.sort_unstable();
            self.list_range(&sorted, false, &mut listed);
        }
        for group in groups.values_mut() {
            group.retain(|path| !listed.contains_key(*path));
            if group.len() >= LISTED {
                group.sort_unstable();
                self.list_range(group, true, &mut listed);
            }
        }
        let single: Vec<_> = paths.iter().filter(|path| !listed.contains_key(**path)).collect();
        let keys: Vec<_> = single.iter().map(|path| self.location.key(path)).collect();
        let list = |key: &String| {
            let parameters = [("prefix", &**key), ("delimiter", "/"), ("max-keys", "100")];
            request("GET", &self.location.list(&parameters))
        };
        let pages = send_all(keys.iter().map(list).collect(), |at, response| {
            without_cancellation(self.read_page(&keys[at], response))
        });
        for (path, page) in single.into_iter().zip(pages) {
            listed.insert((*path).to_owned(), page.and_then(|page| self.place(path, page)));
        }
        let nothing = || Ok(Place::Nothing);
        let mut found: Vec<_> =
            paths.iter().map(|path| listed.remove(*path).unwrap_or_else(nothing)).collect();
        for (path, found) in paths.iter().zip(&mut found) {
            if matches!(found, Ok(Place::Directory)) && !self.directories.is_known(path) {
                *found = self.directory_or_object(path);
            }
        }
        if self.objects.len() > MAX_REMEMBERED {
            self.objects.clear();
        }
        for (path, found) in paths.iter().zip(&found) {
            match found {
                Ok(Place::Object(object)) => {
                    self.objects.insert((*path).to_owned(), object.clone());
                }
                Ok(Place::Nothing | Place::Directory) | Err(_) => drop(self.objects.remove(*path)),
            }
        }
        found
    }

    /// Returns what has a path, from the first page of the entries whose names begin with it.
    fn place(&self, path: &str, page: Page) -> Result<Place> {
        let is_last = page.next.is_none();
        let mut place = Place::Nothing;
        for found in page.found {
            match found {
                Found::File(other, object) if other == path => place = Place::Object(object),
                Found::Directory(other) if other == path => return Ok(Place::Directory),
                Found::File(..) | Found::Directory(_) | Found::Marker(..) => {}
            }
        }
        if is_last || matches!(place, Place::Object(_)) {
            return Ok(place);
        }
        match self.head(path)? {
            Some(object) => Ok(Place::Object(object)),
            None if self.is_directory(path)? => Ok(Place::Directory),
            None => Ok(Place::Nothing),
        }
    }

    /// Returns what has the path of a directory in a listing. Seaweedfs shows the name of an emptied
    /// one, which may be that of an object now.
    fn directory_or_object(&self, path: &str) -> Result<Place> {
        if self.is_directory(path)? {
            return Ok(Place::Directory);
        }
        let first = self.page(&[("prefix", &self.location.key(path)), ("max-keys", "1")]);
        let object = without_cancellation(first)?.found.into_iter().find_map(|found| match found {
            Found::File(other, object) if other == path => Some(Place::Object(object)),
            Found::File(..) | Found::Directory(_) | Found::Marker(..) => None,
        });
        Ok(object.unwrap_or(Place::Nothing))
    }

    /// Lists the keys around these sorted paths, if that takes few requests. With `delimited`, they
    /// are in one directory, and a path that is not listed is unused.
    fn list_range(
        &self,
        paths: &[&str],
        delimited: bool,
        listed: &mut HashMap<String, Result<Place>>,
    ) {
        let (Some(first), Some(last)) = (paths.first(), paths.last()) else { return };
        let shared = first.char_indices().take_while(|(at, one)| last[*at..].starts_with(*one));
        let shared = shared.last().map_or(0, |(at, one)| at + one.len_utf8());
        let shared =
            if delimited { shared.max(first.len() - split(first).1.len()) } else { shared };
        let prefix = self.location.key(&first[..shared]);
        // A key before the first path that is not far from it.
        let end = first.char_indices().last().map_or(0, |(at, _)| at);
        let (mut place, mut left) =
            (("start-after", self.location.key(&first[..end])), paths.len());
        for _ in 0..paths.len().div_ceil(16) {
            let mut parameters = vec![("prefix", &*prefix), (place.0, &*place.1)];
            parameters.extend(delimited.then_some(("delimiter", "/")));
            let Ok(page) = self.page(&parameters) else { return };
            let before = left;
            for found in page.found {
                let (path, found) = match found {
                    Found::File(path, object) => (path, Place::Object(object)),
                    Found::Directory(path) => (path, Place::Directory),
                    Found::Marker(..) => continue,
                };
                if paths.binary_search(&&*path).is_ok() {
                    left -= usize::from(listed.insert(path, Ok(found)).is_none());
                }
            }
            match page.next {
                Some(next) if left > 0 && left < before => place = ("continuation-token", next),
                Some(_) => return,
                None if delimited => {
                    for path in paths {
                        listed.entry((*path).to_owned()).or_insert(Ok(Place::Nothing));
                    }
                    return;
                }
                None => return,
            }
        }
    }

    /// Asks for an object with its metadata. Its time may be rounded.
    pub(super) fn head(&self, path: &str) -> Result<Option<Object>> {
        let head = without_cancellation(expect(self.request("HEAD", path).send()));
        or_missing(head.and_then(|head| Object::of(&head)))
    }

    /// Returns the object that a path must have, as it was asked for just now.
    pub(super) fn expected(&mut self, path: &str, expected: &Fingerprint) -> Result<Object> {
        let is_it = |object: &Object| object.metadata.fingerprint.is_still(expected);
        if let Some(object) = self.objects.get(path).filter(|object| is_it(object)) {
            return Ok(object.clone());
        }
        match self.find(&[path]).pop().unwrap_or_else(|| Err(missing()))? {
            Place::Object(object) if is_it(&object) => Ok(object),
            Place::Object(_) | Place::Directory => Err(changed("it")),
            Place::Nothing => Err(missing()),
        }
    }

    /// Deletes an object if it is the expected one.
    pub(super) fn delete_expected(&mut self, path: &str, object: &Object) -> Result<()> {
        if !self.refuses_deletions() || object.tag.is_empty() {
            self.objects.remove(path);
            self.expected(path, &object.metadata.fingerprint)?;
        }
        self.leave(path)?;
        self.objects.remove(path);
        // The answer may be that to a repetition.
        let deleted = expect(self.delete_request(path, object).send()).map(drop);
        or_missing(without_cancellation(deleted)).map(drop)
    }

    /// Returns the request that deletes an object, only if it is still this one where the server
    /// can do that.
    pub(super) fn delete_request(&self, path: &str, object: &Object) -> Request<'static> {
        let delete = self.request("DELETE", path);
        match self.refuses_deletions() {
            true if !object.tag.is_empty() => {
                delete.header("If-Match", &format!("\"{}\"", object.tag))
            }
            true | false => delete,
        }
    }

    pub(super) fn refuses_deletions(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.deletes_expected)
    }

    /// Deletes an object without a condition.
    pub(super) fn delete(&self, path: &str) -> Result<()> {
        or_missing(without_cancellation(expect(self.request("DELETE", path).send()).map(drop)))
            .map(drop)
    }

    /// Starts to receive files.
    pub(super) fn download(&self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
        let get = |file: &OpenRequest<'_>| {
            // A compressed content has another length.
            self.request("GET", file.path).header("Accept-Encoding", "identity")
        };
        send_all(files.iter().map(get).collect(), |at, response| {
            let response = without_cancellation(expect(response))?;
            let object = Object::of(&response)?;
            let metadata = match files[at].expected {
                Some(expected) if object.is_still(expected) => Metadata::file(*expected),
                Some(_) => return Err(changed("the file")),
                None => object.metadata,
            };
            let (url, left) = (self.location.object(files[at].path), metadata.fingerprint.size);
            let reader = Resumed { response, url, tag: object.tag, left, at: 0, tries: RETRIES };
            Ok(Content { metadata, reader: Box::new(reader) })
        })
    }

    /// Returns the digest in the metadata of an object, or that of its content.
    pub(super) fn digest(
        &mut self,
        path: &str,
        progress: &mut Progress<'_>,
    ) -> Result<Digest, Interrupt> {
        let object = self.head(path)?.ok_or_else(missing)?;
        if let Some(digest) = object.digest {
            return Ok(digest);
        }
        let content = self.download(&[OpenRequest { path, expected: None }]).pop();
        content.unwrap_or_else(|| Err(missing()))?.digest(progress)
    }
}

/// The content of an object. If the connection fails, the rest is requested.
struct Resumed {
    response: Response,
    url: String,
    tag: String,
    left: u64,
    at: u64,
    tries: u32,
}

impl Read for Resumed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self.response.read(buffer) {
                Ok(0) if self.left > 0 && !buffer.is_empty() => {
                    Err(io::Error::from(io::ErrorKind::UnexpectedEof))
                }
                read => read,
            };
            match read {
                Ok(read) => {
                    self.at += read as u64;
                    self.left = self.left.saturating_sub(read as u64);
                    return Ok(read);
                }
                Err(error) if self.tries == 0 || self.tag.is_empty() => return Err(error),
                Err(error) => {
                    self.tries -= 1;
                    let rest = request("GET", &self.url)
                        .header("Accept-Encoding", "identity")
                        .header("Range", &format!("bytes={}-", self.at))
                        .header("If-Match", &format!("\"{}\"", self.tag));
                    match rest.send() {
                        Ok(rest)
                            if rest.status() == 206
                                && tag(rest.header("etag").unwrap_or("")) == self.tag =>
                        {
                            self.response = rest;
                        }
                        // Once the user cancelled, the error says so.
                        Ok(_) | Err(_) => return Err(error),
                    }
                }
            }
        }
    }
}

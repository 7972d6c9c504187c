//! A collection on a WebDAV server as a side.
//!
//! Content is sent to a staging collection, and moved to its name when its size is right: a cut
//! upload leaves a part under its name on some servers. A file that is replaced or deleted is moved
//! away first, since most servers ignore conditions of requests. `Overwrite: F` of MOVE, which
//! servers do respect, refuses to replace an entry that appeared during the run.

pub mod chunked;
mod download;
mod listing;
mod permit;
mod probe;
mod relocate;
mod requests;
mod tags;
mod transfer;
mod trash;

use std::cell::RefCell;
use std::collections::HashMap;

use syncmgr_engine::endpoint::{
    Capabilities, Content, Each, Endpoint, Like, Metadata, OpenRequest, Progress, Received,
    Removal, Rename, Run, Transfer, without_cancellation,
};
use syncmgr_engine::tree::{Fingerprint, join, split};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::http::{Request, Response};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};
use uuid::Uuid;

use crate::answer::{expect, is_unanswered};
use crate::permissions::Change;
use crate::server::{Identity, Ids, Server};
use crate::url;
use chunked::Chunked;
use listing::Listings;
use permit::Restricted;
use relocate::{deleted, moved};
use requests::{complete, request};
use trash::Trash;

/// The number of requests in flight, unless the user sets another one.
const IN_FLIGHT: usize = 8;
/// The number of entries of one call.
const AT_ONCE: usize = 64;

/// A collection on a server.
#[derive(Debug)]
pub struct Collection {
    /// The URL, which ends with `/`.
    root: String,
    /// The decoded path of the URL.
    base: String,
    /// How messages name the server.
    name: String,
    id: Uuid,
    storage: Directory,
    /// How the server described itself in this run; `None`: it was not asked, or did not answer.
    identity: Option<Identity>,
    /// Whether this run asked the server to describe itself.
    is_recognized: bool,
    /// The capabilities of the server.
    server: Server,
    /// Whether the capabilities of the server are known, or a probe failed in this run.
    is_prepared: bool,
    /// Whether a probe determined `server`; otherwise, it is assumed.
    is_known: bool,
    run: Option<Run>,
    listings: Listings,
    /// The names in the staging collection, by the temporary path.
    staged: HashMap<String, Staged>,
    /// The name of the staging collection, once it exists.
    staging: Option<String>,
    trash: Trash,
    /// The paths in the trash and the fingerprints of files that are being replaced, by path.
    captured: HashMap<String, (String, Fingerprint)>,
    /// How large files are sent, if not in one request.
    chunked: Option<Chunked>,
    /// The number of requests in flight.
    in_flight: usize,
    restricted: RefCell<Restricted>,
}

/// A file in the staging collection.
#[derive(Debug)]
struct Staged {
    name: String,
    size: u64,
    /// The fingerprint, once its size was checked.
    stored: Option<Fingerprint>,
}

impl Collection {
    /// Uses the collection at a URL, which ends with `/`. `name` is that of the server in messages.
    /// `storage` keeps the capabilities of the server, by `id`.
    ///
    /// # Errors
    /// Fails if the URL is not valid UTF-8 once it is decoded.
    pub fn new(root: &str, name: &str, id: Uuid, storage: Directory) -> Result<Self> {
        Ok(Self {
            base: url::decode(root)?,
            root: root.to_owned(),
            name: name.to_owned(),
            id,
            storage,
            identity: None,
            is_recognized: false,
            server: Server::unknown(),
            is_prepared: false,
            is_known: false,
            run: None,
            listings: Listings::default(),
            staged: HashMap::new(),
            staging: None,
            trash: Trash::default(),
            captured: HashMap::new(),
            chunked: None,
            in_flight: IN_FLIGHT,
            restricted: RefCell::default(),
        })
    }

    /// Sends large files in chunks.
    #[must_use]
    pub fn chunked(self, chunked: Option<Chunked>) -> Self {
        Self { chunked, ..self }
    }

    /// Sends at most this many requests at once, at least one.
    #[must_use]
    pub fn with_transfers(self, transfers: usize) -> Self {
        Self { in_flight: transfers.max(1), ..self }
    }

    /// Returns the URL of a file.
    fn file(&self, path: &str) -> String {
        format!("{}{}", self.root, url::encode(path))
    }

    /// Returns the URL of a collection, which ends with `/`: some servers accept no other.
    fn collection(&self, path: &str) -> String {
        match path.is_empty() {
            true => self.root.clone(),
            false => format!("{}/", self.file(path)),
        }
    }

    /// Returns the path of an entry, which may still be in the staging collection.
    fn place_of(&self, path: &str) -> String {
        match (self.staged.get(path), &self.staging) {
            (Some(staged), Some(staging)) => join(staging, &staged.name),
            (None, _) | (_, None) => path.to_owned(),
        }
    }

    fn run(&self) -> Result<&Run> {
        self.run.as_ref().ok_or_else(|| Error::failed("no run has begun"))
    }

    /// Returns the path of the staging collection, which exists once an upload has begun.
    fn existing_staging(&self) -> Result<&str> {
        let missing = || Error::failed("there is no temporary collection");
        self.staging.as_deref().ok_or_else(missing)
    }

    /// Returns the staging collection, which is created for its first entry. It is in the root, so
    /// that one listing shows the sizes of all its files.
    fn staging(&mut self) -> Result<String> {
        if let Some(staging) = &self.staging {
            return Ok(staging.clone());
        }
        let staging = self.run()?.temps.next();
        self.permit("", Change::CreateDirectory)?;
        self.make_new(&staging)?;
        Ok(self.staging.insert(staging).clone())
    }

    fn make_request(&self, path: &str) -> Request<'static> {
        request("MKCOL", &self.collection(path))
    }

    /// Creates a collection. After a lost answer, it may exist already.
    fn make(&self, path: &str) -> Result<()> {
        made(self.make_request(path).safe_to_repeat().send())
    }

    /// Fails for a path that the server would not list, so that it would seem to be deleted.
    fn check_listed(&self, path: &str) -> Result<()> {
        match self.server.lists_hidden || !path.split('/').any(|name| name.starts_with('.')) {
            true => Ok(()),
            false => {
                let message = "the server does not list names that begin with a dot";
                Err(Error::new(ErrorCode::NotImplemented, message))
            }
        }
    }

    /// Creates a collection, unless there is one: it has no content that could be lost, and it may
    /// be that of a lost answer.
    fn make_new(&mut self, path: &str) -> Result<()> {
        match self.make(path) {
            Err(error) if error.code == ErrorCode::AlreadyExists => match self.stat(path)? {
                Some(found) if is_collection(found) => Ok(()),
                Some(_) | None => Err(error),
            },
            made => made,
        }
    }

    fn delete(&self, url: &str) -> Result<()> {
        deleted(request("DELETE", url).send())
    }

    /// Deletes a temporary collection, which contains only files.
    fn delete_collection(&mut self, path: &str) -> Result<()> {
        let url = self.collection(path);
        if self.delete(&url).is_ok() {
            return Ok(());
        }
        // Some servers delete only empty ones.
        let files = self.fingerprints(path)?;
        let requests: Vec<_> =
            files.keys().map(|name| request("DELETE", &self.file(&join(path, name)))).collect();
        self.send_all(requests, deleted).into_iter().collect::<Result<Vec<_>>>()?;
        self.delete(&url)
    }
}

impl Endpoint for Collection {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            at_once: AT_ONCE,
            transfers: self.in_flight,
            keeps_times: false,
            hashes_cheaply: false,
            has_versions: !self.listings.has_coarse_tags,
            has_links: false,
            renames: self.server.renames(),
            // A tag alone may be made of the size and the time only.
            has_ids: self.is_known && self.server.has_ids(),
            clock_ahead: self.listings.clock_ahead,
        }
    }

    fn expect_lists(&mut self, directories: &[String]) {
        self.listings.expect(directories);
    }

    fn list(&mut self, directory: &str, each: &mut Each<'_>) -> Result<(), Interrupt> {
        self.list_directory(directory)?.into_iter().try_for_each(each)
    }

    fn stat(&mut self, path: &str) -> Result<Option<Metadata>> {
        self.stat_all(&[path]).pop().unwrap_or(Ok(None))
    }

    fn stat_all(&mut self, paths: &[&str]) -> Vec<Result<Option<Metadata>>> {
        self.stat_many(paths)
    }

    fn open(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
        self.download(files)
    }

    fn begin(&mut self, run: &Run) {
        self.run = Some(run.clone());
    }

    fn receive(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        self.upload(from, transfer, progress)
    }

    fn receive_all(
        &mut self,
        from: &mut dyn Endpoint,
        transfers: &[Transfer<'_>],
    ) -> Vec<Result<Received, Interrupt>> {
        self.upload_all(from, transfers)
    }

    fn flush_received(&mut self, temps: &[&str], _durable: bool) -> Vec<Result<()>> {
        self.check_sizes(temps)
    }

    fn rename_all(&mut self, renames: &[Rename<'_>]) -> Vec<Result<Option<Metadata>>> {
        let targets: Vec<_> =
            renames.iter().map(|rename| join(split(rename.path).0, rename.to)).collect();
        let mut results = match self.prepare() {
            Ok(()) => self.capture_replaced(renames, &targets),
            Err(error) => vec![Err(error); renames.len()],
        };
        for (rename, result) in renames.iter().zip(&mut results) {
            if result.is_ok() && !self.staged.contains_key(rename.path) {
                *result = self.permit(rename.path, Change::Rename);
            }
        }
        self.check_unused(&targets, &mut results);
        let ready: Vec<_> = (0..renames.len()).filter(|at| results[*at].is_ok()).collect();
        let requests: Vec<_> = ready
            .iter()
            .map(|at| {
                let from = self.file(&self.place_of(renames[*at].path));
                self.move_request(&from, &self.file(&targets[*at]))
            })
            .collect();
        let moved = complete(self.send_all(requests, moved), ready.len());
        for (at, moved) in ready.into_iter().zip(moved) {
            let staged = self.staged.get(renames[at].path);
            let source = staged.and_then(|staged| staged.stored).map(Metadata::file);
            let place = self.place_of(renames[at].path);
            results[at] = self.settle_move(&place, &targets[at], source, moved);
        }
        self.settle_replaced(&targets, &mut results);
        let result = |(rename, result): (&Rename<'_>, Result<()>)| {
            result?;
            let staged = self.staged.remove(rename.path);
            // Otherwise, it would be that of a file that another client has put there since.
            let stored = staged.and_then(|staged| staged.stored);
            let Server { moves_tags, moves_times, ids, .. } = self.server;
            let keeps = self.is_known && moves_tags && moves_times && ids != Ids::Changed;
            Ok(stored.filter(|_| keeps).map(Metadata::file))
        };
        renames.iter().zip(results).map(result).collect()
    }

    fn rename(&mut self, path: &str, to: &str) -> Result<()> {
        let found = self.stat(path)?;
        let source = found.ok_or_else(|| Error::new(ErrorCode::NotFound, "it does not exist"))?;
        self.permit_move(path, to, is_collection(source))?;
        self.prepare()?;
        self.check_listed(to)?;
        self.relocate(path, to, source)
    }

    fn keep_in_trash(&mut self, removals: &[Removal<'_>], stays: bool) -> Vec<Result<()>> {
        self.keep(removals, stays)
    }

    fn remove(&mut self, path: &str, expected: Option<&Fingerprint>) -> Result<()> {
        if let Some(expected) = expected {
            return self.remove_file(Removal { path, expected });
        }
        let place = self.place_of(path);
        match self.staged.remove(path) {
            Some(_) => self.delete(&self.file(&place)),
            // A staging collection of an interrupted run.
            None => self.delete_collection(&place),
        }
    }

    fn create_directory(&mut self, path: &str, _like: Option<Like<'_>>) -> Result<()> {
        self.permit(split(path).0, Change::CreateDirectory)?;
        self.prepare()?;
        self.check_listed(path)?;
        // Without a repetition, so that an existing collection is not that of a lost answer.
        match made(self.make_request(path).send()) {
            Err(error) if is_unanswered(&error) => self.make_new(path),
            made => made,
        }
    }

    fn remove_directory(&mut self, path: &str) -> Result<()> {
        self.remove_empty(path)
    }

    fn finish(&mut self) -> Vec<(&'static str, String, Error)> {
        self.clear_trash();
        let Some(staging) = self.staging.take() else { return Vec::new() };
        match self.delete_collection(&staging) {
            Ok(()) => Vec::new(),
            Err(error) => vec![("delete the temporary collection", staging, error)],
        }
    }
}

/// Returns the result of MKCOL.
fn made(response: Result<Response, Interrupt>) -> Result<()> {
    let names = [
        (405, ErrorCode::AlreadyExists, "the name is used"),
        (409, ErrorCode::NotFound, "its collection does not exist"),
    ];
    without_cancellation(expect(response, &names).map(drop))
}

fn is_collection(metadata: Metadata) -> bool {
    metadata.kind == syncmgr_plugin::directories::EntryKind::Directory
}

//! A prefix of a bucket as a side.
//!
//! An object appears at once and completely, so content is sent under its final key: small files
//! when they get their names, large ones in parts that are put together then. Conditions refuse to
//! replace an object that is not the expected one. On servers that ignore them, the object is
//! compared before.
//!
//! There are no directories: one exists if a key begins with its path. An empty one is a marker, an
//! object of length 0 whose key ends with `/`. A directory gets its marker only if nothing is in it
//! once changes are made permanent, or before the last entry is removed from it.

mod copies;
mod directories;
mod listing;
mod multipart;
mod object;
mod objects;
mod parts;
mod probe;
mod relocate;
mod trash;
mod upload;

use std::collections::{HashMap, HashSet};

use syncmgr_engine::endpoint::{
    Capabilities, Content, Each, Endpoint, Like, Metadata, OpenRequest, Progress, Received,
    Removal, Rename, Renamed, Run, Transfer, without_cancellation,
};
use syncmgr_engine::tree::{Digest, Fingerprint};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::http::{self, Request, Response};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};
use uuid::Uuid;

use crate::location::Location;
use crate::server::Server;
use directories::Directories;
use listing::Snapshot;
pub use multipart::Sizes;
use multipart::Uploads;
use object::Object;
use upload::Staged;

/// The number of requests in flight.
const IN_FLIGHT: usize = 8;
/// The number of entries of one call.
const AT_ONCE: usize = 64;
/// How often a request is repeated if the server is busy.
const RETRIES: u32 = 4;
/// Statuses of a busy server, in addition to the usual ones.
const BUSY: &[u16] = &[409, 500];

/// A prefix of a bucket.
#[derive(Debug)]
pub struct Bucket {
    location: Location,
    /// How messages name the server.
    name: String,
    id: Uuid,
    storage: Directory,
    sizes: Sizes,
    /// The capabilities of the server, once they are known.
    server: Option<Server>,
    /// Why they cannot be determined in this run.
    refused: Option<Error>,
    /// How the server named itself in this run.
    server_name: String,
    run: Option<Run>,
    /// What the scan found and was not passed on yet.
    snapshot: Option<Snapshot>,
    directories: Directories,
    /// Objects that were asked for just now, by path.
    objects: HashMap<String, Object>,
    /// Whether an object has no version tag.
    has_coarse_tags: bool,
    /// Files without their names, by temporary path.
    staged: HashMap<String, Staged>,
    uploads: Uploads,
    /// Renamed files.
    renamed: Vec<Renamed>,
    /// The used paths in the trash.
    trash: HashSet<String>,
}

impl Bucket {
    /// Uses a prefix. `name` is that of the server in messages. `storage` keeps the capabilities of
    /// the server and its unfinished uploads, by `id`.
    pub fn new(location: Location, name: &str, id: Uuid, storage: Directory, sizes: Sizes) -> Self {
        Self {
            location,
            name: name.to_owned(),
            id,
            uploads: Uploads::load(&storage, id),
            storage,
            sizes,
            server: None,
            refused: None,
            server_name: String::new(),
            run: None,
            snapshot: None,
            directories: Directories::default(),
            objects: HashMap::new(),
            has_coarse_tags: false,
            staged: HashMap::new(),
            renamed: Vec::new(),
            trash: HashSet::new(),
        }
    }

    fn run(&self) -> Result<&Run> {
        self.run.as_ref().ok_or_else(|| Error::failed("no run has begun"))
    }

    fn request(&self, method: &str, path: &str) -> Request<'static> {
        request(method, &self.location.object(path))
    }
}

/// Returns a request that is repeated if the server is busy and if that is safe.
fn request(method: &str, url: &str) -> Request<'static> {
    http::request(method, url).retry(RETRIES).retry_on(BUSY)
}

/// Sends requests, and returns one result for each of them, in their order.
fn send_all<'a, T>(
    requests: Vec<Request<'a>>,
    mut convert: impl FnMut(usize, Result<Response, Interrupt>) -> Result<T>,
) -> Vec<Result<T>> {
    let count = requests.len();
    let mut results = Vec::with_capacity(count);
    let sent = http::send_all(requests, IN_FLIGHT, |at, response| {
        results.push(convert(at, response));
        Ok(())
    });
    let stopped = without_cancellation(sent).err();
    // The last ones have no result after a cancellation.
    let none = || stopped.clone().unwrap_or_else(|| Error::failed("no result"));
    results.resize_with(count, || Err(none()));
    results
}

impl Endpoint for Bucket {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            at_once: AT_ONCE,
            has_versions: !self.has_coarse_tags,
            renames: self.server.as_ref().is_some_and(|server| server.copies_new),
            ..Capabilities::default()
        }
    }

    fn list(&mut self, directory: &str, each: &mut Each<'_>) -> Result<(), Interrupt> {
        self.list_directory(directory)?.into_iter().try_for_each(each)
    }

    fn stat(&mut self, path: &str) -> Result<Option<Metadata>> {
        self.stat_all(&[path]).pop().unwrap_or(Ok(None))
    }

    fn stat_all(&mut self, paths: &[&str]) -> Vec<Result<Option<Metadata>>> {
        self.stat_entries(paths)
    }

    fn open(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
        self.download(files)
    }

    fn hash(&mut self, path: &str, progress: &mut Progress<'_>) -> Result<Digest, Interrupt> {
        self.digest(path, progress)
    }

    fn begin(&mut self, run: &Run) {
        self.run = Some(run.clone());
        self.snapshot = None;
    }

    fn receive(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        self.prepare()?;
        self.stage(from, transfer, progress)
    }

    fn rename_all(&mut self, renames: &[Rename<'_>]) -> Vec<Result<Option<Metadata>>> {
        match self.prepare() {
            Ok(()) => self.name_all(renames),
            Err(error) => renames.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn rename(&mut self, path: &str, to: &str) -> Result<()> {
        self.prepare()?;
        self.relocate(path, to)
    }

    fn take_renamed(&mut self) -> Vec<Renamed> {
        std::mem::take(&mut self.renamed)
    }

    fn keep_in_trash(&mut self, removals: &[Removal<'_>], stays: bool) -> Vec<Result<()>> {
        match self.prepare() {
            Ok(()) => self.keep_all(removals, stays),
            Err(error) => removals.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn remove(&mut self, path: &str, expected: Option<&Fingerprint>) -> Result<()> {
        match expected {
            Some(expected) => {
                self.prepare()?;
                let object = self.expected(path, expected)?;
                self.delete_expected(path, &object)
            }
            None => self.discard(path),
        }
    }

    fn create_directory(&mut self, path: &str, _like: Option<Like<'_>>) -> Result<()> {
        self.make_directory(path)
    }

    fn remove_directory(&mut self, path: &str) -> Result<()> {
        self.remove_empty(path)
    }

    fn flushes(&self, _durable: bool) -> bool {
        // A new directory exists only from then on.
        true
    }

    fn flush_directories(&mut self, directories: &[&str], in_trash: bool) -> Vec<Result<()>> {
        match in_trash {
            true => directories.iter().map(|_| Ok(())).collect(),
            false => self.mark_empty(directories),
        }
    }

    fn finish(&mut self) -> Vec<(&'static str, String, Error)> {
        self.abort_old_uploads()
    }
}

/// Returns what is meant by an entry that does not exist.
fn or_missing<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

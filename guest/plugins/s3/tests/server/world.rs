//! The content of the server, which persists between runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use syncmgr_engine::names;
use syncmgr_engine::tree::split;
use syncmgr_plugin::testing::{Received, Reply};

use crate::quirks::{Quirks, Tags};

/// The origin of the server.
pub(crate) const ORIGIN: &str = "https://s3.example";
/// The bucket.
pub(crate) const BUCKET: &str = "bucket";
/// The prefix that is synced.
pub(crate) const PREFIX: &str = "my docs/";

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) content: Vec<u8>,
    /// Headers that begin with `x-amz-meta-`.
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) tag: String,
    /// The modification time, in seconds since 1970.
    pub(crate) modified: i64,
}

/// An upload in parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) parts: BTreeMap<u32, Vec<u8>>,
}

/// Something that happens at a request.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The connection is cut before the server acts.
    CutBefore,
    /// The connection is cut after the server acted.
    CutAfter,
    /// The connection is cut after this many bytes of the answer.
    CutBody(usize),
    /// Another client stores an object, or deletes it.
    Edit(String, Option<Vec<u8>>),
    /// The user writes a local file.
    Write(PathBuf, Vec<u8>),
}

/// The server.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// By key.
    pub(crate) objects: BTreeMap<String, Stored>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    /// Old versions, if the bucket keeps them.
    pub(crate) versions: Vec<Vec<u8>>,
    pub(crate) quirks: Quirks,
    /// The next version.
    pub(crate) next: u64,
    /// The time in seconds since 1970.
    pub(crate) clock: i64,
    /// The requests, as `METHOD path?query`, with conditions and the source of a copy.
    pub(crate) requests: Vec<String>,
    /// Events by the number of the request, counted from 0.
    pub(crate) events: BTreeMap<usize, Event>,
    /// Requests that a server must never get.
    pub(crate) faults: Vec<String>,
    /// All contents that other clients overwrote or deleted.
    pub(crate) overwritten: BTreeSet<Vec<u8>>,
    /// The number of the request from which all connections are cut.
    pub(crate) down_from: Option<usize>,
}

/// The server, as the test and its requests share it.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(crate) fn new(quirks: Quirks) -> Self {
        Self(Arc::new(Mutex::new(World {
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            versions: Vec::new(),
            quirks,
            next: 1,
            clock: 1_790_000_000,
            requests: Vec::new(),
            events: BTreeMap::new(),
            faults: Vec::new(),
            overwritten: BTreeSet::new(),
            down_from: None,
        })))
    }

    pub(crate) fn with<T>(&self, action: impl FnOnce(&mut World) -> T) -> T {
        action(&mut self.0.lock().unwrap())
    }

    pub(crate) fn answer(&self, request: &Received) -> Reply {
        self.with(|world| world.receive(request))
    }
}

impl World {
    fn receive(&mut self, request: &Received) -> Reply {
        let number = self.requests.len();
        let shown = ["if-match", "if-none-match", "x-amz-copy-source", "range"];
        let shown = shown.iter().filter_map(|name| Some((name, request.header(name)?)));
        let shown: String = shown.map(|(name, value)| format!(" {name}: {value}")).collect();
        self.requests.push(format!("{} {}{shown}", request.method, request.path()));
        let event = match self.down_from.is_some_and(|from| number >= from) {
            true => Some(Event::CutBefore),
            false => self.events.get(&number).cloned(),
        };
        match event {
            None => self.answer(request),
            Some(Event::CutBefore) => Reply::lost(),
            Some(Event::CutAfter) => {
                self.answer(request);
                Reply::lost()
            }
            Some(Event::CutBody(bytes)) => self.answer(request).cut_after(bytes),
            Some(Event::Edit(path, content)) => {
                self.edit(&path, content);
                self.answer(request)
            }
            Some(Event::Write(file, content)) => {
                self.overwritten.extend(fs::read(&file));
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, content).unwrap();
                self.answer(request)
            }
        }
    }

    /// Returns whether a server that ignores conditions replaces or deletes an object that appears
    /// at this request: the plugin has compared it before.
    pub(crate) fn replaces_unseen(&self, number: usize, path: &str) -> bool {
        let own = format!("/{BUCKET}/{}", s3::location::encode(&format!("{PREFIX}{path}")));
        let concerns = |request: &&String| {
            let target = request.split(' ').nth(1).unwrap_or_default();
            let target = target.split('?').next().unwrap_or_default();
            target == own || request.contains("start-after")
        };
        let first = self.requests[number..].iter().find(concerns);
        let is_write = |request: &String| {
            ["PUT", "POST", "DELETE"].iter().any(|method| request.starts_with(method))
        };
        self.quirks.ignores_conditions && first.is_some_and(is_write)
    }

    /// Edits an object as another client would.
    pub(crate) fn edit(&mut self, path: &str, content: Option<Vec<u8>>) {
        self.clock += 10;
        let key = format!("{PREFIX}{path}");
        self.overwritten.extend(self.objects.get(&key).map(|old| old.content.clone()));
        match content {
            None => drop(self.objects.remove(&key)),
            Some(content) => drop(self.put(&key, content, Vec::new(), None)),
        }
    }

    /// Removes what has a path, and objects that have the name of a directory above it.
    pub(crate) fn clear(&mut self, path: &str) {
        self.edit(path, None);
        self.remove_all(path);
        for (end, _) in path.match_indices('/') {
            self.edit(&path[..end], None);
        }
    }

    /// Removes all objects below a path.
    pub(crate) fn remove_all(&mut self, path: &str) {
        let inside = format!("{PREFIX}{path}/");
        self.objects.retain(|key, _| !key.starts_with(&inside));
    }

    /// Stores an object, and returns its tag.
    pub(crate) fn put(
        &mut self,
        key: &str,
        content: Vec<u8>,
        metadata: Vec<(String, String)>,
        tag: Option<String>,
    ) -> String {
        self.next += 1;
        let tag = match self.quirks.tags {
            Tags::Content => {
                tag.unwrap_or_else(|| blake3::hash(&content).to_hex().as_str()[..32].to_owned())
            }
            Tags::Version => format!("v{}", self.next),
            Tags::None => String::new(),
        };
        let stored = Stored { content, metadata, tag: tag.clone(), modified: self.clock };
        if let Some(old) = self.objects.insert(key.to_owned(), stored)
            && self.quirks.is_versioned
        {
            self.versions.push(old.content);
        }
        tag
    }

    pub(crate) fn delete(&mut self, key: &str) {
        if let Some(old) = self.objects.remove(key)
            && self.quirks.is_versioned
        {
            self.versions.push(old.content);
        }
    }

    /// Returns the objects and the directories below the prefix, without the trash and unfinished
    /// files. The path of a directory ends with `/`.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for (key, stored) in &self.objects {
            let Some(path) = key.strip_prefix(PREFIX) else { continue };
            if path.split('/').any(|name| name == names::TRASH || names::is_temp(name)) {
                continue;
            }
            files.insert(path.to_owned(), stored.content.clone());
            let mut parent = split(path.trim_end_matches('/')).0;
            while !parent.is_empty() {
                files.insert(format!("{parent}/"), Vec::new());
                parent = split(parent).0;
            }
        }
        files
    }

    /// Returns all contents, wherever they are.
    pub(crate) fn contents(&self) -> BTreeSet<Vec<u8>> {
        let objects = self.objects.values().map(|stored| stored.content.clone());
        objects.chain(self.versions.iter().cloned()).collect()
    }
}

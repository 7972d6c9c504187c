//! The content of the server, which persists between runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use syncmgr_engine::names;
use syncmgr_engine::tree::{moved_path, prefixes, split};
use syncmgr_plugin::testing::{Received, Reply};

use crate::quirks::{Quirks, Tags};
use crate::uploads::Upload;

/// The origin of the server.
pub(crate) const ORIGIN: &str = "https://dav.example";
/// The decoded path of the synced collection.
pub(crate) const BASE: &str = "remote.php/dav/files/me/docs";

/// A file, or a collection if there is no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) version: u64,
    /// The same for all versions of a file.
    pub(crate) id: u64,
    /// The modification time, in seconds since 1970.
    pub(crate) modified: i64,
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
    /// Another client stores a file, or deletes it.
    Edit(String, Option<Vec<u8>>),
    /// The user writes a local file.
    Write(PathBuf, Vec<u8>),
}

/// The server.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// By the path below the synced collection.
    pub(crate) entries: BTreeMap<String, Stored>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) quirks: Quirks,
    /// The next version.
    pub(crate) next: u64,
    /// The time in seconds since 1970.
    pub(crate) clock: i64,
    /// The requests, as `METHOD path`, or `METHOD path -> destination`.
    pub(crate) requests: Vec<String>,
    /// Events by the number of the request, counted from 0.
    pub(crate) events: BTreeMap<usize, Event>,
    /// Requests that a server must never get.
    pub(crate) faults: Vec<String>,
    /// All contents that were ever overwritten or deleted by requests.
    pub(crate) gone: BTreeSet<Vec<u8>>,
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
            entries: BTreeMap::new(),
            uploads: BTreeMap::new(),
            quirks,
            next: 1,
            clock: 1_790_000_000,
            requests: Vec::new(),
            events: BTreeMap::new(),
            faults: Vec::new(),
            gone: BTreeSet::new(),
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
        let target = request.header("destination").map(|url| format!(" -> {url}"));
        let target = target.unwrap_or_default();
        self.requests.push(format!("{} {}{target}", request.method, request.path()));
        let event = match self.down_from.is_some_and(|from| number >= from) {
            true => Some(Event::CutBefore),
            false => self.events.get(&number).cloned(),
        };
        match event {
            None => self.answer(request),
            Some(Event::CutBefore) => {
                if request.method == "PUT" && self.quirks.keeps_cut_puts {
                    let mut part = request.clone();
                    part.body.truncate(part.body.len() / 2);
                    self.answer(&part);
                }
                Reply::lost()
            }
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

    /// Returns whether a server that ignores `Overwrite: F` replaces a file that appears at this
    /// request: an entry is moved there before the plugin could see it.
    pub(crate) fn replaces_unseen(&self, number: usize, path: &str) -> bool {
        let mut rest = self.requests[number..].iter();
        let [own, parent] = [path, split(path).0].map(|path| format!("/{BASE}/{path}"));
        let target = format!(" -> {ORIGIN}{own}");
        let parent = format!("PROPFIND {}/", parent.trim_end_matches('/'));
        let own = format!("PROPFIND {own}");
        let first = rest.find(|one| one.ends_with(&target) || **one == own || **one == parent);
        self.quirks.ignores_overwrite && first.is_some_and(|first| first.ends_with(&target))
    }

    /// Edits a file as another client would.
    pub(crate) fn edit(&mut self, path: &str, content: Option<Vec<u8>>) {
        self.clock += 10;
        let old = self.entries.get(&self.key(path)).and_then(|stored| stored.content.clone());
        self.overwritten.extend(old);
        match content {
            None => drop(self.entries.remove(&self.key(path))),
            Some(content) => {
                let mut parent = split(path).0;
                while !parent.is_empty() {
                    if !self.entries.contains_key(&self.key(parent)) {
                        self.put(parent, None);
                    }
                    parent = split(parent).0;
                }
                self.put(path, Some(content));
            }
        }
    }

    /// Moves an entry as another client would, if it exists and its new path does not.
    pub(crate) fn rename(&mut self, path: &str, to: &str) -> bool {
        let (from, to) = (self.key(path), self.key(to));
        let is_possible = self.entries.contains_key(&from)
            && !self.entries.contains_key(&to)
            && moved_path(&to, &from, "").is_none()
            && prefixes(split(&to).0).all(|above| {
                let above = self.entries.get(&self.key(above));
                split(&to).0.is_empty() || above.is_some_and(|above| above.content.is_none())
            });
        if is_possible {
            self.move_entries(&from, &to, true);
        }
        is_possible
    }

    /// Moves or copies an entry, with everything in it.
    pub(crate) fn move_entries(&mut self, from: &str, to: &str, is_move: bool) {
        let moved = |old: &String| Some((old.clone(), moved_path(old, from, to)?));
        let moved: Vec<_> = self.entries.keys().filter_map(moved).collect();
        for (old, new) in moved {
            let mut stored = self.entries[&old].clone();
            if is_move {
                self.entries.remove(&old);
            }
            self.next += 1;
            if self.quirks.moves_change_tags {
                stored.version = self.next;
            }
            if self.quirks.moves_change_ids || !is_move {
                stored.id = self.next;
            }
            if self.quirks.moves_change_times {
                self.clock += 10;
                stored.modified = self.clock;
            }
            self.entries.insert(new, stored);
        }
    }

    /// Removes a collection with everything in it.
    pub(crate) fn remove_all(&mut self, path: &str) {
        let inside = format!("{path}/");
        self.entries.retain(|known, _| known != path && !known.starts_with(&inside));
    }

    pub(crate) fn put(&mut self, path: &str, content: Option<Vec<u8>>) {
        self.next += 1;
        let (version, modified) = (self.next, self.clock);
        let key = self.key(path);
        let id = self.entries.get(&key).map_or(version, |stored| stored.id);
        let stored = Stored { content, version, id, modified };
        self.entries.insert(key, stored);
    }

    /// Returns the path under which an entry is stored.
    pub(crate) fn key(&self, path: &str) -> String {
        let composed = match self.quirks.composes_names {
            true => path.split('/').map(|name| names::key(name)).collect::<Vec<_>>().join("/"),
            false => path.to_owned(),
        };
        match self.quirks.ignores_case {
            true => {
                let mut known = self.entries.keys();
                let alike = known.find(|known| known.to_lowercase() == composed.to_lowercase());
                alike.cloned().unwrap_or(composed)
            }
            false => composed,
        }
    }

    /// Returns the files and collections, without those in the trash and in collections of runs.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let synced = |path: &&String| {
            !path.split('/').any(|name| name == names::TRASH || names::is_temp(name))
        };
        let file = |path: &String| match &self.entries[path].content {
            Some(content) => (path.clone(), content.clone()),
            None => (format!("{path}/"), Vec::new()),
        };
        self.entries.keys().filter(synced).map(file).collect()
    }

    /// Returns all contents, wherever they are.
    pub(crate) fn contents(&self) -> BTreeSet<Vec<u8>> {
        self.entries.values().filter_map(|stored| stored.content.clone()).collect()
    }

    pub(crate) fn used(&self) -> usize {
        self.entries.values().filter_map(|stored| stored.content.as_ref()).map(Vec::len).sum()
    }

    pub(crate) fn tag(&mut self, stored: &Stored) -> Option<String> {
        let size = stored.content.as_ref().map_or(0, Vec::len);
        Some(match self.quirks.tags {
            Tags::Exact => format!("\"v{}\"", stored.version),
            Tags::Weak => format!("W/\"v{}\"", stored.version),
            Tags::New => {
                self.next += 1;
                format!("\"n{}\"", self.next)
            }
            Tags::Seconds => format!("\"{:x}-{size:x}\"", stored.modified),
            Tags::Joined => format!("\"{:x}{size:x}\"", stored.modified * 1_000_000_000),
            Tags::None => return None,
        })
    }
}

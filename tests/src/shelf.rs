//! A service with a JSON interface on loopback, which the example of the book syncs with.
//!
//! - `GET /entries/` answers with all entries by path, `GET /entries/PATH` with one.
//! - `GET /files/PATH` answers with a file, `PUT` stores and `DELETE` deletes one, with the condition
//!   `If-Match: VERSION` or `If-None-Match: *`. The service keeps old versions.
//! - `PUT /directories/PATH` creates a directory, `DELETE` deletes an empty one.
//! - `POST /moves/` with `{"from": PATH, "to": PATH}` moves an entry to an unused path.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

/// A running service. It ends with the process.
#[derive(Clone, Debug)]
pub struct Shelf {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// The entries by path; a directory has no content.
#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<String, (Option<Vec<u8>>, u64)>,
    history: Vec<Vec<u8>>,
    version: u64,
}

type Answer = (u16, Vec<u8>);

impl Shelf {
    /// Starts an empty service.
    ///
    /// # Errors
    /// Returns an error if there is no port left.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let shelf = Self { address: listener.local_addr()?, state: Arc::default() };
        let shared = shelf.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shelf = shared.clone();
                // A client that closes its connection is no failure.
                thread::spawn(move || shelf.serve(&stream));
            }
        });
        Ok(shelf)
    }

    /// Returns the URL.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Stores a file, and its directories.
    pub fn put(&self, path: &str, content: &[u8]) {
        let mut state = self.state();
        for (end, _) in path.match_indices('/') {
            if !state.entries.contains_key(&path[..end]) {
                state.put(&path[..end], None);
            }
        }
        state.put(path, Some(content.to_vec()));
    }

    /// Deletes an entry.
    pub fn delete(&self, path: &str) {
        self.state().entries.remove(path);
    }

    /// Returns all files by path.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let file = |(path, (content, _)): (&String, &(Option<Vec<u8>>, u64))| {
            Some((path.clone(), content.clone()?))
        };
        state.entries.iter().filter_map(file).collect()
    }

    /// Returns the versions of files that were replaced or deleted.
    pub fn history(&self) -> Vec<Vec<u8>> {
        self.state().history.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut from = BufReader::new(stream);
        loop {
            let (mut head, mut headers) = (String::new(), BTreeMap::new());
            if from.read_line(&mut head)? == 0 {
                return Ok(());
            }
            loop {
                let mut line = String::new();
                from.read_line(&mut line)?;
                let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                headers.insert(name.to_lowercase(), value.to_owned());
            }
            let length = headers.get("content-length").and_then(|text| text.parse().ok());
            let mut body = Vec::new();
            (&mut from).take(length.unwrap_or(0)).read_to_end(&mut body)?;
            let mut words = head.split(' ');
            let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let (status, answer) = self.state().answer(method, path, &headers, body);
            let head = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\n\r\n", answer.len());
            let mut to = stream;
            to.write_all(&[head.into_bytes(), answer].concat())?;
        }
    }
}

impl State {
    fn put(&mut self, path: &str, content: Option<Vec<u8>>) {
        self.version += 1;
        let old = self.entries.insert(path.to_owned(), (content, self.version));
        self.history.extend(old.and_then(|(content, _)| content));
    }

    fn answer(
        &mut self,
        method: &str,
        path: &str,
        headers: &BTreeMap<String, String>,
        body: Vec<u8>,
    ) -> Answer {
        let empty = |status| (status, Vec::new());
        let (what, path) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
        let path = decoded(path);
        let entry = self.entries.get(&path);
        let is_directory = entry.is_some_and(|(content, _)| content.is_none());
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let has_parent = parent.is_empty() || self.entries.contains_key(parent);
        let is_expected = match (headers.get("if-match"), headers.get("if-none-match")) {
            (Some(version), _) => entry.is_some_and(|(_, now)| *version == now.to_string()),
            (None, Some(_)) => entry.is_none(),
            (None, None) => true,
        };
        match (method, what) {
            ("GET", "entries") if path.is_empty() => {
                let all = self.entries.iter().map(|(path, entry)| (path.clone(), described(entry)));
                (200, Value::Object(all.collect()).to_string().into_bytes())
            }
            ("GET", "entries") => match entry {
                Some(entry) => (200, described(entry).to_string().into_bytes()),
                None => empty(404),
            },
            ("GET", "files") => match entry {
                Some((Some(content), _)) => (200, content.clone()),
                Some((None, _)) | None => empty(404),
            },
            (_, "files") if !is_expected => empty(412),
            (_, "files") if is_directory => empty(409),
            ("PUT", "files") if !has_parent => empty(404),
            ("PUT", "files") => {
                self.put(&path, Some(body));
                empty(201)
            }
            ("DELETE", "files") => match self.entries.remove(&path) {
                Some((content, _)) => {
                    self.history.extend(content);
                    empty(204)
                }
                None => empty(404),
            },
            ("PUT", "directories") if entry.is_some() => empty(409),
            ("PUT", "directories") if !has_parent => empty(404),
            ("PUT", "directories") => {
                self.put(&path, None);
                empty(201)
            }
            ("DELETE", "directories") if !is_directory => empty(404),
            ("DELETE", "directories") => {
                let inside = format!("{path}/");
                if self.entries.keys().any(|other| other.starts_with(&inside)) {
                    return empty(409);
                }
                self.entries.remove(&path);
                empty(204)
            }
            ("POST", "moves") => {
                let moved: Value = serde_json::from_slice(&body).unwrap_or_default();
                let [from, to] = ["from", "to"].map(|name| moved[name].as_str().unwrap_or(""));
                if self.entries.contains_key(to) {
                    return empty(409);
                }
                let inside = format!("{from}/");
                let is_moved = |path: &&String| *path == from || path.starts_with(&inside);
                let paths: Vec<_> = self.entries.keys().filter(is_moved).cloned().collect();
                for path in &paths {
                    if let Some(entry) = self.entries.remove(path) {
                        self.entries.insert(format!("{to}{}", &path[from.len()..]), entry);
                    }
                }
                empty(if paths.is_empty() { 404 } else { 204 })
            }
            _ => empty(405),
        }
    }
}

fn described((content, version): &(Option<Vec<u8>>, u64)) -> Value {
    match content {
        Some(content) => json!({ "size": content.len(), "version": version.to_string() }),
        None => json!({ "size": 0, "version": null }),
    }
}

fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let digits = [rest.clone().next(), rest.clone().nth(1)];
        let number = match (byte, digits) {
            (b'%', [Some(high), Some(low)]) => {
                u8::from_str_radix(&String::from_utf8_lossy(&[high, low]), 16).ok()
            }
            _ => None,
        };
        if number.is_some() {
            rest.nth(1);
        }
        bytes.push(number.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

//! Finds out what a server can do, by requests for files in the staging collection.

use syncmgr_engine::endpoint::Metadata;
use syncmgr_engine::tree::{join, split};
use syncmgr_plugin::callback;
use syncmgr_plugin::http;
use syncmgr_plugin::{Error, ErrorCode, LogLevel, Result};

use super::Collection;
use super::relocate::moved;
use crate::answer::{expect, failed};
use crate::server::{Destination, Identity, Server, Tags};

/// A time that no server invents, in seconds since 1970.
const TIME: i64 = 1_600_000_000;

impl Collection {
    /// Asks the server how it describes itself, and logs what is known of it. Failures are those of
    /// the next request, too.
    pub(super) fn recognize(&mut self) {
        let Ok(answer) = http::request("OPTIONS", &self.root).send() else { return };
        self.identity = Identity::new(answer.header("server"), answer.header("dav"));
        let known = Server::load(&self.storage, self.id);
        if let Some(known) = known.filter(|known| known.identity == self.identity) {
            self.learn(known);
        }
    }

    /// Finds out what the server can do, unless that is known. Called before the first change.
    ///
    /// # Errors
    /// Fails if the server cannot move files.
    pub(super) fn prepare(&mut self) -> Result<()> {
        if !self.is_prepared {
            self.is_prepared = true;
            match self.probe() {
                Ok(found) => {
                    // Otherwise, the next run asks again.
                    let _ = found.save(&self.storage, self.id);
                    self.learn(found);
                }
                // The first change fails for the same reason.
                Err(_) => self.server = Server::unknown(),
            }
        }
        match self.server.destination {
            Some(_) => Ok(()),
            None => {
                let message = "the server cannot move files (MOVE), which is required";
                Err(Error::new(ErrorCode::NotImplemented, message))
            }
        }
    }

    fn learn(&mut self, server: Server) {
        let name = &self.name;
        callback::log(LogLevel::Information, &format!("{name}: {}", server.describe()));
        if !server.refuses_overwrites {
            let text = format!(
                "{name}: this server cannot refuse an overwrite: a file that appears there at the \
                 moment of an upload may be replaced"
            );
            callback::log(LogLevel::Warning, &text);
        }
        self.server = server;
        self.is_prepared = true;
    }

    fn probe(&mut self) -> Result<Server> {
        let staging = self.staging()?;
        let [file, target, other, timed] = [(); 4].map(|()| join(&staging, &self.temp()));
        let mut versions = Vec::new();
        for content in [b"1", b"2", b"3"] {
            self.put_probe(&file, content, None)?;
            versions.push(self.stat_probe(&file)?);
        }
        let last = self.stat_probe(&file)?;
        let tag = |found: &Metadata| found.fingerprint.changed;
        let is_same = |pair: &[Metadata]| tag(&pair[0]) == tag(&pair[1]);
        let tags = if !is_same(&[versions[2], last]) {
            Tags::Unstable
        } else if versions.windows(2).any(is_same) {
            Tags::Coarse
        } else {
            Tags::Exact
        };

        let mut destination = None;
        for way in Destination::ALL {
            self.server.destination = Some(way);
            let [from, to] = [self.file(&file), self.file(&target)];
            if moved(self.move_request(&from, &to).send()).is_ok() {
                destination = Some(way);
                break;
            }
        }
        let mut refuses_overwrites = false;
        let (mut moves_tags, mut keeps_fingerprints) = (true, false);
        if destination.is_some() {
            let now = self.stat_probe(&target)?;
            moves_tags = tag(&now) == tag(&last);
            keeps_fingerprints = now == last;
            self.put_probe(&other, b"another", None)?;
            let [from, to] = [self.file(&other), self.file(&target)];
            let refused = moved(self.move_request(&from, &to).send()).is_err();
            let is_there = self.stat_probe(&target)?.fingerprint.size == last.fingerprint.size;
            refuses_overwrites = refused && is_there;
        }
        self.put_probe(&timed, b"1", Some(TIME))?;
        let modified = self.stat_probe(&timed)?.fingerprint.modified;
        let lists_hidden = self.fingerprints(&staging)?.contains_key(split(&timed).1);
        Ok(Server {
            identity: self.identity.clone(),
            destination,
            refuses_overwrites,
            keeps_times: modified == TIME * 1_000_000_000,
            tags,
            moves_tags,
            keeps_fingerprints,
            lists_hidden,
        })
    }

    fn put_probe(&self, path: &str, content: &[u8], time: Option<i64>) -> Result<()> {
        let mut put = http::put(&self.file(path)).retry(super::RETRIES).body(content);
        if let Some(time) = time {
            put = put.header("X-OC-Mtime", &time.to_string());
        }
        failed(expect(put.send(), &[]).map(drop))
    }

    fn stat_probe(&mut self, path: &str) -> Result<Metadata> {
        let found = self.stat_many(&[path]).pop().unwrap_or(Ok(None))?;
        found.ok_or_else(|| Error::failed("the server does not show a file that it stored"))
    }
}

//! Determines the capabilities of a server by requests for files in the staging collection.

use std::num::NonZeroI64;

use syncmgr_engine::endpoint::{Metadata, without_cancellation};
use syncmgr_engine::tree::{join, split};
use syncmgr_plugin::callback;
use syncmgr_plugin::http;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, LogLevel, Result};

use super::relocate::moved;
use super::{Collection, request};
use crate::answer::{expect, is_busy, is_unanswered};
use crate::server::{Destination, Identity, Ids, Server, Tags};

/// A time that no server invents, in seconds since 1970.
const TIME: i64 = 1_600_000_000;

/// The number of versions of one file. A slow server may need more than a second for two.
const MIN_VERSIONS: usize = 3;
const MAX_VERSIONS: u8 = 9;

impl Collection {
    /// Asks the server how it describes itself, once in a run, and logs its known capabilities. Without
    /// an answer, the server is an unknown one.
    pub(super) fn recognize(&mut self) -> Result<(), Interrupt> {
        if std::mem::replace(&mut self.is_recognized, true) {
            return Ok(());
        }
        let answer = match request("OPTIONS", &self.root).send() {
            Ok(answer) if !is_busy(answer.status()) => answer,
            Ok(_) | Err(Interrupt::Failed(_)) => return Ok(()),
            Err(cancelled @ (Interrupt::Item | Interrupt::All)) => return Err(cancelled),
        };
        let identity = Identity::new(answer.header("server"), answer.header("dav"));
        let known = Server::load(&self.storage, self.id);
        if let Some(known) = known.filter(|known| known.identity == identity) {
            self.learn(known);
        }
        self.identity = Some(identity);
        Ok(())
    }

    /// Determines the capabilities of the server, unless they are known. Called before the first change.
    ///
    /// # Errors
    /// Fails if the server cannot move files, and without an answer. The next change tries again.
    pub(super) fn prepare(&mut self) -> Result<()> {
        without_cancellation(self.recognize())?;
        if !self.is_prepared {
            match self.probe() {
                Ok(found) => {
                    // A server that cannot be used may be repaired. If nothing is saved, the next run
                    // asks again.
                    if self.identity.is_some() && found.destination.is_some() {
                        let _ = found.save(&self.storage, self.id);
                    }
                    self.learn(found);
                }
                Err(error) => {
                    self.server = Server::unknown();
                    if is_unanswered(&error) {
                        return Err(error);
                    }
                    // The changes that fail for the same reason say so.
                    self.is_prepared = true;
                }
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
        match server.tags {
            Tags::Exact => {}
            Tags::Coarse => self.listings.has_coarse_tags = true,
            Tags::Unstable => self.listings.ignore_tags(),
        }
        self.server = server;
        self.is_prepared = true;
        self.is_known = true;
    }

    fn probe(&mut self) -> Result<Server> {
        let staging = self.staging()?;
        let temps = &self.run()?.temps;
        let [file, target, other, timed] = [(); 4].map(|()| join(&staging, &temps.next()));
        let mut versions = Vec::new();
        for number in 0..MAX_VERSIONS {
            versions.push(self.put_probe(&file, &[b'0' + number], None)?);
            if versions.len() >= MIN_VERSIONS && has_one_second(&versions) {
                break;
            }
        }
        let last = self.stat_probe(&file)?;
        let tags = match self.listings.has_stable_tags {
            Some(false) => Tags::Unstable,
            Some(true) | None => tags(&versions, &last),
        };
        let destination = self.find_destination(&file, &target)?;
        let (mut now, mut refuses_overwrites) = (last, false);
        if destination.is_some() {
            now = self.stat_probe(&target)?;
            self.put_probe(&other, b"another", None)?;
            let [from, to] = [self.file(&other), self.file(&target)];
            let refused = match moved(self.move_request(&from, &to).send()) {
                Err(error) if is_unanswered(&error) => return Err(error),
                sent => sent.is_err(),
            };
            let found = self.stat_many(&[&target]).pop().unwrap_or(Ok(None))?;
            let is_kept =
                found.is_some_and(|found| found.fingerprint.size == last.fingerprint.size);
            refuses_overwrites = refused && is_kept;
        }
        let modified = self.put_probe(&timed, b"1", Some(TIME))?.fingerprint.modified;
        let lists_hidden = self.fingerprints(&staging)?.contains_key(split(&timed).1);
        Ok(Server {
            identity: self.identity.clone().unwrap_or_default(),
            destination,
            refuses_overwrites,
            keeps_times: modified == TIME * 1_000_000_000,
            tags,
            moves_tags: tag(&now) == tag(&last),
            moves_times: now.fingerprint.modified == last.fingerprint.modified,
            ids: ids(&versions, &last, &now),
            lists_hidden,
        })
    }

    /// Moves a file, and returns how the server wants the target to be written; `None`: it moves
    /// no files.
    fn find_destination(&mut self, file: &str, target: &str) -> Result<Option<Destination>> {
        // Some servers answer 502 to a target that they take for one of another server.
        let names = [(502, ErrorCode::Failed, "the target is refused")];
        for way in Destination::ALL {
            self.server.destination = Some(way);
            let sent = self.move_request(&self.file(file), &self.file(target)).send();
            let sent = without_cancellation(expect(sent, &names).map(drop));
            match self.settle_move(file, target, None, sent) {
                Ok(()) => return Ok(Some(way)),
                Err(error) if is_unanswered(&error) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Stores a file, and returns its metadata.
    fn put_probe(&mut self, path: &str, content: &[u8], time: Option<i64>) -> Result<Metadata> {
        let mut put = http::put(&self.file(path)).retry(super::requests::RETRIES).body(content);
        if let Some(time) = time {
            put = put.header("X-OC-Mtime", &time.to_string());
        }
        without_cancellation(expect(put.send(), &[]).map(drop))?;
        let stored = self.stat_probe(path)?;
        match stored.fingerprint.size == content.len() as u64 {
            true => Ok(stored),
            false => Err(Error::failed("the server does not store a file as it was sent")),
        }
    }

    fn stat_probe(&mut self, path: &str) -> Result<Metadata> {
        let found = self.stat_many(&[path]).pop().unwrap_or(Ok(None))?;
        found.ok_or_else(|| Error::failed("the server does not show a file that it stored"))
    }
}

fn tag(found: &Metadata) -> Option<NonZeroI64> {
    found.fingerprint.changed
}

/// Returns what the server says of ids, from several versions of a file and from the last one before
/// and after a move. Without an id, another tag has another fingerprint.
fn ids(versions: &[Metadata], last: &Metadata, now: &Metadata) -> Ids {
    let id = |found: &Metadata| found.fingerprint.file_id;
    let is_stated = |pair: &[Metadata]| {
        tag(&pair[0]) != tag(&pair[1]) && id(&pair[0]) == id(&pair[1]) && id(&pair[0]) != 0
    };
    if tag(last) == tag(now) && id(last) != id(now) {
        return Ids::Changed;
    }
    match versions.windows(2).any(is_stated) {
        true => Ids::Kept,
        false => Ids::None,
    }
}

/// Returns whether two versions in a row are of one second: only these show whether a tag is more
/// than the time.
fn has_one_second(versions: &[Metadata]) -> bool {
    versions.windows(2).any(is_one_second)
}

fn is_one_second(pair: &[Metadata]) -> bool {
    pair[0].fingerprint.modified == pair[1].fingerprint.modified
}

/// Returns what tags say, from those of several versions and that of the last one again.
fn tags(versions: &[Metadata], last: &Metadata) -> Tags {
    // The clock of a fast server's files may stand still for some milliseconds.
    let differ = |pair: &[Metadata]| is_one_second(pair) && tag(&pair[0]) != tag(&pair[1]);
    if versions.last().is_some_and(|version| tag(version) != tag(last)) {
        return Tags::Unstable;
    }
    match versions.windows(2).any(differ) {
        true => Tags::Exact,
        false => Tags::Coarse,
    }
}

//! Receives the contents of files. If the connection fails, the rest of the file is requested.

use std::io::{self, Read};

use syncmgr_engine::endpoint::{Content, Metadata, OpenRequest, changed, without_cancellation};
use syncmgr_plugin::directories::EntryKind;
use syncmgr_plugin::http::{Request, Response};
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::requests::RETRIES;
use super::tags::is_coarse;
use super::{Collection, complete, request};
use crate::answer::expect;
use crate::multistatus;

/// The number of bytes after which a download makes progress: a connection that fails again and
/// again before is given up.
const PROGRESS: u64 = 1 << 20;
/// The age in ns from which a version of a file is the only one of its second.
const SETTLED: i64 = 2_000_000_000;

impl Collection {
    /// Starts to receive files.
    pub(super) fn download(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
        let requests: Vec<_> = files.iter().map(|file| get(&self.file(file.path))).collect();
        let is_stable = self.listings.has_stable_tags != Some(false);
        let mut expected = files.iter();
        let results = self.send_all(requests, |response| {
            let file = expected.next();
            let wanted = file.and_then(|file| file.expected);
            let response = without_cancellation(expect(response, &[]))?;
            if response.status() != 200 {
                let message = format!("the server answered {} to GET", response.status());
                return Err(Error::new(ErrorCode::InputOutput, message));
            }
            let length = response.content_length();
            let mut metadata = Metadata {
                kind: EntryKind::File,
                fingerprint: wanted.copied().unwrap_or_default(),
                mode: None,
                identity: None,
            };
            match (wanted, length) {
                (Some(wanted), Some(length)) if wanted.size != length => {
                    return Err(changed("the file"));
                }
                (None, None) => {
                    let message = "the server does not state the length of the file";
                    return Err(Error::new(ErrorCode::InputOutput, message));
                }
                (None, Some(length)) => metadata.fingerprint.size = length,
                (Some(_), _) => {}
            }
            if metadata.fingerprint.modified == 0 {
                let modified = response.header("last-modified").and_then(multistatus::time);
                metadata.fingerprint.modified = modified.unwrap_or(0);
            }
            let url = file.map(|file| self.file(file.path)).unwrap_or_default();
            let size = metadata.fingerprint.size;
            let tag = version(&response, size).filter(|_| is_stable);
            Ok(Content { metadata, reader: Box::new(Download::new(url, size, tag, response)) })
        });
        complete(results, files.len())
    }
}

fn get(url: &str) -> Request<'static> {
    // A compressed content has another length and another tag.
    request("GET", url).header("Accept-Encoding", "identity")
}

/// Returns the tag of a response, if no other version of the file has the same one.
fn version(response: &Response, size: u64) -> Option<String> {
    let header = response.header("etag").filter(|tag| !tag.starts_with("W/"))?;
    let time = |name| response.header(name).and_then(multistatus::time);
    let is_settled = || {
        let age = time("date")?.checked_sub(time("last-modified")?)?;
        Some(age >= SETTLED)
    };
    let tag = multistatus::tag(header)?;
    (!is_coarse(&tag, size) || is_settled() == Some(true)).then(|| header.to_owned())
}

/// A file that is being received.
struct Download {
    url: String,
    /// The length of the file in bytes.
    size: u64,
    /// Identifies the version; `None`: the rest of another version could follow.
    tag: Option<String>,
    body: Response,
    /// The number of bytes that were received.
    received: u64,
    /// The number of bytes of the body that were received before.
    skipped: u64,
    /// The number of failures since `received` was `checked`.
    failures: u32,
    checked: u64,
}

/// What a server answers if the rest of a file is requested.
enum Rest {
    /// A body, of which this many bytes precede the rest.
    Follows(Response, u64),
    /// The file is another one.
    Changed,
    /// It cannot be used.
    Useless,
}

impl Download {
    fn new(url: String, size: u64, tag: Option<String>, body: Response) -> Self {
        Self { url, size, tag, body, received: 0, skipped: 0, failures: 0, checked: 0 }
    }

    /// Returns whether the rest may be requested once more.
    fn may_continue(&mut self) -> bool {
        if self.received >= self.checked + PROGRESS {
            (self.failures, self.checked) = (0, self.received);
        }
        self.failures += 1;
        self.failures <= RETRIES && self.received < self.size
    }

    fn rest(&self) -> Rest {
        let Some(tag) = self.tag.as_deref() else { return Rest::Useless };
        let request = get(&self.url)
            .header("Range", &format!("bytes={}-", self.received))
            .header("If-Range", tag);
        // After a cancellation, the engine sees it in the error of the body.
        let Ok(response) = request.send() else { return Rest::Useless };
        let is_same = response.header("etag") == Some(tag);
        match response.status() {
            200 if is_same => Rest::Follows(response, self.received),
            206 if is_same && self.is_rest(&response) => Rest::Follows(response, 0),
            206 if is_same => Rest::Useless,
            200 | 206 | 404 | 410 | 412 | 416 => Rest::Changed,
            _ => Rest::Useless,
        }
    }

    /// Returns whether a response has exactly the rest of the file.
    fn is_rest(&self, response: &Response) -> bool {
        let range = response.header("content-range").and_then(|range| range.strip_prefix("bytes "));
        let expected = format!("{}-{}", self.received, self.size.saturating_sub(1));
        range.and_then(|range| range.split_once('/')).is_some_and(|(range, total)| {
            range == expected && (total == "*" || total.parse() == Ok(self.size))
        })
    }

    /// Reads from the body, without the bytes that were received before.
    fn read_body(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.skipped > 0 && !buffer.is_empty() {
            let most = buffer.len().min(usize::try_from(self.skipped).unwrap_or(usize::MAX));
            let read = self.body.read(&mut buffer[..most])?;
            if read == 0 {
                return Ok(0);
            }
            self.skipped -= read as u64;
        }
        let read = self.body.read(buffer)?;
        self.received += read as u64;
        Ok(read)
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let error = match self.read_body(buffer) {
                Ok(read) => return Ok(read),
                Err(error) => error,
            };
            if !self.may_continue() {
                return Err(error);
            }
            match self.rest() {
                Rest::Follows(body, skipped) => (self.body, self.skipped) = (body, skipped),
                // A content that ends early is one that changed.
                Rest::Changed => return Ok(0),
                Rest::Useless => return Err(error),
            }
        }
    }
}

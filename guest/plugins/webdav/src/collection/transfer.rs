//! Sends and receives the contents of files.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use syncmgr_engine::endpoint::{
    Content, Endpoint, Metadata, OpenRequest, Received, Transfer, changed,
};
use syncmgr_engine::tree::{join, split};
use syncmgr_plugin::directories::EntryKind;
use syncmgr_plugin::http::{self, Request, Response};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::{Collection, IN_FLIGHT, Staged, complete, request, send_all};
use crate::answer::{expect, failed};
use crate::multistatus;

/// The digest and the number of bytes of a body that was sent.
#[derive(Clone, Default)]
struct Sent(Rc<RefCell<(blake3::Hasher, u64)>>);

/// Hashes what is read.
struct Hashed<R> {
    from: R,
    sent: Sent,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        let (hasher, count) = &mut *self.sent.0.borrow_mut();
        hasher.update(&buffer[..read]);
        *count += read as u64;
        Ok(read)
    }
}

/// Reports what is read.
struct Reported<'a, R> {
    from: R,
    progress: &'a mut dyn FnMut(u64) -> Result<(), Interrupt>,
    /// The interrupt that ended reading.
    stopped: &'a RefCell<Option<Interrupt>>,
}

impl<R: Read> Read for Reported<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        (self.progress)(read as u64).map_err(|interrupt| {
            *self.stopped.borrow_mut() = Some(interrupt);
            io::Error::other("stopped")
        })?;
        Ok(read)
    }
}

/// Returns the name of a file in the staging collection. Some servers do not list names that begin
/// with a dot.
fn staged_name(temp: &str) -> &str {
    split(temp).1.trim_start_matches('.')
}

impl Collection {
    /// Starts to receive files.
    pub(super) fn download(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
        let requests: Vec<_> = files
            .iter()
            .map(|file| {
                // A compressed content has another length and another tag.
                request("GET", &self.file(file.path)).header("Accept-Encoding", "identity")
            })
            .collect();
        let mut expected = files.iter();
        let results = send_all(requests, |response| {
            let wanted = expected.next().and_then(|file| file.expected);
            let response = failed(expect(response, &[]))?;
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
            Ok(Content { metadata, reader: Box::new(response) })
        });
        complete(results, files.len())
    }

    /// Opens a source, and returns the request that sends it to the staging collection.
    fn put<'a>(
        &self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        staging: &str,
        sent: &Sent,
        report: impl FnOnce(Box<dyn Read>) -> Box<dyn Read + 'a>,
    ) -> Result<Request<'a>> {
        let open = OpenRequest { path: transfer.path, expected: Some(&transfer.source) };
        let content = from.open(&[open]).pop();
        let content = content.unwrap_or_else(|| Err(Error::failed("no result")))?;
        if !content.metadata.fingerprint.is_still(&transfer.source) {
            return Err(changed("the file"));
        }
        self.check_listed(&join(split(transfer.temp).0, transfer.name))?;
        let url = self.file(&join(staging, staged_name(transfer.temp)));
        let body = Hashed { from: report(content.reader), sent: sent.clone() };
        let put = http::put(&url).header("Content-Type", "application/octet-stream");
        let seconds = transfer.source.modified / 1_000_000_000;
        let put = match self.server.keeps_times && seconds > 0 {
            true => put.header("X-OC-Mtime", &seconds.to_string()),
            false => put,
        };
        Ok(put.body_from(transfer.source.size, body))
    }

    fn sent(
        &mut self,
        transfer: &Transfer<'_>,
        sent: &Sent,
        response: Result<Response, Interrupt>,
    ) -> Result<Received, Interrupt> {
        expect(response, &[(413, ErrorCode::NoSpace, "the server accepts no file of this size")])?;
        let (hasher, count) = &*sent.0.borrow();
        if *count != transfer.source.size {
            return Err(changed("the file").into());
        }
        let name = staged_name(transfer.temp).to_owned();
        self.staged.insert(transfer.temp.to_owned(), Staged { name, size: *count });
        Ok(Received { source: transfer.source, digest: *hasher.finalize().as_bytes() })
    }

    /// Sends one file.
    pub(super) fn upload(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut dyn FnMut(u64) -> Result<(), Interrupt>,
    ) -> Result<Received, Interrupt> {
        self.prepare()?;
        let staging = self.staging()?;
        let (sent, stopped) = (Sent::default(), RefCell::new(None));
        let response = {
            let stopped = &stopped;
            self.put(from, transfer, &staging, &sent, move |from| {
                Box::new(Reported { from, progress, stopped })
            })?
            .send()
        };
        if let Some(interrupt) = stopped.take() {
            return Err(interrupt);
        }
        self.sent(transfer, &sent, response)
    }

    /// Sends several files, some at once.
    pub(super) fn upload_all(
        &mut self,
        from: &mut dyn Endpoint,
        transfers: &[Transfer<'_>],
    ) -> Vec<Result<Received, Interrupt>> {
        let mut results: Vec<Option<Result<Received, Interrupt>>> =
            transfers.iter().map(|_| None).collect();
        let staging = match self.prepare().and_then(|()| self.staging()) {
            Ok(staging) => staging,
            Err(error) => return transfers.iter().map(|_| Err(error.clone().into())).collect(),
        };
        let started = RefCell::new(Vec::new());
        let refused = RefCell::new(Vec::new());
        let this = RefCell::new(self);
        let requests = transfers.iter().enumerate().filter_map(|(at, transfer)| {
            let sent = Sent::default();
            let put = this.borrow().put(&mut *from, transfer, &staging, &sent, |content| content);
            match put {
                Ok(request) => {
                    started.borrow_mut().push((at, sent));
                    Some(request)
                }
                Err(error) => {
                    refused.borrow_mut().push((at, error));
                    None
                }
            }
        });
        let ended = http::send_all(requests, IN_FLIGHT, |nth, response| {
            let Some((at, sent)) = started.borrow().get(nth).cloned() else { return Ok(()) };
            let received = this.borrow_mut().sent(&transfers[at], &sent, response);
            results[at] = Some(received);
            Ok(())
        });
        for (at, error) in refused.into_inner() {
            results[at] = Some(Err(error.into()));
        }
        let interrupt = ended.err().unwrap_or(Interrupt::Item);
        results.into_iter().map(|one| one.unwrap_or_else(|| Err(interrupt.clone()))).collect()
    }

    /// Checks the sizes of files in the staging collection.
    pub(super) fn check_sizes(&mut self, temps: &[&str]) -> Vec<Result<()>> {
        let staging = self.staging.clone().unwrap_or_default();
        let sizes = match self.sizes(&staging) {
            Ok(sizes) => sizes,
            Err(error) => return temps.iter().map(|_| Err(error.clone())).collect(),
        };
        let check = |temp: &&str| {
            let staged = self.staged.get(*temp);
            let staged = staged.ok_or_else(|| Error::failed("the copy was not sent"))?;
            match sizes.get(&staged.name) {
                Some(size) if *size == staged.size => Ok(()),
                found => {
                    let found = found.copied().unwrap_or(0);
                    let message = format!("the server stored {found} of {} bytes", staged.size);
                    Err(Error::new(ErrorCode::InputOutput, message))
                }
            }
        };
        temps.iter().map(check).collect()
    }
}

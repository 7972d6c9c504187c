//! Sends the contents of files.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

use syncmgr_engine::endpoint::{Endpoint, Progress, Received, Transfer, changed};
use syncmgr_engine::tree::{join, split};
use syncmgr_plugin::http::{self, Request, Response};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::{Collection, Staged, request};
use crate::answer::expect;

/// The answer to a file that is too large.
pub(super) const TOO_LARGE: [(u16, ErrorCode, &str); 1] =
    [(413, ErrorCode::NoSpace, "the server accepts no file of this size")];

/// A body that was sent.
#[derive(Clone, Default)]
struct Sent(Rc<RefCell<Body>>);

#[derive(Default)]
struct Body {
    hasher: blake3::Hasher,
    /// The number of bytes.
    count: u64,
    /// Whether the source was shorter or longer than planned.
    is_changed: bool,
}

/// Hashes the bytes that are read.
struct Hashed<R> {
    from: R,
    sent: Sent,
    /// The planned size of the source in bytes.
    size: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        let body = &mut *self.sent.0.borrow_mut();
        body.hasher.update(&buffer[..read]);
        body.count += read as u64;
        body.is_changed |= match read {
            0 => body.count < self.size && !buffer.is_empty(),
            _ => body.count == self.size && self.from.read(&mut [0])? > 0,
        };
        Ok(read)
    }
}

/// Reports the progress of a body, which may be sent several times.
struct Report<'a> {
    progress: RefCell<&'a mut Progress<'a>>,
    /// The bytes that were reported.
    reported: Cell<u64>,
    /// The interrupt that ended reading.
    stopped: RefCell<Option<Interrupt>>,
}

/// Reports what is read.
struct Reported<'a, 'p> {
    from: Box<dyn Read>,
    read: u64,
    report: &'a Report<'p>,
}

impl Read for Reported<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.read += read as u64;
        let new = self.read.saturating_sub(self.report.reported.get());
        self.report.reported.set(self.report.reported.get() + new);
        (self.report.progress.borrow_mut())(new).map_err(|interrupt| {
            *self.report.stopped.borrow_mut() = Some(interrupt);
            io::Error::other("stopped")
        })?;
        Ok(read)
    }
}

/// Returns the name of a file in the staging collection. Some servers do not list names that begin
/// with a dot.
pub(super) fn staged_name(temp: &str) -> &str {
    split(temp).1.trim_start_matches('.')
}

/// The side that files are sent from.
type From<'a> = RefCell<&'a mut (dyn Endpoint + 'a)>;

impl Collection {
    /// Returns the request that sends a source to the staging collection. Each attempt opens it.
    fn put<'a>(
        &self,
        from: &'a From<'_>,
        transfer: &'a Transfer<'_>,
        staging: &str,
        sent: &Sent,
        report: Option<&'a Report<'_>>,
    ) -> Request<'a> {
        let url = self.file(&join(staging, staged_name(transfer.temp)));
        let checked = self.check_upload(transfer);
        let sent = sent.clone();
        let open = move || -> Result<Box<dyn Read + 'a>> {
            checked.clone()?;
            if report.is_some_and(|report| report.stopped.borrow().is_some()) {
                return Err(Error::new(ErrorCode::Cancelled, "cancelled"));
            }
            let from = transfer.open(&mut **from.borrow_mut())?.reader;
            *sent.0.borrow_mut() = Default::default();
            let from: Box<dyn Read + 'a> = match report {
                Some(report) => Box::new(Reported { from, read: 0, report }),
                None => from,
            };
            Ok(Box::new(Hashed { from, sent: sent.clone(), size: transfer.source.size }))
        };
        let put = request("PUT", &url).header("Content-Type", "application/octet-stream");
        self.with_time(put, transfer).body_with(transfer.source.size, open)
    }

    /// Fails for a file that the server would not accept, or not list.
    fn check_upload(&self, transfer: &Transfer<'_>) -> Result<()> {
        self.permit_upload(transfer)?;
        self.check_listed(&join(split(transfer.temp).0, transfer.name))
    }

    /// States the time of the source, if the server stores it.
    pub(super) fn with_time<'a>(
        &self,
        request: Request<'a>,
        transfer: &Transfer<'_>,
    ) -> Request<'a> {
        let seconds = transfer.source.modified / 1_000_000_000;
        match self.server.keeps_times && seconds > 0 {
            true => request.header("X-OC-Mtime", &seconds.to_string()),
            false => request,
        }
    }

    fn sent(
        &mut self,
        transfer: &Transfer<'_>,
        sent: &Sent,
        response: Result<Response, Interrupt>,
    ) -> Result<Received, Interrupt> {
        let size = transfer.source.size;
        let body = &*sent.0.borrow();
        if body.is_changed {
            return Err(changed("the file").into());
        }
        self.explain_size(expect(response, &TOO_LARGE).map(drop), size)?;
        if body.count != size {
            return Err(changed("the file").into());
        }
        self.is_staged(transfer);
        Ok(Received { source: transfer.source, digest: *body.hasher.finalize().as_bytes() })
    }

    /// Records a file in the staging collection.
    pub(super) fn is_staged(&mut self, transfer: &Transfer<'_>) {
        let (name, size) = (staged_name(transfer.temp).to_owned(), transfer.source.size);
        self.staged.insert(transfer.temp.to_owned(), Staged { name, size, stored: None });
    }

    /// Some servers answer 500 if there is no room for a file.
    pub(super) fn explain_size(
        &self,
        sent: Result<(), Interrupt>,
        size: u64,
    ) -> Result<(), Interrupt> {
        match sent {
            Err(Interrupt::Failed(error))
                if error.code == ErrorCode::Failed
                    && self.available().is_some_and(|available| available < size) =>
            {
                Err(Error::new(ErrorCode::NoSpace, "the quota on the server is used up").into())
            }
            sent => sent,
        }
    }

    /// Sends one file.
    pub(super) fn upload(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        self.permit_upload(transfer)?;
        self.prepare()?;
        self.check_upload(transfer)?;
        let staging = self.staging()?;
        if let Some(received) = self.upload_chunks(from, transfer, progress)? {
            return Ok(received);
        }
        let sent = Sent::default();
        let report = Report {
            progress: RefCell::new(progress),
            reported: Cell::new(0),
            stopped: RefCell::new(None),
        };
        let from = RefCell::new(from);
        let response = self.put(&from, transfer, &staging, &sent, Some(&report)).send();
        if let Some(interrupt) = report.stopped.take() {
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
        let permitted = transfers.iter().map(|transfer| self.permit_upload(transfer));
        let permitted = permitted.reduce(Result::or).unwrap_or(Ok(()));
        let staging = permitted.and_then(|()| self.prepare()).and_then(|()| self.staging());
        let staging = match staging {
            Ok(staging) => staging,
            Err(error) => return transfers.iter().map(|_| Err(error.clone().into())).collect(),
        };
        let from = RefCell::new(from);
        let bodies: Vec<_> = transfers.iter().map(|_| Sent::default()).collect();
        let requests: Vec<_> = transfers
            .iter()
            .zip(&bodies)
            .map(|(transfer, sent)| self.put(&from, transfer, &staging, sent, None))
            .collect();
        let mut results = Vec::with_capacity(transfers.len());
        let ended = http::send_all(requests, self.in_flight, |at, response| {
            results.push(self.sent(&transfers[at], &bodies[at], response));
            Ok(())
        });
        let interrupt = ended.err().unwrap_or(Interrupt::Item);
        results.resize_with(transfers.len(), || Err(interrupt.clone()));
        results
    }

    /// Checks the sizes of files in the staging collection.
    pub(super) fn check_sizes(&mut self, temps: &[&str]) -> Vec<Result<()>> {
        let staging = self.existing_staging();
        let found = match staging.and_then(|staging| self.fingerprints(staging)) {
            Ok(found) => found,
            Err(error) => return temps.iter().map(|_| Err(error.clone())).collect(),
        };
        let check = |temp: &&str| {
            let staged = self.staged.get_mut(*temp);
            let staged = staged.ok_or_else(|| Error::failed("the copy was not sent"))?;
            staged.stored = found.get(&staged.name).copied();
            match staged.stored {
                Some(stored) if stored.size == staged.size => Ok(()),
                stored => {
                    let found = stored.map_or(0, |stored| stored.size);
                    let message = format!("the server stored {found} of {} bytes", staged.size);
                    Err(Error::new(ErrorCode::InputOutput, message))
                }
            }
        };
        temps.iter().map(check).collect()
    }
}

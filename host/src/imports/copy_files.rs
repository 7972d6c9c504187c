//! Copies many files at once. Copying spends most of its time in the system, which can serve
//! several threads.

use std::fs::{File, FileTimes};
use std::io::{self, Seek, SeekFrom, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::answer::{Answer, failure, no_room, refuse, wit_metadata};
use super::directory::writable;
use super::names::{checked_attributes, checked_name};
use crate::bindings::{directories as wit, types};
use crate::fs::attributes::{Attributes, exact_time};
use crate::fs::copy_range::copy_in_system;
use crate::fs::file::{COPY_BYTES, read_piece};
use crate::fs::holes::{Holes, Part};
use crate::fs::metadata::{EntryKind, Metadata, Seen, system_time};
use crate::fs::system;
use crate::fs::{file, parallel};
use crate::limits::monitor::{Monitor, Piecework};
use crate::limits::reading::{FREE_BYTES, Reading};
use crate::state::ParkedCtx;
use crate::storage::Storage;
use crate::types::ErrorCode;

/// The maximum number of files that are copied concurrently.
const AT_ONCE: usize = 4;
/// The maximum number of files that one call of `copy-files` copies.
const COPIED_FILES: usize = 1024;

/// A permitted copy of one file, with validated names.
#[derive(Debug)]
struct Job {
    source: Arc<system::Handle>,
    name: String,
    target: Arc<system::Handle>,
    target_name: String,
    max_size: u64,
    verify: bool,
    /// The attributes of the copy; `None` copies only the permission bits of the source.
    attributes: Option<Attributes>,
    /// The storage, if the copy is in it.
    storage: Option<Storage>,
    /// Measures the work on the file.
    monitor: Arc<Monitor>,
    reading: Reading,
}

/// A completed copy.
#[derive(Debug)]
struct Copied {
    source: Metadata,
    digest: blake3::Hash,
    copy: Arc<File>,
    stored: bool,
}

impl ParkedCtx<'_> {
    /// Performs the permitted copies, and returns a result for each request.
    pub(super) fn copy_requested(
        &mut self,
        requests: Vec<(wit::CopyRequest, Option<wit::CopyAttributes>)>,
    ) -> wasmtime::Result<Vec<Result<wit::CopiedFile, types::Error>>> {
        let mut room = self.limits.open_files.saturating_sub(self.open_files);
        let mut admitted = Vec::with_capacity(requests.len().min(COPIED_FILES));
        for (index, (request, attributes)) in requests.into_iter().enumerate() {
            let mut job = match index < COPIED_FILES {
                true => self.job(request, attributes)?,
                false => {
                    refuse(ErrorCode::InvalidArgument, "1,024 files came before it".to_owned())
                }
            };
            if job.is_ok() {
                match room.checked_sub(1) {
                    Some(rest) => room = rest,
                    None => job = refuse(ErrorCode::Failed, self.too_many_open()),
                }
            }
            admitted.push(job);
        }
        let jobs: Vec<&Job> = admitted.iter().flatten().collect();
        let monitor = Arc::clone(&self.monitor);
        let apart = monitor.apart();
        let mut copied = copy_all(&jobs, || monitor.terminated().is_none()).into_iter();
        drop(apart);
        drop(jobs);
        self.check_ended()?;
        let mut answers = Vec::with_capacity(admitted.len());
        for job in admitted {
            let outcome = job.and_then(|_| copied.next().flatten().unwrap_or_else(ended));
            answers.push(match outcome {
                Ok(copied) => self.hand_over(copied)?,
                Err(error) => Err(error),
            });
        }
        Ok(answers)
    }

    /// Returns the job of a request if it is permitted.
    fn job(
        &self,
        request: wit::CopyRequest,
        attributes: Option<wit::CopyAttributes>,
    ) -> wasmtime::Result<Result<Job, types::Error>> {
        let (source, target) = (self.table.get(&request.source)?, self.table.get(&request.target)?);
        let allowed = writable(target)
            .and_then(|()| checked_name(&request.name))
            .and_then(|_| checked_name(&request.target_name))
            .and_then(|_| {
                let attributes = attributes.map(|more| checked_attributes(more, target.stored));
                attributes.transpose()
            });
        Ok(allowed.map(|attributes| Job {
            source: Arc::clone(&source.handle),
            name: request.name,
            target: Arc::clone(&target.handle),
            target_name: request.target_name,
            max_size: request.max_size,
            verify: request.verify,
            attributes,
            storage: self.storage.as_ref().filter(|_| target.stored).map(Storage::for_copies),
            monitor: Arc::clone(&self.monitor),
            reading: self.reading.clone(),
        }))
    }

    fn hand_over(&mut self, copied: Copied) -> Answer<wit::CopiedFile> {
        if !copied.stored {
            self.writing.opened(&copied.copy);
        }
        let file = file::File::open(copied.copy, true, copied.stored);
        Ok(self.push(Ok(file))?.map(|copy| wit::CopiedFile {
            source: wit_metadata(copied.source),
            digest: copied.digest.as_bytes().to_vec(),
            copy,
        }))
    }
}

type Outcome = Result<Copied, types::Error>;

/// The work on one file.
struct Work<'a> {
    pieces: Piecework<'a>,
    reading: &'a Reading,
    /// The metadata of the source, if it is open.
    file: Option<Seen>,
    /// The bytes of reads to come that are recorded already.
    admitted: u64,
}

impl Work<'_> {
    /// Records all reads of a small file at once: each measurement would take longer than a read.
    fn admit(&mut self, bytes: u64) {
        let is_free = |file| bytes <= FREE_BYTES && self.reading.is_free(file, bytes);
        if self.file.as_ref().is_some_and(is_free) {
            self.admitted = bytes;
        }
    }

    /// Records that bytes were read and hashed or copied.
    fn done(&mut self, bytes: u64) {
        if let Some(rest) = self.admitted.checked_sub(bytes) {
            self.admitted = rest;
            return;
        }
        self.admitted = 0;
        let free = self.file.as_ref().is_some_and(|file| self.reading.is_free(file, bytes));
        self.pieces.piece(free);
    }
}

/// Copies the files while `go_on` returns true. A job that was not started has no outcome.
fn copy_all(jobs: &[&Job], go_on: impl Fn() -> bool + Sync) -> Vec<Option<Outcome>> {
    // Quota reservations are sequential.
    let at_once = if jobs.iter().any(|job| job.storage.is_some()) { 1 } else { AT_ONCE };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    // One buffer for each thread.
    let buffers = Mutex::new(Vec::<Vec<u8>>::new());
    let spare = || buffers.lock().unwrap_or_else(PoisonError::into_inner);
    parallel::share(jobs.len(), processors.min(at_once), &go_on, |index| {
        let buffer = spare().pop();
        let mut buffer = buffer.unwrap_or_else(|| vec![0; COPY_BYTES]);
        let outcome = jobs[index].copy(&mut buffer, &go_on);
        spare().push(buffer);
        outcome
    })
}

impl Job {
    fn copy(&self, buffer: &mut [u8], go_on: &(impl Fn() -> bool + Sync)) -> Outcome {
        let on_source = |error: io::Error| failure(&error, &self.name);
        let mut work = Work {
            pieces: self.monitor.piecework(),
            reading: &self.reading,
            file: None,
            admitted: 0,
        };
        let source = self.source.open_file(&self.name).map_err(on_source)?;
        let (metadata, seen) = system::look_at_source(&source).map_err(on_source)?;
        if metadata.kind != EntryKind::File {
            return refuse(ErrorCode::Changed, format!("{}: is no regular file", self.name));
        }
        if metadata.size > self.max_size {
            let message = format!("{}: is longer than {} bytes", self.name, self.max_size);
            return refuse(ErrorCode::Changed, message);
        }
        let room = self.storage.as_ref().map(|storage| storage.reserve_entry(0).map_err(no_room));
        let room = room.transpose()?;
        let on_target = |error: io::Error| failure(&error, &self.target_name);
        let copy = match &self.attributes {
            Some(attributes) => self.target.create_copy(&self.target_name, &source, attributes),
            None => self.target.create_file(&self.target_name),
        };
        let copy = Arc::new(copy.map_err(on_target)?);
        if let (Some(storage), Some(room)) = (&self.storage, room) {
            storage.opened(&copy);
            room.keep();
        }
        work.file = Some(seen);
        // Opening and creating files counts as computing.
        work.pieces.piece(false);
        work.admit(metadata.size.saturating_mul(1 + u64::from(self.verify)));
        let filled = self.fill(&source, &copy, metadata.size, buffer, go_on, &mut work);
        let filled = filled.and_then(|digest| {
            if self.verify {
                read_back(&copy, metadata.size, digest, buffer, go_on, &mut work)?;
            }
            let modified = exact_time(&source, metadata.modified)
                .unwrap_or_else(|| system_time(metadata.modified));
            copy.set_times(FileTimes::new().set_modified(modified)).map_err(on_target)?;
            if self.attributes.is_none() {
                keep_mode(&copy, metadata.mode).map_err(on_target)?;
            }
            Ok(digest)
        });
        match filled {
            Ok(digest) => {
                let stored = self.storage.is_some();
                Ok(Copied { source: metadata, digest, copy, stored })
            }
            Err(error) => {
                self.remove(&copy);
                Err(error)
            }
        }
    }

    fn reserve(&self, bytes: u64) -> Result<(), types::Error> {
        let reserved = self.storage.as_ref().map(|storage| storage.reserve(bytes));
        reserved.unwrap_or(Ok(())).map_err(no_room)
    }

    /// Removes a failed copy, unless the name refers to another file by now.
    fn remove(&self, copy: &File) {
        let made = system::file_metadata(copy).map(|made| (made.device_id, made.file_id));
        let there = self.target.stat(&self.target_name);
        let there = there.map(|there| (there.device_id, there.file_id));
        if let (Ok(made), Ok(there)) = (made, there)
            && made == there
        {
            let _ = self.target.remove_file(&self.target_name);
            if let Some(storage) = &self.storage {
                storage.loosened();
            }
        }
    }

    /// Copies the content and returns its digest.
    fn fill(
        &self,
        source: &File,
        copy: &File,
        size: u64,
        buffer: &mut [u8],
        go_on: &impl Fn() -> bool,
        work: &mut Work<'_>,
    ) -> Result<blake3::Hash, types::Error> {
        let on_target = |error: io::Error| failure(&error, &self.target_name);
        let mut hasher = blake3::Hasher::new();
        let mut done = 0;
        // Bytes for the storage are reserved before they are written.
        let mut by_system = self.storage.is_none();
        let mut holes = Holes::new(source, size, by_system);
        while done <= size {
            check(go_on)?;
            // At the end, one more byte is requested, to detect growth.
            let rest = (size - done).max(1);
            let data = match holes.pass(source, copy, &mut hasher, rest).map_err(on_target)? {
                Part::Hole(passed) => {
                    done += passed;
                    work.done(passed);
                    continue;
                }
                Part::Data(data) => data,
            };
            if by_system {
                let copied = copy_in_system(source, copy, &mut hasher, data).map_err(on_target)?;
                // The data between two holes may be too short for a system copy.
                by_system = copied.is_some() || data < rest;
                if let Some(copied) = copied {
                    done += copied;
                    work.done(copied);
                    continue;
                }
            }
            let piece = usize::try_from(data).unwrap_or(COPY_BYTES).min(buffer.len());
            let read = read_piece(source, &mut buffer[..piece])
                .map_err(|error| failure(&error, &self.name))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            done += read as u64;
            self.reserve(read as u64)?;
            (&mut &*copy).write_all(&buffer[..read]).map_err(on_target)?;
            work.done(read as u64);
        }
        match done == size {
            true => Ok(hasher.finalize()),
            false => refuse(ErrorCode::Changed, format!("{}: its length changed", self.name)),
        }
    }
}

fn check(go_on: &impl Fn() -> bool) -> Result<(), types::Error> {
    if go_on() { Ok(()) } else { ended() }
}

/// Returns the error of a terminated session. The plugin does not receive it.
fn ended<T>() -> Result<T, types::Error> {
    refuse(ErrorCode::Failed, "the plugin is terminated".to_owned())
}

/// Verifies that the written content reads back unchanged, and leaves the position at its end.
fn read_back(
    mut copy: &File,
    size: u64,
    digest: blake3::Hash,
    buffer: &mut [u8],
    go_on: &impl Fn() -> bool,
    work: &mut Work<'_>,
) -> Result<(), types::Error> {
    let on_copy = |error: io::Error| failure(&error, "reading back");
    let mut hasher = blake3::Hasher::new();
    copy.seek(SeekFrom::Start(0)).map_err(on_copy)?;
    // Another process may keep writing to the file.
    while hasher.count() <= size {
        check(go_on)?;
        match read_piece(copy, buffer).map_err(on_copy)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                work.done(read as u64);
            }
        }
    }
    match hasher.finalize() == digest {
        true => Ok(()),
        false => refuse(
            ErrorCode::InputOutput,
            "what was written reads back differently; check the disk".to_owned(),
        ),
    }
}

/// Sets the permission bits of the source on a copy. This process owns the copy, so a failure means
/// that the file system has no permissions.
fn keep_mode(copy: &File, mode: Option<u32>) -> io::Result<()> {
    match mode.map_or(Ok(()), |mode| system::set_mode(copy, mode & 0o777)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}

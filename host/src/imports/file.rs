//! The resource `file` of the `directories` interface: an open regular file.

use std::io::Write;
use std::sync::Arc;

use wasmtime::component::Resource;

use super::answer::{Answer, failure, no_room, refuse, wit_metadata};
use crate::bindings::{directories as wit, types};
use crate::fs::copy_range::copy_in_system;
use crate::fs::file::{COPY_BYTES, File, read_piece};
use crate::fs::holes::{Holes, Part};
use crate::fs::metadata::system_time;
use crate::fs::system::{self, look_at_file};
use crate::state::ParkedCtx;
use crate::storage::Storage;
use crate::types::ErrorCode;

/// The maximum number of bytes that one call of `read` returns.
const READ_BYTES: u32 = 1 << 20;

/// Checks that the file is open for writing.
pub(super) fn writable(file: &File) -> Result<(), types::Error> {
    match file.writable {
        true => Ok(()),
        false => refuse(ErrorCode::AccessDenied, "the file is open for reading".to_owned()),
    }
}

impl wit::HostFile for ParkedCtx<'_> {
    fn metadata(&mut self, this: Resource<File>) -> Answer<wit::EntryMetadata> {
        self.enter("file.metadata")?;
        let file = self.table.get(&this)?;
        Ok(system::file_metadata(&file.file)
            .map(wit_metadata)
            .map_err(|error| failure(&error, "the file")))
    }

    fn read(&mut self, this: Resource<File>, len: u32) -> Answer<Vec<u8>> {
        self.enter("file.read")?;
        let file = self.table.get_mut(&this)?;
        let len = usize::try_from(len.min(READ_BYTES)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        Ok(match read_piece(&file.file, &mut bytes) {
            Ok(read) => {
                bytes.truncate(read);
                Ok(bytes)
            }
            Err(error) => Err(failure(&error, "reading")),
        })
    }

    fn write(&mut self, this: Resource<File>, bytes: Vec<u8>) -> Answer<()> {
        self.enter("file.write")?;
        let file = self.table.get(&this)?;
        let (allowed, stored) = (writable(file), file.stored);
        if let Err(error) = allowed.and_then(|()| self.reserve(stored, bytes.len() as u64)) {
            return Ok(Err(error));
        }
        let file = self.table.get_mut(&this)?;
        Ok((&*file.file).write_all(&bytes).map_err(|error| failure(&error, "writing")))
    }

    fn hash(&mut self, this: Resource<File>, len: u64) -> Answer<u64> {
        self.enter("file.hash")?;
        let mut buffer = std::mem::take(&mut self.copy_buffer);
        buffer.resize(COPY_BYTES, 0);
        let mut done = 0;
        let mut outcome = Ok(());
        let (monitor, reading) = (Arc::clone(&self.monitor), self.reading.clone());
        let apart = monitor.apart();
        let mut work = monitor.piecework();
        let seen = look_at_file(&self.table.get(&this)?.file);
        let is_free = |bytes| seen.as_ref().is_ok_and(|seen| reading.is_free(seen, bytes));
        while done < len {
            self.check_ended()?;
            let piece = usize::try_from(len - done).unwrap_or(COPY_BYTES).min(COPY_BYTES);
            let file = self.table.get_mut(&this)?;
            match read_piece(&file.file, &mut buffer[..piece]) {
                Ok(0) => break,
                Ok(read) => {
                    file.hasher.update(&buffer[..read]);
                    done += read as u64;
                    work.piece(is_free(read as u64));
                }
                Err(error) => {
                    outcome = Err(failure(&error, "reading"));
                    break;
                }
            }
        }
        drop(apart);
        self.copy_buffer = buffer;
        Ok(outcome.map(|()| done))
    }

    fn copy_from(&mut self, this: Resource<File>, source: Resource<File>, len: u64) -> Answer<u64> {
        self.enter("file.copy-from")?;
        if this.rep() == source.rep() {
            return Ok(refuse(
                ErrorCode::InvalidArgument,
                "a file cannot be copied from itself".to_owned(),
            ));
        }
        let mut buffer = std::mem::take(&mut self.copy_buffer);
        buffer.resize(COPY_BYTES, 0);
        let mut done = 0;
        let target = self.table.get(&this)?;
        let (mut outcome, stored) = (writable(target), target.stored);
        let storage = self.storage.as_ref().filter(|_| stored).map(Storage::for_copies);
        // Bytes for the storage are reserved before they are written.
        let mut by_system = !stored;
        let (monitor, reading) = (Arc::clone(&self.monitor), self.reading.clone());
        let apart = monitor.apart();
        let mut work = monitor.piecework();
        let seen = look_at_file(&self.table.get(&source)?.file);
        let is_free = |bytes| seen.as_ref().is_ok_and(|seen| reading.is_free(seen, bytes));
        let mut holes = Holes::new(&self.table.get(&source)?.file, u64::MAX, !stored);
        while outcome.is_ok() && done < len {
            self.check_ended()?;
            let to = Arc::clone(&self.table.get(&this)?.file);
            let from = self.table.get_mut(&source)?;
            let data = match holes.pass(&from.file, &to, &mut from.hasher, len - done) {
                Ok(Part::Hole(passed)) => {
                    done += passed;
                    work.piece(is_free(passed));
                    continue;
                }
                Ok(Part::Data(data)) => data,
                Err(error) => {
                    outcome = Err(failure(&error, "copying"));
                    break;
                }
            };
            if by_system {
                match copy_in_system(&from.file, &to, &mut from.hasher, data) {
                    Ok(Some(copied)) => {
                        done += copied;
                        work.piece(is_free(copied));
                        continue;
                    }
                    // The data between two holes may be too short for a system copy.
                    Ok(None) => by_system = data < len - done,
                    Err(error) => {
                        outcome = Err(failure(&error, "copying"));
                        break;
                    }
                }
            }
            let piece = usize::try_from(data).unwrap_or(COPY_BYTES).min(COPY_BYTES);
            let read = match read_piece(&from.file, &mut buffer[..piece]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => {
                    outcome = Err(failure(&error, "reading"));
                    break;
                }
            };
            from.hasher.update(&buffer[..read]);
            let room = storage.as_ref().map_or(Ok(()), |storage| storage.reserve(read as u64));
            outcome = room.map_err(no_room);
            if outcome.is_err() {
                break;
            }
            let to = self.table.get_mut(&this)?;
            outcome =
                (&*to.file).write_all(&buffer[..read]).map_err(|error| failure(&error, "writing"));
            done += read as u64;
            work.piece(is_free(read as u64));
        }
        drop(apart);
        self.copy_buffer = buffer;
        Ok(outcome.map(|()| done))
    }

    fn digest(&mut self, this: Resource<File>) -> wasmtime::Result<Vec<u8>> {
        self.enter("file.digest")?;
        Ok(self.table.get(&this)?.hasher.finalize().as_bytes().to_vec())
    }

    fn set_modified(&mut self, this: Resource<File>, modified: i64) -> Answer<()> {
        self.enter("file.set-modified")?;
        let file = self.table.get(&this)?;
        let exact = file.exact.filter(|_| matches!(modified, i64::MIN | i64::MAX));
        let modified = exact.unwrap_or_else(|| system_time(modified));
        let times = std::fs::FileTimes::new().set_modified(modified);
        Ok(writable(file).and_then(|()| {
            file.file.set_times(times).map_err(|error| failure(&error, "setting times"))
        }))
    }

    fn set_mode(&mut self, this: Resource<File>, mode: u32) -> Answer<()> {
        self.enter("file.set-mode")?;
        let file = self.table.get(&this)?;
        Ok(writable(file).and_then(|()| {
            system::set_mode(&file.file, mode & 0o777)
                .map_err(|error| failure(&error, "setting permissions"))
        }))
    }

    fn flush(&mut self, this: Resource<File>) -> Answer<()> {
        self.enter("file.flush")?;
        let file = self.table.get(&this)?;
        Ok(writable(file).and_then(|()| {
            file.file.sync_all().map_err(|error| failure(&error, "flushing a file"))
        }))
    }

    fn drop(&mut self, this: Resource<File>) -> wasmtime::Result<()> {
        self.close(this)
    }
}

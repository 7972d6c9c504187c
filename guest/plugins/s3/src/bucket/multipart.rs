//! Sends large files in parts. The server puts them together when the file gets its name; until
//! then, nothing is visible. Unfinished uploads are recorded: the next run continues one if its
//! source did not change, and aborts it otherwise. Uploads of others are never touched.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read as _;

use syncmgr_engine::endpoint::{Endpoint, OpenRequest, Progress, Received, Transfer, changed};
use syncmgr_engine::seal;
use syncmgr_engine::tree::{Digest, join, split};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::http::{self, Request};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};
use uuid::Uuid;

use super::object::{seconds, stored};
use super::parts::{MAX_PARTS, Upload, part_request, stored_part};
use super::{Bucket, or_missing};
use crate::answer::is_unanswered;

/// The first bytes of the record: its type and version.
const MAGIC: &[u8; 16] = b"syncmgr-s3-upl\0\x01";
const MAX_RECORD: usize = 8 << 20;
/// The maximum size of a part in bytes, which is in memory.
const MAX_PART: u64 = 256 << 20;
const MIB: u64 = 1 << 20;

/// The sizes from which files are divided.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The maximum size in bytes of a file that is sent in one request.
    pub held: u64,
    /// The size of a part in bytes, unless the file is so large that it has too many.
    pub part: u64,
    /// The maximum size in bytes of an object that the server copies in one request.
    pub copy: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { held: 16 * MIB, part: 16 * MIB, copy: 5 << 30 }
    }
}

impl Sizes {
    /// Returns the size of the parts of a file.
    fn part_of(self, size: u64) -> Result<u64> {
        let part = match size.div_ceil(self.part) <= MAX_PARTS {
            true => self.part,
            false => size.div_ceil(MAX_PARTS).next_multiple_of(MIB),
        };
        match part <= MAX_PART {
            true => Ok(part),
            false => Err(Error::new(ErrorCode::NoSpace, "the file is larger than 2.5 TB")),
        }
    }

    /// Returns the number of parts of this size in flight.
    fn in_flight(self, part: u64) -> usize {
        if part > self.part { 1 } else { 2 }
    }
}

/// Unfinished uploads.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    all: Vec<Upload>,
    /// The ids of those of earlier runs.
    old: HashSet<String>,
}

impl Uploads {
    pub(super) fn load(storage: &Directory, id: Uuid) -> Self {
        let all: Vec<Upload> =
            seal::load(storage, &record(id), MAGIC, MAX_RECORD).unwrap_or_default();
        let old = all.iter().map(|upload| upload.id.clone()).collect();
        Self { all, old }
    }
}

fn record(id: Uuid) -> String {
    format!("{}.uploads", id.simple())
}

/// The parts of a file that is being sent.
#[derive(Default)]
struct Parts {
    hasher: blake3::Hasher,
    digests: Vec<Digest>,
    tags: Vec<String>,
    /// The number and the length of parts in flight.
    in_flight: VecDeque<(usize, u64)>,
    left: u64,
    stopped: Option<Interrupt>,
}

impl Bucket {
    /// Sends a file, which is not put together yet.
    pub(super) fn send_parts(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(Received, Upload), Interrupt> {
        let size = transfer.source.size;
        let part = self.sizes.part_of(size)?;
        let path = join(split(transfer.temp).0, transfer.name);
        let version =
            format!("{:?} {path} {} {:?} {part}", self.location, transfer.path, transfer.source);
        let source = blake3::hash(version.as_bytes()).to_hex().to_string();
        let known = self.uploads.all.iter().find(|upload| upload.path == path).cloned();
        let (mut upload, mut there) = (None, HashMap::new());
        if let Some(known) = known {
            let parts = match known.source == source {
                true => or_missing(self.list_parts(&known))?,
                false => None,
            };
            match parts {
                Some(parts) => {
                    self.uploads.old.remove(&known.id);
                    (upload, there) = (Some(known), parts);
                }
                None => self.abort(&known)?,
            }
        }
        let mut upload = match upload {
            Some(upload) => upload,
            None => {
                let modified = seconds(transfer.source.modified);
                let headers =
                    [("x-amz-meta-mtime", modified), ("x-amz-meta-source", source.clone())];
                let id = self.create_upload(&path, &headers)?;
                let upload = Upload { path, id, source, size, ..Upload::default() };
                self.uploads.all.push(upload.clone());
                self.save_uploads()?;
                upload
            }
        };
        match self.send_each(from, transfer, part, &mut upload, &there, progress) {
            Ok(digest) => Ok((Received { source: transfer.source, digest }, upload)),
            Err(Interrupt::Failed(error)) if !is_unanswered(&error) => {
                // Otherwise, the next run does that.
                let _ = self.abort(&upload);
                Err(error.into())
            }
            Err(interrupt) => Err(interrupt),
        }
    }

    /// Sends the parts that the server does not have. Returns the digest of the file.
    fn send_each(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        part: u64,
        upload: &mut Upload,
        there: &HashMap<usize, (String, u64)>,
        progress: &mut Progress<'_>,
    ) -> Result<Digest, Interrupt> {
        let open = OpenRequest { path: transfer.path, expected: Some(&transfer.source) };
        let content = from.open(&[open]).pop();
        let content = content.unwrap_or_else(|| Err(Error::failed("no result")))?;
        if !content.metadata.fingerprint.is_still(&transfer.source) {
            return Err(changed("the file").into());
        }
        let reader = RefCell::new(content.reader);
        let parts = RefCell::new(Parts { left: transfer.source.size, ..Parts::default() });
        let progress = RefCell::new(progress);
        let known = upload.digests.clone();
        let sent = upload.clone();
        let (location, in_flight) =
            (self.location.object(&upload.path), self.sizes.in_flight(part));
        let next = || -> Result<Option<Request<'static>>, Interrupt> {
            loop {
                let parts = &mut *parts.borrow_mut();
                if parts.left == 0 || parts.stopped.is_some() {
                    return Ok(None);
                }
                let length = parts.left.min(part);
                let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
                let read = (&mut *reader.borrow_mut()).take(length).read_to_end(&mut bytes);
                if read.map_err(http::interrupt)? as u64 != length {
                    return Err(changed("the file").into());
                }
                parts.hasher.update(&bytes);
                let digest = *blake3::hash(&bytes).as_bytes();
                let number = parts.digests.len() + 1;
                parts.digests.push(digest);
                parts.left -= length;
                match there.get(&number) {
                    Some((tag, size))
                        if *size == length && known.get(number - 1) == Some(&digest) =>
                    {
                        parts.tags.push(tag.clone());
                        (progress.borrow_mut())(length)?;
                    }
                    Some(_) | None => {
                        parts.tags.push(String::new());
                        parts.in_flight.push_back((number, length));
                        return Ok(Some(part_request(&location, &sent, number, bytes)));
                    }
                }
            }
        };
        let requests = std::iter::from_fn(|| {
            next().unwrap_or_else(|interrupt| {
                parts.borrow_mut().stopped = Some(interrupt);
                None
            })
        });
        http::send_all(requests, in_flight, |_, response| {
            let tag = stored_part(stored(response))?;
            let (number, length) = parts.borrow_mut().in_flight.pop_front().unwrap_or((1, 0));
            parts.borrow_mut().tags[number - 1] = tag;
            // Without the digest, the next run sends the part again.
            upload.digests.resize(number.max(upload.digests.len()), Digest::default());
            upload.digests[number - 1] = parts.borrow().digests[number - 1];
            if let Some(known) = self.uploads.all.iter_mut().find(|one| one.id == upload.id) {
                known.clone_from(upload);
            }
            self.save_uploads()?;
            (progress.borrow_mut())(length)
        })?;
        let parts = parts.into_inner();
        if let Some(stopped) = parts.stopped {
            return Err(stopped);
        }
        if reader.into_inner().read(&mut [0]).map_err(http::interrupt)? > 0 {
            return Err(changed("the file").into());
        }
        upload.tags = parts.tags;
        Ok(*parts.hasher.finalize().as_bytes())
    }

    /// Aborts an upload, and forgets it.
    pub(super) fn abort(&mut self, upload: &Upload) -> Result<()> {
        self.abort_upload(upload)?;
        self.forget(upload);
        Ok(())
    }

    pub(super) fn forget(&mut self, upload: &Upload) {
        self.uploads.all.retain(|known| known.id != upload.id);
        // A record that remains is one of an upload that does not exist.
        let _ = self.save_uploads();
    }

    fn save_uploads(&self) -> Result<()> {
        seal::store(&self.storage, &record(self.id), MAGIC, &self.uploads.all)
    }

    /// Aborts the uploads of earlier runs that this run has not continued.
    pub(super) fn abort_old_uploads(&mut self) -> Vec<(&'static str, String, Error)> {
        let is_old = |upload: &&Upload| self.uploads.old.contains(&upload.id);
        let old: Vec<_> = self.uploads.all.iter().filter(is_old).cloned().collect();
        let failed = old.into_iter().filter_map(|upload| {
            let error = self.abort(&upload).err()?;
            Some(("abort an unfinished upload of", upload.path, error))
        });
        failed.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_and_the_size_of_parts_are_limited() {
        let sizes = Sizes::default();
        for (size, part) in [
            (1, Some(sizes.part)),
            (sizes.part * MAX_PARTS, Some(sizes.part)),
            (sizes.part * MAX_PARTS + 1, Some(sizes.part + MIB)),
            (MAX_PART * MAX_PARTS, Some(MAX_PART)),
            (MAX_PART * MAX_PARTS + 1, None),
            (u64::MAX, None),
        ] {
            assert_eq!(sizes.part_of(size).ok(), part, "{size} bytes");
        }
    }
}

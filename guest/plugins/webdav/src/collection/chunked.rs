//! Sends large files in chunks, with version 2 of the protocol of Nextcloud and ownCloud. The
//! server assembles them in the staging collection, where the size of the result is checked. A file
//! whose upload was interrupted is continued by the next run, unless it changed.

use std::collections::HashMap;
use std::io::Read as _;

use syncmgr_engine::endpoint::{Endpoint, Progress, Received, Transfer, changed};
use syncmgr_engine::tree::{Digest, join};
use syncmgr_plugin::directories::{Directory, File};
use syncmgr_plugin::http::Request;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::listing::{PROPFIND, propfind_at, read};
use super::relocate::deleted;
use super::transfer::{TOO_LARGE, staged_name};
use super::{Collection, request};
use crate::answer::expect;

/// The path of synced collections, which a name of a user and the path of the collection follow.
const FILES: &str = "/remote.php/dav/files/";
/// The path of uploads, which the name of the user follows.
const UPLOADS: &str = "/remote.php/dav/uploads/";
/// The maximum number of chunks that are used of the 10,000 that are possible.
const MAX_CHUNKS: u64 = 9_000;
/// The maximum size of a chunk in bytes, which is in memory.
const MAX_CHUNK: u64 = 64 << 20;
/// The length of a line of the record.
const LINE: usize = 65;

/// The sizes of chunks.
#[derive(Clone, Copy, Debug)]
pub struct Chunks {
    /// The size in bytes from which a file is sent in chunks.
    pub from: u64,
    /// The size of a chunk in bytes, unless the file is so large that it has too many. Nextcloud
    /// accepts 5 MiB to 5 GiB.
    pub size: u64,
}

impl Chunks {
    /// Returns the size of the chunks of a file of `size` bytes; `None`: it is sent in one request.
    fn of(self, size: u64) -> Option<u64> {
        let chunk = self.size.max(size.div_ceil(MAX_CHUNKS)).max(1);
        (size >= self.from && chunk <= MAX_CHUNK).then_some(chunk)
    }
}

impl Default for Chunks {
    fn default() -> Self {
        Self { from: 64 << 20, size: 10 << 20 }
    }
}

/// How large files are sent.
#[derive(Debug)]
pub struct Chunked {
    /// The URL of the uploads of the user, which ends with `/`.
    uploads: String,
    chunks: Chunks,
    /// Where the upload in progress is recorded.
    storage: Directory,
    /// The name of the file there.
    record: String,
}

impl Chunked {
    /// Uses chunks for a collection whose URL is that of a Nextcloud or ownCloud server. `record`
    /// is the name of a file in the storage. Returns `None` for other servers, and if the granted
    /// URL does not cover the uploads.
    pub fn find(
        granted: &str,
        root: &str,
        chunks: Chunks,
        storage: Directory,
        record: &str,
    ) -> Option<Self> {
        let uploads = uploads(granted, root)?;
        Some(Self { uploads, chunks, storage, record: record.to_owned() })
    }

    /// Reads the record: the id of an upload, and the digests of the chunks that were sent.
    fn load(&self) -> Option<(String, Vec<String>)> {
        let file = self.storage.open_file(&self.record).ok()?;
        let bytes = file.read_to_end(LINE * (2 + usize::try_from(MAX_CHUNKS).ok()?)).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        // A line that was not written completely is one of another length.
        let mut lines = text.split_inclusive('\n').filter(|line| line.len() == LINE);
        let id = lines.next()?.trim_end().to_owned();
        Some((id, lines.map(|line| line.trim_end().to_owned()).collect()))
    }

    /// Starts a record with these lines, and returns the file, to which others are appended.
    /// Replaces the old record at once: an interrupt loses neither.
    fn start(&self, lines: &str) -> Result<File> {
        let new = format!("{}.new", self.record);
        match self.storage.remove_file(&new) {
            Err(error) if error.code != ErrorCode::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = self.storage.create_file(&new)?;
        file.write(lines.as_bytes())?;
        self.storage.rename(&new, &self.storage, &self.record)?;
        Ok(file)
    }

    fn forget(&self) {
        // A record that remains is ignored, or replaced.
        let _ = self.storage.remove_file(&self.record);
    }
}

/// Returns the URL of the uploads of the user, if it is below the granted one.
fn uploads(granted: &str, root: &str) -> Option<String> {
    let (origin, path) = root.split_once(FILES)?;
    let user = path.split('/').next().filter(|user| !user.is_empty())?;
    let uploads = format!("{origin}{UPLOADS}{user}/");
    uploads.starts_with(&format!("{}/", granted.trim_end_matches('/'))).then_some(uploads)
}

/// An upload in progress.
struct Upload<'a> {
    /// The URL, which ends with `/`.
    url: String,
    /// The URL of the file that the chunks are for.
    target: String,
    transfer: &'a Transfer<'a>,
    /// The size of a chunk in bytes.
    chunk: u64,
    /// The digests of chunks that an earlier run has sent.
    known: Vec<String>,
    /// The sizes of chunks on the server, by name.
    there: HashMap<String, u64>,
}

impl Upload<'_> {
    /// Returns a request of the upload: each one names the destination.
    fn request(&self, method: &str, name: &str) -> Request<'static> {
        request(method, &format!("{}{name}", self.url))
            .header("Destination", &self.target)
            .header("OC-Total-Length", &self.transfer.source.size.to_string())
            .safe_to_repeat()
    }
}

impl Collection {
    /// Sends a file in chunks; `None`: it is to be sent in one request.
    pub(super) fn upload_chunks(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Option<Received>, Interrupt> {
        let size = transfer.source.size;
        let Some(chunked) = &self.chunked else { return Ok(None) };
        let Some(chunk) = chunked.chunks.of(size) else { return Ok(None) };
        let id = self.upload_id(transfer, chunk);
        let old = chunked.load();
        let mut upload = Upload {
            url: format!("{}{id}/", chunked.uploads),
            target: self.file(&join(self.existing_staging()?, staged_name(transfer.temp))),
            transfer,
            chunk,
            known: Vec::new(),
            there: HashMap::new(),
        };
        match old {
            Some((known, digests)) if known == id => {
                upload.there = sizes_of_chunks(&upload.url)?;
                upload.known = digests;
            }
            // Otherwise, the server removes it after a day.
            Some((other, _)) if is_id(&other) => {
                let _ = deleted(request("DELETE", &format!("{}{other}/", chunked.uploads)).send());
            }
            Some(_) | None => {}
        }
        if upload.there.is_empty() {
            upload.known.clear();
            let names = [
                (405, ErrorCode::AlreadyExists, "the upload exists already"),
                (409, ErrorCode::NotFound, "the server has no collection for uploads"),
            ];
            match expect(upload.request("MKCOL", "").send(), &names) {
                Ok(_) => {}
                Err(Interrupt::Failed(error)) if error.code == ErrorCode::AlreadyExists => {}
                Err(Interrupt::Failed(error)) if is_refused(error.code) => {
                    self.chunked = None;
                    return Ok(None);
                }
                Err(interrupt) => return Err(interrupt),
            }
        }
        let sent = self.send_chunks(from, &upload, &id, progress);
        if let Err(Interrupt::Failed(error)) = &sent
            && matches!(error.code, ErrorCode::Changed | ErrorCode::NotFound)
        {
            // The rest of the file is another version, or the server has removed the upload.
            self.forget_upload(&upload);
        }
        let digest = sent?;
        self.assemble(&upload)?;
        if let Some(chunked) = &self.chunked {
            chunked.forget();
        }
        self.is_staged(transfer);
        Ok(Some(Received { source: transfer.source, digest }))
    }

    /// Returns the id of the upload of a version of a file.
    fn upload_id(&self, transfer: &Transfer<'_>, chunk: u64) -> String {
        let version = format!("{} {} {:?} {chunk}", self.root, transfer.path, transfer.source);
        blake3::hash(version.as_bytes()).to_hex().to_string()
    }

    /// Sends the chunks that the server does not have, and returns the digest of the file.
    fn send_chunks(
        &self,
        from: &mut dyn Endpoint,
        upload: &Upload<'_>,
        id: &str,
        progress: &mut Progress<'_>,
    ) -> Result<Digest, Interrupt> {
        let mut reader = upload.transfer.open(from)?.reader;
        // The lines that the file does not have. Without a record, the next run sends all chunks.
        let mut lines = format!("{id}\n");
        let mut record = None;
        let mut hasher = blake3::Hasher::new();
        let (mut left, mut number) = (upload.transfer.source.size, 0);
        while left > 0 {
            let mut chunk = Vec::new();
            let length = left.min(upload.chunk);
            let read = (&mut reader).take(length).read_to_end(&mut chunk);
            if read.map_err(syncmgr_plugin::http::interrupt)? as u64 != length {
                return Err(changed("the file").into());
            }
            hasher.update(&chunk);
            let digest = blake3::hash(&chunk).to_hex();
            let name = format!("{:05}", number + 1);
            let is_there = upload.there.get(&name) == Some(&length)
                && upload.known.get(number).is_some_and(|known| **known == *digest);
            if !is_there {
                let put = upload
                    .request("PUT", &name)
                    .header("Content-Type", "application/octet-stream")
                    .body(&chunk)
                    .send();
                self.explain_size(expect(put, &TOO_LARGE).map(drop), length)?;
            }
            lines.push_str(&digest);
            lines.push('\n');
            if !is_there {
                match (&record, &self.chunked) {
                    (None, Some(chunked)) => record = Some(chunked.start(&lines)),
                    (Some(Ok(file)), _) => {
                        // A line that is missing makes those after it useless, not wrong.
                        let _ = file.write(lines.as_bytes());
                    }
                    (Some(Err(_)), _) | (None, None) => {}
                }
                lines.clear();
            }
            progress(length)?;
            left -= length;
            number += 1;
        }
        match reader.read(&mut [0]).map_err(syncmgr_plugin::http::interrupt)? {
            0 => Ok(*hasher.finalize().as_bytes()),
            _ => Err(changed("the file").into()),
        }
    }

    /// Has the server assemble the chunks. After a lost answer, the size of the result decides.
    fn assemble(&self, upload: &Upload<'_>) -> Result<(), Interrupt> {
        let assemble = upload.request("MOVE", ".file").header("Overwrite", "F");
        let assemble = self.with_time(assemble, upload.transfer);
        let assembled = expect(assemble.send(), &TOO_LARGE).map(drop);
        let Err(Interrupt::Failed(error)) = assembled else { return assembled };
        let name = staged_name(upload.transfer.temp);
        let is_there = self.fingerprints(self.existing_staging()?).is_ok_and(|found| {
            found.get(name).is_some_and(|found| found.size == upload.transfer.source.size)
        });
        match is_there {
            true => Ok(()),
            false => {
                if error.code == ErrorCode::NotFound {
                    self.forget_upload(upload);
                }
                Err(error.into())
            }
        }
    }

    fn forget_upload(&self, upload: &Upload<'_>) {
        if let Some(chunked) = &self.chunked {
            chunked.forget();
        }
        // The server removes it after a day.
        let _ = deleted(request("DELETE", &upload.url).send());
    }
}

/// Returns whether a text is the id of an upload.
fn is_id(text: &str) -> bool {
    text.len() + 1 == LINE && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns whether the error means that the server has no such uploads.
fn is_refused(code: ErrorCode) -> bool {
    [ErrorCode::AccessDenied, ErrorCode::NotFound, ErrorCode::Failed].contains(&code)
}

/// Returns the sizes of the chunks of an upload, by name; none if it does not exist.
fn sizes_of_chunks(url: &str) -> Result<HashMap<String, u64>, Interrupt> {
    let mut sizes = HashMap::new();
    let found = read(propfind_at(url, "1", PROPFIND).send(), &mut |found| {
        if let (Some((_, name)), Some(size)) = (found.path.rsplit_once('/'), found.size) {
            sizes.insert(name.to_owned(), size);
        }
        Ok(())
    });
    match found {
        Err(Interrupt::Failed(Error { code: ErrorCode::NotFound, .. })) => Ok(HashMap::new()),
        found => found.map(|()| sizes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_and_the_size_of_chunks_are_limited() {
        let chunks = Chunks::default();
        for (size, chunk) in [
            (0, None),
            (chunks.from - 1, None),
            (chunks.from, Some(chunks.size)),
            (chunks.size * MAX_CHUNKS, Some(chunks.size)),
            (chunks.size * MAX_CHUNKS + 1, Some(chunks.size + 1)),
            (MAX_CHUNK * MAX_CHUNKS, Some(MAX_CHUNK)),
            (MAX_CHUNK * MAX_CHUNKS + 1, None),
            (u64::MAX, None),
        ] {
            assert_eq!(chunks.of(size), chunk, "{size} bytes");
        }
    }

    #[test]
    fn uploads_are_used_if_the_grant_covers_them() {
        let dav = "https://c.example/remote.php/dav";
        for (granted, root, expected) in [
            ("https://c.example/remote.php/dav", "files/me/docs/", Some("uploads/me/")),
            ("https://c.example/", "files/me/", Some("uploads/me/")),
            ("https://c.example/remote.php/dav/files/me/docs/", "files/me/docs/", None),
            ("https://c.example/remote.php/dav/up", "files/me/docs/", None),
            ("https://c.example/", "files/", None),
            ("https://c.example/", "calendars/me/", None),
        ] {
            let expected = expected.map(|path| format!("{dav}/{path}"));
            assert_eq!(uploads(granted, &format!("{dav}/{root}")), expected, "{granted} {root}");
        }
    }
}

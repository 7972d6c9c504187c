//! Sends files. Small ones are kept in memory until they get their names: an object appears with
//! its name, in one request.

use syncmgr_engine::endpoint::{Endpoint, Metadata, Progress, Received, Rename, Transfer, changed};
use syncmgr_engine::tree::{Digest, Fingerprint, join, split};
use syncmgr_plugin::http::Request;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::object::{Object, Place, seconds, stored, with};
use super::parts::Upload;
use super::{Bucket, send_all};
use crate::answer::{is_unanswered, used};

/// A file that has no name yet.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) digest: Digest,
    /// The modification time of the source, in ns since 1970.
    modified: i64,
    pub(super) content: Sent,
}

/// Where the content of a file is.
#[derive(Debug)]
pub(super) enum Sent {
    Here(Vec<u8>),
    /// On the server, in parts.
    Parts(Box<Upload>),
}

impl Staged {
    /// Returns its size in bytes.
    pub(super) fn size(&self) -> u64 {
        match &self.content {
            Sent::Here(content) => content.len() as u64,
            Sent::Parts(upload) => upload.size,
        }
    }

    /// Returns the number of its bytes in memory.
    fn held(&self) -> u64 {
        match &self.content {
            Sent::Here(content) => content.len() as u64,
            Sent::Parts(_) => 0,
        }
    }

    fn source(&self) -> Option<&str> {
        match &self.content {
            Sent::Here(_) => None,
            Sent::Parts(upload) => Some(&upload.source),
        }
    }
}

impl Bucket {
    /// Reads a file of the other side, and sends it already if it is large.
    pub(super) fn stage(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        let held: u64 = self.staged.values().map(Staged::held).sum();
        let size = transfer.source.size;
        let (received, content) =
            match size <= self.sizes.held && held + size <= 2 * self.sizes.held {
                true => {
                    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
                    let received = transfer.read(from, progress, |part| {
                        content.extend_from_slice(part);
                        Ok(())
                    })?;
                    (received, Sent::Here(content))
                }
                false => {
                    let (received, upload) = self.send_parts(from, transfer, progress)?;
                    (received, Sent::Parts(Box::new(upload)))
                }
            };
        let modified = received.source.modified;
        let staged = Staged { digest: received.digest, modified, content };
        self.staged.insert(transfer.temp.to_owned(), staged);
        Ok(received)
    }

    /// Removes a file without its name, or one that a run has left.
    pub(super) fn discard(&mut self, path: &str) -> Result<()> {
        match self.staged.remove(path).map(|staged| staged.content) {
            Some(Sent::Here(_)) => Ok(()),
            Some(Sent::Parts(upload)) => self.abort(&upload),
            // A run has left it, or a marker of its name.
            None => self.delete(&format!("{path}/")).and_then(|()| self.delete(path)),
        }
    }

    /// Gives files their names.
    pub(super) fn name_all(&mut self, renames: &[Rename<'_>]) -> Vec<Result<Option<Metadata>>> {
        let targets: Vec<_> =
            renames.iter().map(|rename| join(split(rename.path).0, rename.to)).collect();
        let conditions = self.conditions(renames, &targets);
        let mut results: Vec<Result<Option<Metadata>>> = Vec::new();
        let (mut puts, mut requests, mut completions) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (rename, condition)) in renames.iter().zip(conditions).enumerate() {
            results.push(Ok(None));
            match (condition, self.staged.get(rename.path)) {
                (Err(error), _) => results[at] = Err(error),
                (Ok(_), None) => completions.push((at, Vec::new())),
                (Ok(condition), Some(staged)) => match &staged.content {
                    Sent::Here(content) => {
                        let put = self.put(&targets[at], staged).body(content);
                        requests.push(with(put, &condition));
                        puts.push(at);
                    }
                    Sent::Parts(_) => completions.push((at, condition)),
                },
            }
        }
        let sent = send_all(requests, |_, response| stored(response));
        let mut tags: Vec<_> = puts.into_iter().zip(sent).collect();
        for (at, condition) in completions {
            let path = renames[at].path;
            let upload = match self.staged.get(path).map(|staged| &staged.content) {
                Some(Sent::Parts(upload)) => Upload::clone(upload),
                Some(Sent::Here(_)) | None => {
                    results[at] = self.move_file(path, &targets[at]).map(Some);
                    continue;
                }
            };
            tags.push((at, self.complete(&upload, &condition)));
        }
        for (at, sent) in &mut tags {
            if renames[*at].replaces.is_none() && self.is_refused(sent, &targets[*at]) {
                *sent = self.send_new(&targets[*at], &self.staged[renames[*at].path]);
            }
        }
        self.settle(renames, &targets, tags, &mut results);
        results
    }

    /// Returns the headers with which each name is only used as planned.
    fn conditions(
        &mut self,
        renames: &[Rename<'_>],
        targets: &[String],
    ) -> Vec<Result<Vec<(&'static str, String)>>> {
        let server = self.server.clone().unwrap_or_default();
        let is_weak = |rename: &Rename<'_>| {
            let staged = self.staged.get(rename.path);
            let in_parts = staged.is_some_and(|staged| staged.source().is_some());
            let known = if rename.replaces.is_some() {
                server.replaces_expected
            } else {
                server.creates_new
            };
            !known || (in_parts && !server.completes_expected)
        };
        let weak: Vec<_> = renames.iter().map(is_weak).collect();
        let checked: Vec<_> = (0..renames.len()).filter(|at| weak[*at]).collect();
        let paths: Vec<_> = checked.iter().map(|at| &*targets[*at]).collect();
        // Remembered for `expected`.
        let mut found = self.find(&paths).into_iter();
        let mut conditions = Vec::with_capacity(renames.len());
        for (at, rename) in renames.iter().enumerate() {
            let found = if weak[at] { found.next() } else { None };
            conditions.push(match (rename.replaces, found) {
                (None, Some(Ok(Place::Object(_) | Place::Directory))) => Err(used()),
                (_, Some(Err(error))) => Err(error),
                (None, Some(Ok(Place::Nothing)) | None) => {
                    let is_known = server.creates_new;
                    Ok(is_known.then(|| ("If-None-Match", "*".to_owned())).into_iter().collect())
                }
                (Some(expected), Some(Ok(_)) | None) => {
                    self.expected(&targets[at], expected).map_err(gone).map(|object| {
                        let is_known = server.replaces_expected && !object.tag.is_empty();
                        let condition = || ("If-Match", format!("\"{}\"", object.tag));
                        is_known.then(condition).into_iter().collect()
                    })
                }
            });
        }
        conditions
    }

    /// Creates an object without a condition.
    fn send_new(&self, path: &str, staged: &Staged) -> Result<String> {
        match &staged.content {
            Sent::Here(content) => stored(self.put(path, staged).body(content).send()),
            Sent::Parts(upload) => self.complete(upload, &[]),
        }
    }

    /// Returns the request that creates or replaces an object.
    fn put(&self, path: &str, staged: &Staged) -> Request<'static> {
        self.request("PUT", path)
            .header("Content-Type", "application/octet-stream")
            .header("x-amz-meta-mtime", &seconds(staged.modified))
            .header("x-amz-meta-blake3", &blake3::Hash::from_bytes(staged.digest).to_hex())
    }

    /// Finds out which objects have the names now. After a lost answer, the object may be the one
    /// that was sent. One that another client has stored since is not taken for it.
    fn settle(
        &mut self,
        renames: &[Rename<'_>],
        targets: &[String],
        tags: Vec<(usize, Result<String>)>,
        results: &mut [Result<Option<Metadata>>],
    ) {
        let is_unclear = |sent: &Result<String>| match sent {
            Ok(_) => true,
            Err(error) => {
                is_unanswered(error)
                    || [ErrorCode::Changed, ErrorCode::NotFound, ErrorCode::InputOutput]
                        .contains(&error.code)
            }
        };
        let unclear: Vec<_> =
            tags.iter().filter(|(_, sent)| is_unclear(sent)).map(|(at, _)| *at).collect();
        let paths: Vec<_> = unclear.iter().map(|at| &*targets[*at]).collect();
        let mut found = self.find(&paths).into_iter();
        for (at, sent) in tags {
            let found = if is_unclear(&sent) { found.next() } else { None };
            let Some(staged) = self.staged.get(renames[at].path) else { continue };
            let (size, digest, source) =
                (staged.size(), staged.digest, staged.source().map(str::to_owned));
            let sent_tag = sent.clone().unwrap_or_default();
            let is_sent = |object: &Object| {
                let has_tag = !sent_tag.is_empty() && sent_tag == object.tag;
                has_tag && object.metadata.fingerprint.size == size
                    || object.is_sent(size, &digest, source.as_deref())
            };
            let object = match found {
                Some(Ok(Place::Object(object))) => Ok(Some(object)),
                Some(Ok(Place::Nothing | Place::Directory)) | None => Ok(None),
                Some(Err(error)) => Err(error),
            };
            // A listing has no metadata.
            let is_ours = |object: &Object| {
                is_sent(object)
                    || self.head(&targets[at]).is_ok_and(|head| {
                        head.is_some_and(|head| {
                            is_sent(&head) && head.is_still(&object.metadata.fingerprint)
                        })
                    })
            };
            results[at] = match (object, sent) {
                (Ok(Some(object)), _) if is_ours(&object) => Ok(Some(object.metadata)),
                (Ok(Some(object)), Ok(tag)) if object.tag == tag => {
                    // The next run sends it again.
                    let _ = self.delete_expected(&targets[at], &object);
                    let stored = object.metadata.fingerprint.size;
                    let message = format!("the server stored {stored} of {size} bytes");
                    Err(Error::failed(message))
                }
                // Another client has replaced it, which the next run sees.
                (Ok(Some(_)), Ok(tag)) => {
                    Ok(Some(Metadata::file(Fingerprint::of_version(size, 0, &tag))))
                }
                (Ok(None), Ok(_)) => Err(changed("it")),
                (Err(error), Ok(_)) => Err(error),
                (_, Err(error)) => Err(match (error.code, renames[at].replaces.is_some()) {
                    (ErrorCode::Changed | ErrorCode::NotFound, true) => changed("it"),
                    (ErrorCode::Changed, false) => used(),
                    // Otherwise, it would be that of a name that the side refuses.
                    (ErrorCode::NotFound | ErrorCode::InputOutput, _) => {
                        Error::failed(error.message)
                    }
                    _ => error,
                }),
            };
            if results[at].is_ok() {
                if renames[at].replaces.is_none() {
                    self.directories.add(&targets[at]).has_new_file = true;
                }
                if let Some(Staged { content: Sent::Parts(upload), .. }) =
                    self.staged.remove(renames[at].path)
                {
                    self.forget(&upload);
                }
            }
        }
    }
}

/// Returns the error for an object to replace that does not exist.
fn gone(error: Error) -> Error {
    if error.code == ErrorCode::NotFound { changed("it") } else { error }
}

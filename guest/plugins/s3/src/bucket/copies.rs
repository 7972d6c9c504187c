//! Copies objects on the server.

use syncmgr_engine::endpoint::without_cancellation;
use syncmgr_plugin::http::{Request, Response};
use syncmgr_plugin::{ErrorCode, Interrupt, Result};

use super::object::{Object, tag};
use super::parts::Upload;
use super::{Bucket, send_all};
use crate::answer::{expect, missing};
use crate::xml;

/// An object to copy: its path, the path of the copy, and its version.
pub(super) type Copy<'a> = (&'a str, String, &'a Object);

impl Bucket {
    /// Copies objects. Returns the version tags of the copies. Those that are `new` replace nothing,
    /// where the server can do that.
    pub(super) fn copy_all(&self, copies: &[Copy<'_>], are_new: bool) -> Vec<Result<String>> {
        let mut results = self.copy_each(copies, are_new);
        for (copy, result) in copies.iter().zip(&mut results) {
            if are_new && self.is_refused(result, &copy.1) {
                *result = self.copy_each(std::slice::from_ref(copy), false).remove(0);
            }
        }
        results
    }

    /// Copies objects. Returns one result for each.
    fn copy_each(&self, copies: &[Copy<'_>], are_new: bool) -> Vec<Result<String>> {
        let is_small = |(.., object): &&Copy<'_>| object.size() <= self.sizes.copy;
        let requests = copies.iter().filter(is_small).map(|copy| {
            let request = self.copy_request(&self.location.object(&copy.1), copy).body(b"");
            match are_new && self.server.as_ref().is_some_and(|server| server.copies_new) {
                true => request.header("If-None-Match", "*"),
                false => request,
            }
        });
        let small =
            send_all(requests.collect(), |_, response| copied(response, "CopyObjectResult"));
        let mut small = small.into_iter();
        let mut results = Vec::with_capacity(copies.len());
        for copy in copies {
            results.push(match is_small(&copy) {
                true => small.next().unwrap_or_else(|| Err(missing())),
                false => self.copy_parts(copy, are_new),
            });
        }
        results
    }

    /// Returns whether the server refused a new object although nothing has its key: seaweedfs
    /// keeps the name of an emptied directory.
    pub(super) fn is_refused<T>(&self, result: &Result<T>, path: &str) -> bool {
        result.as_ref().is_err_and(|error| error.code == ErrorCode::Changed)
            && matches!(self.head(path), Ok(None))
            && matches!(self.is_directory(path), Ok(false))
    }

    fn copy_request(&self, url: &str, (path, _, object): &Copy<'_>) -> Request<'static> {
        let copy =
            super::request("PUT", url).header("x-amz-copy-source", &self.location.source(path));
        match object.tag.as_str() {
            "" => copy,
            tag => copy.header("x-amz-copy-source-if-match", &format!("\"{tag}\"")),
        }
    }

    /// Copies an object that is too large for one request.
    fn copy_parts(&self, copy: &Copy<'_>, is_new: bool) -> Result<String> {
        let (path, to, object) = copy;
        let (size, step) = (object.size(), self.sizes.copy);
        let source = self.head(path)?.ok_or_else(missing)?;
        let id = self.create_upload(to, &source.headers())?;
        let mut upload = Upload { path: to.clone(), id, size, ..Upload::default() };
        let requests = (0..size.div_ceil(step)).map(|part| {
            let (start, end) = (part * step, ((part + 1) * step).min(size) - 1);
            let number = usize::try_from(part + 1).unwrap_or(usize::MAX);
            self.copy_request(&self.part_url(&upload, number), copy)
                .header("x-amz-copy-source-range", &format!("bytes={start}-{end}"))
                .body(b"")
        });
        let sent = send_all(requests.collect(), |_, response| copied(response, "CopyPartResult"));
        let condition = is_new.then(|| ("If-None-Match", "*".to_owned()));
        let completed = sent.into_iter().collect::<Result<_>>().and_then(|tags| {
            upload.tags = tags;
            self.complete(&upload, condition.as_slice())
        });
        completed.or_else(|error| match self.head(to) {
            // The answer was lost.
            Ok(Some(copy)) if copy.is_copy_of(&source) => Ok(copy.tag),
            Ok(_) | Err(_) => {
                // The server keeps an upload that cannot be aborted.
                let _ = self.abort_upload(&upload);
                Err(error)
            }
        })
    }
}

/// Returns the version tag of a copy. The status is 200 even after an error.
pub(super) fn copied(response: Result<Response, Interrupt>, root: &str) -> Result<String> {
    let response = without_cancellation(expect(response))?;
    let mut found = String::new();
    let read = xml::read(response, root, &mut |_, name, text| {
        if name == "ETag" {
            found = tag(text);
        }
        Ok(())
    });
    without_cancellation(read).map(|()| found)
}

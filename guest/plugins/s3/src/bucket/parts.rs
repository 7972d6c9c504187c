//! The requests of uploads in parts.

use std::collections::HashMap;
use std::io::Cursor;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use syncmgr_engine::endpoint::without_cancellation;
use syncmgr_engine::tree::Digest;
use syncmgr_plugin::http::Request;
use syncmgr_plugin::{Error, ErrorCode, Result};

use super::object::{stored, tag, with};
use super::{Bucket, or_missing, request};
use crate::answer::expect;
use crate::location::encode_value;
use crate::xml;

/// The maximum length of the id of an upload.
const MAX_ID: usize = 4_096;

/// The maximum number of parts of an upload.
pub(super) const MAX_PARTS: u64 = 10_000;

/// An upload in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) path: String,
    pub(super) id: String,
    /// Identifies the version of the file that is sent.
    pub(super) source: String,
    pub(super) size: u64,
    /// The digests of the parts that were sent, by number.
    pub(super) digests: Vec<Digest>,
    /// The version tags of all parts, once they were sent.
    #[serde(skip)]
    pub(super) tags: Vec<String>,
}

impl Bucket {
    /// Begins an upload, and returns its id. If the answer is lost, the server keeps an upload without
    /// parts, which cannot be attributed to this plugin.
    pub(super) fn create_upload(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<String> {
        let url = format!("{}?uploads", self.location.object(path));
        let create = request("POST", &url)
            .header("Content-Type", "application/octet-stream")
            .body(b"")
            .safe_to_repeat();
        let response = without_cancellation(expect(with(create, headers).send()))?;
        let mut id = String::new();
        let read = xml::read(response, "InitiateMultipartUploadResult", &mut |_, name, text| {
            if name == "UploadId" {
                text.clone_into(&mut id);
            }
            Ok(())
        });
        without_cancellation(read)?;
        match id.is_empty() || id.len() > MAX_ID {
            true => Err(Error::new(ErrorCode::InputOutput, "the server returned no upload")),
            false => Ok(id),
        }
    }

    pub(super) fn put_part(
        &self,
        upload: &Upload,
        number: usize,
        bytes: Vec<u8>,
    ) -> Result<String> {
        let url = self.location.object(&upload.path);
        stored_part(stored(part_request(&url, upload, number, bytes).send()))
    }

    /// Returns the tags and sizes of the parts that the server has.
    pub(super) fn list_parts(&self, upload: &Upload) -> Result<HashMap<usize, (String, u64)>> {
        let mut there = HashMap::new();
        let mut marker = String::new();
        loop {
            let url =
                format!("{}&part-number-marker={}", self.upload_url(upload), encode_value(&marker));
            let response = without_cancellation(expect(request("GET", &url).send()))?;
            let (mut number, mut found, mut size) = (0, String::new(), 0);
            let (mut is_truncated, mut next) = (false, String::new());
            let read = xml::read(response, "ListPartsResult", &mut |parent, name, text| {
                match (parent, name) {
                    ("Part", "PartNumber") => number = text.trim().parse().unwrap_or(0),
                    ("Part", "ETag") => found = tag(text),
                    ("Part", "Size") => size = text.trim().parse().unwrap_or(0),
                    ("ListPartsResult", "Part") => {
                        there.insert(number, (std::mem::take(&mut found), size));
                    }
                    ("ListPartsResult", "IsTruncated") => is_truncated = text.trim() == "true",
                    ("ListPartsResult", "NextPartNumberMarker") => text.clone_into(&mut next),
                    _ => {}
                }
                Ok(())
            });
            without_cancellation(read)?;
            if !is_truncated || next == marker || there.len() as u64 > MAX_PARTS {
                return Ok(there);
            }
            marker = next;
        }
    }

    /// Puts an upload together, under a condition. Returns the version tag.
    pub(super) fn complete(
        &self,
        upload: &Upload,
        condition: &[(&'static str, String)],
    ) -> Result<String> {
        let is_known = self.server.as_ref().is_some_and(|server| server.completes_expected);
        let condition = if is_known { condition } else { &[] };
        let response = expect(with(self.completion(upload), condition).send());
        let mut found = String::new();
        // The status may be 200 even after an error.
        let read = response.and_then(|response| {
            xml::read(response, "CompleteMultipartUploadResult", &mut |_, name, text| {
                if name == "ETag" {
                    found = tag(text);
                }
                Ok(())
            })
        });
        without_cancellation(read).map(|()| found)
    }

    pub(super) fn completion(&self, upload: &Upload) -> Request<'static> {
        let parts: String = upload
            .tags
            .iter()
            .zip(1..)
            .map(|(tag, number)| {
                let tag = tag.replace('&', "&amp;").replace('<', "&lt;");
                format!("<Part><PartNumber>{number}</PartNumber><ETag>\"{tag}\"</ETag></Part>")
            })
            .collect();
        let namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
        let body = format!(
            "<CompleteMultipartUpload xmlns=\"{namespace}\">{parts}</CompleteMultipartUpload>"
        );
        let complete = request("POST", &self.upload_url(upload))
            .header("Content-Type", "application/xml")
            .safe_to_repeat();
        with_body(complete, body.into_bytes())
    }

    fn upload_url(&self, upload: &Upload) -> String {
        format!("{}?uploadId={}", self.location.object(&upload.path), encode_value(&upload.id))
    }

    /// Returns the URL of a part.
    pub(super) fn part_url(&self, upload: &Upload, number: usize) -> String {
        part_url(&self.location.object(&upload.path), upload, number)
    }

    pub(super) fn abort_upload(&self, upload: &Upload) -> Result<()> {
        let abort = request("DELETE", &self.upload_url(upload)).send();
        or_missing(without_cancellation(expect(abort).map(drop))).map(drop)
    }
}

/// Returns the request that sends a part.
pub(super) fn part_request(
    url: &str,
    upload: &Upload,
    number: usize,
    bytes: Vec<u8>,
) -> Request<'static> {
    with_body(request("PUT", &part_url(url, upload, number)), bytes)
}

fn part_url(url: &str, upload: &Upload, number: usize) -> String {
    format!("{url}?partNumber={number}&uploadId={}", encode_value(&upload.id))
}

/// Sets a body that is kept until the request was answered.
fn with_body(request: Request<'static>, bytes: Vec<u8>) -> Request<'static> {
    let length = bytes.len() as u64;
    let bytes = Bytes(Rc::new(bytes));
    request.body_with(length, move || Ok(Box::new(Cursor::new(bytes.clone()))))
}

/// Bytes without copies: a part is large.
#[derive(Clone)]
struct Bytes(Rc<Vec<u8>>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

pub(super) fn stored_part(tag: Result<String>) -> Result<String> {
    match tag?.as_str() {
        "" => Err(Error::new(ErrorCode::InputOutput, "the server returned no tag of a part")),
        tag => Ok(tag.to_owned()),
    }
}

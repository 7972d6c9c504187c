//! An object, and its metadata in requests and answers.

use jiff::fmt::rfc2822::DateTimeParser;
use syncmgr_engine::endpoint::{Metadata, without_cancellation};
use syncmgr_engine::tree::{Digest, Fingerprint};
use syncmgr_plugin::http::{Request, Response};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use crate::answer::expect;

/// The maximum length of a version tag in bytes.
const MAX_TAG: usize = 256;

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) metadata: Metadata,
    /// The version tag; empty: none.
    pub(super) tag: String,
    /// The digest in its metadata.
    pub(super) digest: Option<Digest>,
    /// The time of its file in the metadata.
    time: Option<String>,
    /// What an upload in parts put into its metadata.
    pub(super) source: Option<String>,
    /// Whether the server keeps this version when it is replaced or deleted; `None`: unknown.
    pub(super) is_kept: Option<bool>,
}

/// What has a path.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Nothing,
    Directory,
    Object(Object),
}

impl Object {
    /// Creates one, with its time in ns since 1970.
    pub(super) fn new(size: u64, modified: i64, tag: String) -> Self {
        let fingerprint = match tag.is_empty() {
            true => Fingerprint { size, modified, changed: None, file_id: 0 },
            false => Fingerprint::of_version(size, modified, &tag),
        };
        let metadata = Metadata::file(fingerprint);
        Self { metadata, tag, digest: None, time: None, source: None, is_kept: None }
    }

    /// Reads the headers of an answer.
    pub(super) fn of(response: &Response) -> Result<Self> {
        let no_size = || Error::new(ErrorCode::InputOutput, "the server does not state the size");
        let size = response.content_length().ok_or_else(no_size)?;
        let modified = response.header("last-modified").and_then(|text| {
            DateTimeParser::new().parse_timestamp(text).ok()?.as_second().checked_mul(1_000_000_000)
        });
        let digest = response.header("x-amz-meta-blake3");
        let version = response.header("x-amz-version-id").unwrap_or("null");
        Ok(Self {
            digest: digest.and_then(|text| Some(*blake3::Hash::from_hex(text).ok()?.as_bytes())),
            time: response.header("x-amz-meta-mtime").map(str::to_owned),
            source: response.header("x-amz-meta-source").map(str::to_owned),
            is_kept: Some(version != "null"),
            ..Self::new(size, modified.unwrap_or(0), tag(response.header("etag").unwrap_or("")))
        })
    }

    /// Returns the size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.metadata.fingerprint.size
    }

    /// Returns the headers with its metadata, for a copy.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        let digest =
            self.digest.map(|digest| blake3::Hash::from_bytes(digest).to_hex().to_string());
        let (time, source) = (self.time.clone(), self.source.clone());
        let headers = [
            ("x-amz-meta-mtime", time),
            ("x-amz-meta-blake3", digest),
            ("x-amz-meta-source", source),
        ];
        headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Returns whether it is the expected version, although its time may be rounded.
    pub(super) fn is_still(&self, expected: &Fingerprint) -> bool {
        let modified = self.metadata.fingerprint.modified;
        let is_near = modified.abs_diff(expected.modified) <= 1_000_000_000;
        let now = Fingerprint { modified: expected.modified, ..self.metadata.fingerprint };
        now.is_still(expected) && (is_near || !self.tag.is_empty())
    }

    /// Returns whether it has the content of another one, by their tags or by the metadata of this
    /// plugin.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        self.metadata.fingerprint.size == other.metadata.fingerprint.size
            && ((!self.tag.is_empty() && self.tag == other.tag)
                || (self.digest.is_some() && self.digest == other.digest)
                || (self.source.is_some() && self.source == other.source))
    }

    /// Returns whether it is what this plugin sent: `digest` is that of the content, or `source`
    /// that of an upload in parts.
    pub(super) fn is_sent(&self, size: u64, digest: &Digest, source: Option<&str>) -> bool {
        let is_source = source.is_some() && self.source.as_deref() == source;
        self.metadata.fingerprint.size == size && (self.digest == Some(*digest) || is_source)
    }
}

/// Returns a version tag without its quotes. One that is too long is none.
pub(super) fn tag(text: &str) -> String {
    let text = text.trim();
    let tag = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    if tag.len() > MAX_TAG { String::new() } else { tag.to_owned() }
}

/// Adds headers to a request.
pub(super) fn with<'a>(request: Request<'a>, headers: &[(&'static str, String)]) -> Request<'a> {
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// Returns the version tag in the answer to an upload.
pub(super) fn stored(response: Result<Response, Interrupt>) -> Result<String> {
    let response = without_cancellation(expect(response))?;
    Ok(tag(response.header("etag").unwrap_or("")))
}

/// Writes a time as rclone does, in seconds since 1970.
pub(super) fn seconds(time: i64) -> String {
    let (seconds, rest) = (time.div_euclid(1_000_000_000), time.rem_euclid(1_000_000_000));
    format!("{seconds}.{rest:09}")
}

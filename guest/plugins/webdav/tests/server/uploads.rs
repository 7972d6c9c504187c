//! Chunked uploads, version 2, with the rules of Nextcloud: every request names the destination,
//! the chunks are numbered from 1 to 10,000 and sorted by name, and all but the last one have a
//! minimum size.

use std::collections::BTreeMap;

use syncmgr_plugin::testing::{Received, Reply};

use crate::answers::destination;
use crate::quirks::Times;
use crate::world::World;

/// The minimum size of a chunk, instead of 5 MB.
pub(crate) const MIN_CHUNK: usize = 50_000;

/// An upload in progress.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upload {
    pub(crate) chunks: BTreeMap<u32, Vec<u8>>,
}

impl World {
    /// Answers a request for `ID`, `ID/NUMBER` or `ID/.file`.
    pub(crate) fn upload(&mut self, request: &Received, path: &str) -> Reply {
        let path = path.trim_end_matches('/');
        let (id, name) = path.split_once('/').unwrap_or((path, ""));
        let method = request.method.as_str();
        let target = request.header("destination").and_then(destination);
        if !self.quirks.is_nextcloud {
            return Reply::new(404);
        }
        if target.is_none() && ["MKCOL", "PUT", "MOVE"].contains(&method) {
            self.faults.push(format!("{method} of an upload without a destination"));
            return Reply::new(400);
        }
        let upload = self.uploads.get_mut(id);
        match (method, name, upload) {
            ("MKCOL", "", Some(_)) => Reply::new(405),
            ("MKCOL", "", None) => {
                self.uploads.insert(id.to_owned(), Upload::default());
                Reply::new(201)
            }
            (_, _, None) => Reply::new(404),
            ("PROPFIND", "", Some(upload)) => Reply::new(207).body(listing(id, upload)),
            ("DELETE", "", Some(_)) => {
                self.uploads.remove(id);
                Reply::new(204)
            }
            ("PUT", number, Some(upload)) => match number.parse() {
                Ok(number @ 1..=10_000) => {
                    upload.chunks.insert(number, request.body.clone());
                    Reply::new(201)
                }
                Ok(_) | Err(_) => {
                    self.faults.push(format!("a chunk with the name {number}"));
                    Reply::new(400)
                }
            },
            ("MOVE", ".file", Some(upload)) => {
                let chunks: Vec<_> = upload.chunks.values().cloned().collect();
                let content = chunks.concat();
                let total = request.header("oc-total-length").and_then(|total| total.parse().ok());
                let is_small = |chunk: &Vec<u8>| chunk.len() < MIN_CHUNK;
                let all_but_last = chunks.split_last().map_or(&[][..], |(_, rest)| rest);
                if total != Some(content.len()) || all_but_last.iter().any(is_small) {
                    self.faults.push(format!("{} chunks are not {total:?} bytes", chunks.len()));
                    return Reply::new(400);
                }
                let reply = self.assemble(id, content, &target.clone().unwrap_or_default());
                let time = request.header("x-oc-mtime").and_then(|time| time.parse().ok());
                if let (Times::Accepted, Some(time), Some(target)) =
                    (self.quirks.times, time, target)
                    && let Some(stored) = self.entries.get_mut(&target)
                {
                    stored.modified = time;
                }
                reply
            }
            _ => Reply::new(405),
        }
    }

    fn assemble(&mut self, id: &str, mut content: Vec<u8>, target: &str) -> Reply {
        let quota = self.quirks.quota;
        if quota.is_some_and(|quota| self.used() + content.len() > quota) {
            return Reply::new(507);
        }
        self.uploads.remove(id);
        if self.quirks.empty_assemblies > 0 {
            self.quirks.empty_assemblies -= 1;
            content.clear();
        }
        self.put(target, Some(content));
        Reply::new(201)
    }
}

fn listing(id: &str, upload: &Upload) -> String {
    let root = format!("/remote.php/dav/uploads/me/{id}");
    let response = |href: String, properties: String| {
        format!(
            "<d:response><d:href>{href}</d:href><d:propstat><d:prop>{properties}</d:prop>\
             <d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        )
    };
    let own = "<d:resourcetype><d:collection/></d:resourcetype>".to_owned();
    let chunk = |(number, chunk): (&u32, &Vec<u8>)| {
        let size = chunk.len();
        let properties =
            format!("<d:resourcetype/><d:getcontentlength>{size}</d:getcontentlength>");
        response(format!("{root}/{number:05}"), properties)
    };
    let chunks: String = upload.chunks.iter().map(chunk).collect();
    let file = response(format!("{root}/.file"), "<d:resourcetype/>".to_owned());
    let own = response(format!("{root}/"), own);
    format!(r#"<d:multistatus xmlns:d="DAV:">{own}{file}{chunks}</d:multistatus>"#)
}

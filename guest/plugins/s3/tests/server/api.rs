//! The requests of S3.

use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use syncmgr_plugin::testing::{Received, Reply};

use crate::quirks::{List, Tags};
use crate::world::{BUCKET, Stored, Upload, World};

/// The parameters of a query, decoded.
struct Query(Vec<(String, String)>);

impl Query {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// Returns a name as a list has it, with `+` for a space as AWS writes it.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string().replace("%20", "+").replace("%2F", "/")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn time(seconds: i64, format: &str) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().strftime(format).to_string()
}

/// Returns a document of an error.
pub(crate) fn error(status: u16, code: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>words</Message></Error>"
    );
    Reply::new(status).body(body)
}

fn document(root: &str, inner: &str) -> Reply {
    let namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
    Reply::new(200)
        .header("server", "TestS3")
        .body(format!("<?xml version=\"1.0\"?>\n<{root} xmlns=\"{namespace}\">{inner}</{root}>"))
}

impl World {
    /// Answers a request, and changes what it changes.
    pub(crate) fn answer(&mut self, request: &Received) -> Reply {
        let method = request.method.as_str();
        let forbidden = ["transfer-encoding", "content-encoding", "x-amz-sdk-checksum-algorithm"];
        if let Some(name) = forbidden.iter().find(|name| request.header(name).is_some()) {
            self.faults.push(format!("{method} with {name}"));
        }
        if let Some((status, code, region)) = self.quirks.denies {
            let reply = if method == "HEAD" { Reply::new(status) } else { error(status, code) };
            return match region {
                "" => reply,
                region => reply.header("x-amz-bucket-region", region),
            };
        }
        let methods = self.quirks.busy_methods;
        if let Some((status, left)) = &mut self.quirks.busy
            && *left > 0
            && (methods.is_empty() || methods.contains(&method))
        {
            *left -= 1;
            return error(*status, if *status == 500 { "InternalError" } else { "SlowDown" });
        }
        let (path, query) = request.path().split_once('?').unwrap_or((request.path(), ""));
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        let query = Query(query.split('&').filter(|one| !one.is_empty()).map(pair).collect());
        let Some(mut key) = decoded(path).strip_prefix(&format!("/{BUCKET}/")).map(str::to_owned)
        else {
            self.faults.push(format!("{method} {path}"));
            return error(404, "NoSuchBucket");
        };
        if self.quirks.has_no_markers && key.ends_with('/') {
            key.pop();
            if self.objects.keys().any(|other| other.starts_with(&format!("{key}/"))) {
                return error(500, "InternalError");
            }
        }
        if key.len() > 1024 {
            return error(400, "KeyTooLongError");
        }
        match (method, query.get("uploadId").map(str::to_owned)) {
            ("GET", None) if key.is_empty() => self.list(&query),
            ("GET" | "HEAD", None) => self.get(request, &key),
            ("PUT", None) => match request.header("x-amz-copy-source") {
                Some(_) => self.copy(request, &key),
                None => self.receive_put(request, &key),
            },
            ("DELETE", None) => self.receive_delete(request, &key),
            ("POST", None) if query.get("uploads").is_some() => self.create_upload(request, key),
            ("PUT", Some(id)) if request.header("x-amz-copy-source").is_some() => {
                self.copy_part(request, &query, &id)
            }
            ("PUT", Some(id)) => self.put_part(request, &query, &id),
            ("GET", Some(id)) => self.list_parts(&query, &id),
            ("POST", Some(id)) => self.complete(request, &id),
            ("DELETE", Some(id)) => match self.uploads.remove(&id) {
                Some(_) => Reply::new(204),
                None => error(404, "NoSuchUpload"),
            },
            _ => error(405, "MethodNotAllowed"),
        }
    }

    fn list(&mut self, query: &Query) -> Reply {
        let prefix = query.get("prefix").unwrap_or_default();
        let after = query.get("start-after").or(query.get("continuation-token"));
        let after = after.unwrap_or_default().to_owned();
        let most = if self.quirks.page == 0 { 1000 } else { self.quirks.page };
        let most = query.get("max-keys").map_or(most, |most| most.parse().unwrap());
        let delimiter = query.get("delimiter");
        let (mut contents, mut prefixes, mut last, mut more) =
            (Vec::new(), Vec::<String>::new(), String::new(), false);
        for (key, stored) in self.objects.range(after.clone()..) {
            let Some(rest) = key.strip_prefix(prefix) else {
                if **key > *prefix { break } else { continue }
            };
            let common = delimiter
                .and_then(|one| rest.split_once(one))
                .map(|(name, _)| format!("{prefix}{name}/"));
            let place = common.as_ref().unwrap_or(key);
            if *place <= after || prefixes.last() == Some(place) {
                continue;
            }
            if contents.len() + prefixes.len() == most {
                more = true;
                break;
            }
            last.clone_from(place);
            match common {
                Some(common) => prefixes.push(common),
                None => contents.push((key, stored)),
            }
        }
        if self.quirks.lists_backwards {
            contents.reverse();
        }
        let is_raw = self.quirks.lists_raw;
        let shown = |text: &str| if is_raw { escaped(text) } else { encoded(text) };
        let mut inner = format!("<Name>{BUCKET}</Name><Prefix>{}</Prefix>", shown(prefix));
        if !is_raw {
            inner.push_str("<EncodingType>url</EncodingType>");
        }
        let format = match self.quirks.lists_fractions {
            true => "%Y-%m-%dT%H:%M:%S.789Z",
            false => "%Y-%m-%dT%H:%M:%S.000Z",
        };
        for (key, stored) in contents {
            let tag = match stored.tag.as_str() {
                "" => String::new(),
                tag => format!("<ETag>&quot;{tag}&quot;</ETag>"),
            };
            let size = match self.quirks.list == List::NoSize {
                true => String::new(),
                false => format!("<Size>{}</Size>", stored.content.len()),
            };
            let _ = write!(
                inner,
                "<Contents><Key>{}</Key><LastModified>{}</LastModified>{tag}{size}<Owner>\
                 <ID>1</ID></Owner></Contents>",
                shown(key),
                time(stored.modified, format),
            );
        }
        for one in prefixes {
            let _ =
                write!(inner, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", shown(&one));
        }
        let end = match more {
            true => format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
                escaped(&last)
            ),
            false => "<IsTruncated>false</IsTruncated>".to_owned(),
        };
        let root = "ListBucketResult";
        let token = |token: &str| {
            format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{token}\
                 </NextContinuationToken>"
            )
        };
        let object = |key: &str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
        match self.quirks.list {
            List::Good | List::NoSize => document(root, &(inner + &end)),
            List::Endless => {
                self.next += 1;
                document(root, &token(&self.next.to_string()))
            }
            List::SameToken => document(root, &(inner + &token("again"))),
            List::NoToken => document(root, &(inner + "<IsTruncated>true</IsTruncated>")),
            List::Outside => document(root, &(inner + &object("other/a") + &end)),
            List::Huge => document(root, &(inner + &object(&"x".repeat(1 << 20)) + &end)),
            List::Cut => Reply::new(200).body(format!("<{root}>{inner}")),
            List::NoEnd => document(root, &inner),
            List::Page => Reply::new(200).body("<html><body>Log in</body></html>"),
            List::Empty => document(root, "<IsTruncated>false</IsTruncated>"),
            List::Error => error(200, "InternalError"),
        }
    }

    /// Returns the refusal of a request whose conditions are not met.
    fn refusal(&self, request: &Received, key: &str, is_ignored: bool) -> Option<Reply> {
        let none = request.header("if-none-match");
        let only = request.header("if-match");
        if self.quirks.refuses_conditions && none.or(only).is_some() {
            return Some(error(501, "NotImplemented"));
        }
        if self.quirks.ignores_conditions || is_ignored {
            return None;
        }
        let stored = self.objects.get(key);
        let tag = stored.map(|stored| format!("\"{}\"", stored.tag));
        if none.is_some() && stored.is_some() {
            return Some(error(412, "PreconditionFailed"));
        }
        match (only, tag) {
            (Some(_), None) => Some(error(404, "NoSuchKey")),
            (Some(only), Some(tag)) if only != tag => Some(error(412, "PreconditionFailed")),
            (Some(_) | None, _) => None,
        }
    }

    /// Adds the headers of an object.
    fn headed(&self, reply: Reply, tag: &str) -> Reply {
        let reply = match tag {
            "" => reply,
            tag => reply.header("etag", &format!("\"{tag}\"")),
        };
        match self.quirks.is_versioned {
            true => reply.header("x-amz-version-id", "some-version"),
            false => reply,
        }
    }

    fn get(&self, request: &Received, key: &str) -> Reply {
        let Some(stored) = self.objects.get(key) else {
            return match request.method.as_str() {
                "HEAD" => Reply::new(404),
                _ => error(404, "NoSuchKey"),
            };
        };
        let range = request.header("range").map(|range| {
            range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap()
        });
        let reply = Reply::new(if range.is_some() { 206 } else { 200 });
        let mut reply = self
            .headed(reply, &stored.tag)
            .header("last-modified", &time(stored.modified, "%a, %d %b %Y %H:%M:%S GMT"));
        for (name, value) in &stored.metadata {
            reply = reply.header(name, value);
        }
        match request.method.as_str() {
            "HEAD" => reply.header("content-length", &stored.content.len().to_string()),
            _ => reply.body(&stored.content[range.unwrap_or(0)..]),
        }
    }

    fn receive_put(&mut self, request: &Received, key: &str) -> Reply {
        if let Some(refusal) = self.refusal(request, key, self.ignores_put(request)) {
            return refusal;
        }
        let mut content = request.body.clone();
        if self.quirks.truncates {
            content.truncate(content.len() / 2);
        }
        let tag = self.put(key, content, metadata(request), None);
        let tag = if self.quirks.put_has_no_tag { "" } else { &tag };
        self.headed(Reply::new(200), tag)
    }

    fn ignores_put(&self, request: &Received) -> bool {
        self.quirks.ignores_if_match && request.header("if-match").is_some()
    }

    fn receive_delete(&mut self, request: &Received, key: &str) -> Reply {
        match self.refusal(request, key, self.quirks.deletes_always) {
            Some(refusal) => refusal,
            None => {
                self.delete(key);
                Reply::new(204)
            }
        }
    }

    /// Returns the source of a copy, if it is the expected one.
    fn source(&self, request: &Received) -> Result<Stored, Reply> {
        let source = decoded(request.header("x-amz-copy-source").unwrap());
        let source = source.trim_start_matches('/').strip_prefix(&format!("{BUCKET}/"));
        let stored = source.and_then(|source| self.objects.get(source)).cloned();
        let stored = stored.ok_or_else(|| error(404, "NoSuchKey"))?;
        let expected = request.header("x-amz-copy-source-if-match");
        match expected.is_some_and(|expected| expected != format!("\"{}\"", stored.tag)) {
            true => Err(error(412, "PreconditionFailed")),
            false => Ok(stored),
        }
    }

    fn copy_part(&mut self, request: &Received, query: &Query, id: &str) -> Reply {
        let stored = match self.source(request) {
            Ok(stored) => stored,
            Err(refusal) => return refusal,
        };
        let number = query.get("partNumber").unwrap().parse().unwrap();
        let range = request.header("x-amz-copy-source-range").unwrap();
        let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
        let part = stored.content[start..=end].to_vec();
        let Some(upload) = self.uploads.get_mut(id) else { return error(404, "NoSuchUpload") };
        let tag = part_tag(&part);
        upload.parts.insert(number, part);
        document("CopyPartResult", &format!("<ETag>&quot;{tag}&quot;</ETag>"))
    }

    fn copy(&mut self, request: &Received, key: &str) -> Reply {
        let stored = match self.source(request) {
            Ok(stored) => stored,
            Err(refusal) => return refusal,
        };
        if let Some(refusal) = self.refusal(request, key, self.quirks.copies_always) {
            return refusal;
        }
        if self.quirks.errors_in_200 > 0 {
            self.quirks.errors_in_200 -= 1;
            return error(200, "InternalError");
        }
        let tag = self.put(key, stored.content, stored.metadata, None);
        document("CopyObjectResult", &format!("<ETag>&quot;{tag}&quot;</ETag>"))
    }

    fn create_upload(&mut self, request: &Received, key: String) -> Reply {
        if self.quirks.has_no_uploads {
            return error(501, "NotImplemented");
        }
        self.next += 1;
        let id = format!("id+{}", self.next);
        let metadata = metadata(request);
        self.uploads.insert(id.clone(), Upload { key, metadata, ..Upload::default() });
        document("InitiateMultipartUploadResult", &format!("<UploadId>{id}</UploadId>"))
    }

    fn put_part(&mut self, request: &Received, query: &Query, id: &str) -> Reply {
        let number = query.get("partNumber").unwrap().parse().unwrap();
        let Some(upload) = self.uploads.get_mut(id) else { return error(404, "NoSuchUpload") };
        upload.parts.insert(number, request.body.clone());
        Reply::new(200).header("etag", &format!("\"{}\"", part_tag(&request.body)))
    }

    fn list_parts(&self, query: &Query, id: &str) -> Reply {
        let Some(upload) = self.uploads.get(id) else { return error(404, "NoSuchUpload") };
        let after = query.get("part-number-marker").unwrap_or_default().parse().unwrap_or(0);
        // Two parts a page.
        let rest: Vec<_> = upload.parts.range(after + 1..).collect();
        let mut inner = String::new();
        for (number, part) in rest.iter().take(2) {
            let _ = write!(
                inner,
                "<Part><PartNumber>{number}</PartNumber><ETag>\"{}\"</ETag><Size>{}</Size></Part>",
                part_tag(part),
                part.len()
            );
        }
        let last = rest.iter().take(2).next_back().map_or(0, |(number, _)| **number);
        let _ = write!(
            inner,
            "<IsTruncated>{}</IsTruncated><NextPartNumberMarker>{last}</NextPartNumberMarker>",
            rest.len() > 2
        );
        document("ListPartsResult", &inner)
    }

    fn complete(&mut self, request: &Received, id: &str) -> Reply {
        let Some(upload) = self.uploads.get(id).cloned() else {
            return error(404, "NoSuchUpload");
        };
        let is_ignored = self.quirks.completes_always
            || self.quirks.completes_any_version && request.header("if-match").is_some();
        if let Some(refusal) = self.refusal(request, &upload.key, is_ignored) {
            return refusal;
        }
        let body = String::from_utf8(request.body.clone()).unwrap();
        let is_listed = |(number, part): (&u32, &Vec<u8>)| {
            let tag = part_tag(part);
            body.contains(&format!("<PartNumber>{number}</PartNumber><ETag>\"{tag}\"</ETag>"))
        };
        if !upload.parts.iter().all(is_listed) {
            return error(400, "InvalidPart");
        }
        if self.quirks.errors_in_200 > 0 {
            self.quirks.errors_in_200 -= 1;
            return error(200, "InternalError");
        }
        self.uploads.remove(id);
        let tags: String = upload.parts.values().map(|part| part_tag(part)).collect();
        let tag = format!("{}-{}", part_tag(tags.as_bytes()), upload.parts.len());
        let content = upload.parts.into_values().flatten().collect();
        let tag = self.put(&upload.key, content, upload.metadata, Some(tag));
        let tag = if self.quirks.tags == Tags::None { String::new() } else { tag };
        document("CompleteMultipartUploadResult", &format!("<ETag>&quot;{tag}&quot;</ETag>"))
    }
}

fn part_tag(part: &[u8]) -> String {
    blake3::hash(part).to_hex().as_str()[..32].to_owned()
}

fn metadata(request: &Received) -> Vec<(String, String)> {
    let headers = request.headers.iter();
    headers.filter(|(name, _)| name.starts_with("x-amz-meta-")).cloned().collect()
}

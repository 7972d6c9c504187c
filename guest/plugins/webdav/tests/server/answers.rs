//! Answers to all other methods.

use percent_encoding::percent_decode_str;
use syncmgr_engine::tree::split;
use syncmgr_plugin::testing::{Received, Reply};

use crate::listing::{http_date, login};
use crate::quirks::{Destinations, PutTag, Ranges, Times};
use crate::world::{BASE, ORIGIN, World};

impl World {
    /// Answers a request, and changes what it changes.
    pub(crate) fn answer(&mut self, request: &Received) -> Reply {
        let method = request.method.as_str();
        if self.quirks.has_portal {
            return match method {
                "GET" => Reply::new(302).header("location", &format!("{ORIGIN}/{BASE}/login")),
                _ => login(),
            };
        }
        if let Some((status, challenge)) = self.quirks.denies {
            return Reply::new(status).header("www-authenticate", challenge);
        }
        let concerns =
            self.quirks.busy_methods.is_empty() || self.quirks.busy_methods.contains(&method);
        if let Some((status, left)) = &mut self.quirks.busy
            && *left > 0
            && concerns
        {
            *left -= 1;
            return Reply::new(*status).header("retry-after", "7");
        }
        let path = request.path();
        if let Some(upload) = path.strip_prefix("/remote.php/dav/uploads/me/") {
            let upload = percent_decode_str(upload).decode_utf8().unwrap().into_owned();
            return self.upload(request, &upload);
        }
        let Some(path) = inside(path) else { return Reply::new(404) };
        if let Some(refusal) = self.refusal(request, &path) {
            return refusal;
        }
        match method {
            "OPTIONS" => {
                let reply = Reply::new(200).header("dav", &format!("1, 2{}", self.quirks.more_dav));
                match self.quirks.server {
                    "" => reply,
                    server => reply.header("server", server),
                }
            }
            "PROPFIND" => self.propfind(request, &path),
            "GET" | "HEAD" => self.get(request, &path),
            "PUT" => self.receive_put(request, &path),
            "MKCOL" => self.make(&path),
            "DELETE" => self.delete(request, &path),
            "MOVE" | "COPY" => self.relocate(request, &path),
            _ => Reply::new(405),
        }
    }

    /// Returns the answer of a lock, or to a URL without its slash.
    fn refusal(&mut self, request: &Received, path: &str) -> Option<Reply> {
        let changes = ["PUT", "DELETE", "MOVE", "MKCOL", "COPY"].contains(&&*request.method);
        if !changes {
            return None;
        }
        let target = request.header("destination").and_then(|url| self.destination(url));
        let places: Vec<_> = [Some(path.to_owned()), target].into_iter().flatten().collect();
        let locked = self.quirks.locked.iter_mut().find(|(locked, left)| {
            **left > 0
                && places
                    .iter()
                    .any(|place| place == *locked || locked.starts_with(&format!("{place}/")))
        });
        if let Some((_, left)) = locked {
            *left -= 1;
            return Some(Reply::new(423));
        }
        if let Some(missing) = self.missing_permission(request, path, places.get(1)) {
            self.faults.push(format!("{} of {path} without {missing}", request.method));
            return Some(Reply::new(403));
        }
        let is_collection = request.method == "MKCOL"
            || self.entries.get(&self.key(path)).is_some_and(|found| found.content.is_none());
        let has_slash = request.path().ends_with('/');
        (is_collection && self.quirks.needs_slash && !has_slash).then(|| Reply::new(409))
    }

    /// Returns a permission that a request needs, and that it does not have.
    fn missing_permission(
        &self,
        request: &Received,
        path: &str,
        target: Option<&String>,
    ) -> Option<String> {
        let exists = |path: &str| self.entries.contains_key(&self.key(path));
        let needed = match (request.method.as_str(), target) {
            ("PUT", _) if exists(path) => vec![(path, "W")],
            ("PUT", _) => vec![(split(path).0, "C")],
            ("MKCOL", _) => vec![(split(path).0, "K")],
            ("DELETE", _) => vec![(path, "D")],
            ("MOVE", _) if !exists(path) => Vec::new(),
            ("MOVE", Some(to)) if split(to).0 == split(path).0 => vec![(path, "N")],
            ("MOVE", Some(to)) => {
                let is_file = self.entries[&self.key(path)].content.is_some();
                vec![(path, "V"), (split(to).0, if is_file { "C" } else { "K" })]
            }
            (_, _) => Vec::new(),
        };
        let is_missing = |(path, letter): &(&str, &str)| {
            self.quirks.permissions.get(path).is_some_and(|letters| !letters.contains(letter))
        };
        let missing = needed.into_iter().find(is_missing);
        missing.map(|(path, letter)| format!("{letter} of {path:?}"))
    }

    /// Returns the path of the target of a move, which must be on this server.
    fn destination(&self, url: &str) -> Option<String> {
        let origin = match self.quirks.destinations {
            Destinations::Urls => ORIGIN,
            Destinations::OtherScheme => "http://dav.example",
            Destinations::Paths => "",
        };
        inside(url.strip_prefix(origin).filter(|path| path.starts_with('/'))?)
    }

    fn has_parent(&self, path: &str) -> bool {
        let parent = split(path).0;
        parent.is_empty()
            || self.entries.get(&self.key(parent)).is_some_and(|found| found.content.is_none())
    }

    /// Returns whether the conditions of a request hold.
    fn holds(&mut self, request: &Received, path: &str) -> bool {
        if self.quirks.ignores_conditions {
            return true;
        }
        let stored = self.entries.get(&self.key(path)).cloned();
        let tag = stored.as_ref().and_then(|stored| self.tag(stored));
        let is_strong = |tag: &&String| !tag.starts_with("W/");
        let matches = match request.header("if-match") {
            None => true,
            Some("*") => stored.is_some(),
            Some(wanted) => tag.as_ref().filter(is_strong).is_some_and(|tag| tag == wanted),
        };
        let none = match request.header("if-none-match") {
            None => true,
            Some("*") => stored.is_none(),
            Some(wanted) => tag.as_ref().is_none_or(|tag| tag != wanted),
        };
        matches && none
    }

    fn get(&mut self, request: &Received, path: &str) -> Reply {
        let stored = self.entries.get(&self.key(path)).cloned();
        let Some(stored) = stored else { return Reply::new(404) };
        let Some(content) = stored.content.clone() else { return Reply::new(405) };
        if !self.holds(request, path) {
            return Reply::new(412);
        }
        if request.header("accept-encoding") != Some("identity") {
            self.faults.push(format!("GET of {path} accepts compressed content"));
        }
        let tag = self.tag(&stored).map(|tag| match self.quirks.other_tag_of_get {
            true => format!("{}-gzip\"", tag.trim_end_matches('"')),
            false => tag,
        });
        let (mut reply, body) = self.part(request, tag.as_deref(), content);
        if let Some(tag) = tag {
            reply = reply.header("etag", &tag);
        }
        if matches!(self.quirks.times, Times::Now | Times::Accepted) {
            reply = reply.header("last-modified", &http_date(stored.modified));
        }
        reply = reply.header("date", &http_date(self.clock));
        match self.quirks.cuts_gets.filter(|bytes| *bytes < body.len()) {
            Some(bytes) => reply.body(body).cut_after(bytes),
            None => reply.body(body),
        }
    }

    /// Returns the requested part of a content.
    fn part(&self, request: &Received, tag: Option<&str>, content: Vec<u8>) -> (Reply, Vec<u8>) {
        let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
        let first = range.and_then(|range| range.strip_suffix('-')?.parse::<usize>().ok());
        let Some(first) = first else { return (Reply::new(200), content) };
        let ranges = self.quirks.ranges;
        let is_strong = tag.is_some_and(|tag| !tag.starts_with("W/"));
        let is_wanted = is_strong && request.header("if-range") == tag;
        let [begin, end] = match ranges {
            Ranges::Status(status) => return (Reply::new(status), Vec::new()),
            Ranges::Ignored => return (Reply::new(200), content),
            _ if !is_wanted && ranges != Ranges::Unconditional => {
                return (Reply::new(200), content);
            }
            Ranges::Right | Ranges::Unconditional | Ranges::Unnamed => [first, content.len()],
            Ranges::Shifted => [first + 1, content.len()],
            Ranges::Short => [first, content.len() - 1],
        };
        if begin >= end {
            return (Reply::new(416), Vec::new());
        }
        let range = format!("bytes {begin}-{}/{}", end - 1, content.len());
        let reply = match ranges == Ranges::Unnamed {
            true => Reply::new(206),
            false => Reply::new(206).header("content-range", &range),
        };
        (reply, content[begin..end].to_vec())
    }

    fn receive_put(&mut self, request: &Received, path: &str) -> Reply {
        if let Some(range) = request.header("content-range") {
            self.faults.push(format!("PUT of {path} with Content-Range {range}"));
        }
        if !self.has_parent(path) {
            return Reply::new(409);
        }
        let key = self.key(path);
        if self.entries.get(&key).is_some_and(|found| found.content.is_none()) {
            return Reply::new(405);
        }
        if !self.holds(request, path) {
            return Reply::new(412);
        }
        let size = request.body.len();
        if self.quirks.max_size.is_some_and(|most| size > most) {
            return Reply::new(413);
        }
        if self.quirks.quota.is_some_and(|quota| self.used() + size > quota) {
            return Reply::new(if self.quirks.quota_status == 0 {
                507
            } else {
                self.quirks.quota_status
            });
        }
        let mut content = request.body.clone();
        if self.quirks.empty_puts > 0 {
            self.quirks.empty_puts -= 1;
            content.clear();
        }
        let old = self.entries.get(&key).and_then(|stored| stored.content.clone());
        self.gone.extend(old);
        self.put(path, Some(content));
        let mut reply = Reply::new(201);
        let given = request.header("x-oc-mtime").and_then(|time| time.parse().ok());
        if let (Times::Accepted, Some(time)) = (self.quirks.times, given) {
            self.entries.get_mut(&key).unwrap().modified = time;
            reply = reply.header("x-oc-mtime", "accepted");
        }
        let stored = self.entries[&key].clone();
        match (self.quirks.tag_of_put, self.tag(&stored)) {
            (PutTag::Right, Some(tag)) => reply.header("etag", &tag),
            (PutTag::Foreign, _) => reply.header("etag", "\"d41d8cd98f00b204-0\""),
            (PutTag::None | PutTag::Right, _) => reply,
        }
    }

    fn make(&mut self, path: &str) -> Reply {
        if path.is_empty() || self.entries.contains_key(&self.key(path)) {
            let is_file =
                self.entries.get(&self.key(path)).is_some_and(|found| found.content.is_some());
            let lies = self.quirks.makes_existing && !is_file;
            return Reply::new(if lies { 201 } else { 405 });
        }
        if !self.has_parent(path) {
            return Reply::new(409);
        }
        self.put(path, None);
        Reply::new(201)
    }

    fn delete(&mut self, request: &Received, path: &str) -> Reply {
        let key = self.key(path);
        if key.is_empty() {
            self.faults.push("DELETE of the synced collection".to_owned());
            return Reply::new(403);
        }
        if !self.entries.contains_key(&key) {
            return Reply::new(404);
        }
        if !self.holds(request, path) {
            return Reply::new(412);
        }
        let inside = format!("{key}/");
        let gone =
            self.entries.iter().filter(|(path, _)| **path == key || path.starts_with(&inside));
        let gone: Vec<_> = gone.filter_map(|(_, stored)| stored.content.clone()).collect();
        self.gone.extend(gone);
        self.remove_all(&key);
        Reply::new(204)
    }

    fn relocate(&mut self, request: &Received, path: &str) -> Reply {
        if let Some(status) = self.quirks.refuses_moves {
            return Reply::new(status);
        }
        let target = request.header("destination").and_then(|url| self.destination(url));
        let Some(target) = target else {
            return Reply::new(502);
        };
        let from = self.key(path);
        let is_collection = match self.entries.get(&from) {
            None => return Reply::new(404),
            Some(stored) => stored.content.is_none(),
        };
        if !self.holds(request, path) {
            return Reply::new(412);
        }
        let to = self.key(&target);
        let replaces = request.header("overwrite") != Some("F") || self.quirks.ignores_overwrite;
        // On a case-insensitive server, another spelling of the entry itself is not in the way.
        let is_taken = to != from && self.entries.contains_key(&to);
        if is_taken && !replaces {
            return Reply::new(412);
        }
        if !self.has_parent(&target) {
            return Reply::new(409);
        }
        if is_taken {
            let old = self.entries.get(&to).and_then(|stored| stored.content.clone());
            self.gone.extend(old);
            self.remove_all(&to);
        }
        let to = if to == from { target } else { to };
        self.move_entries(&from, &to, request.method == "MOVE");
        match is_collection && self.quirks.moves_collections_by_207 {
            true => Reply::new(207).body(r#"<multistatus xmlns="DAV:"/>"#),
            false => Reply::new(201),
        }
    }
}

/// Returns the path below the synced collection.
fn inside(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?.into_owned();
    let path = decoded.trim_matches('/').strip_prefix(BASE)?;
    match path.strip_prefix('/') {
        Some(path) => Some(path.to_owned()),
        None => path.is_empty().then(String::new),
    }
}

/// Returns the path of a destination, which must be on this server.
pub(crate) fn destination(url: &str) -> Option<String> {
    inside(url.strip_prefix(ORIGIN)?)
}

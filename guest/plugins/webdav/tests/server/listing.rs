//! Answers to PROPFIND.

use std::fmt::Write as _;

use syncmgr_engine::tree::split;
use syncmgr_plugin::testing::{Received, Reply};

use crate::quirks::{Hrefs, Listing, Times};
use crate::world::{BASE, ORIGIN, Stored, World};

impl World {
    pub(crate) fn propfind(&mut self, request: &Received, path: &str) -> Reply {
        let depth = request.header("depth").unwrap_or("infinity").to_owned();
        if depth == "infinity" {
            self.faults.push(format!("PROPFIND of {path} with infinite depth"));
            return Reply::new(403);
        }
        let key = self.key(path);
        let is_collection =
            key.is_empty() || self.entries.get(&key).is_some_and(|found| found.content.is_none());
        if !is_collection && !self.entries.contains_key(&key) {
            return Reply::new(404);
        }
        if is_collection && self.quirks.needs_slash && !request.path().ends_with('/') {
            return Reply::new(301).header("location", &format!("{}/", request.url));
        }
        let listing = self.quirks.listings.get(&key).copied().filter(|_| depth == "1");
        match listing {
            Some(Listing::Status(status)) => return Reply::new(status),
            Some(Listing::Login) => return login(),
            Some(
                Listing::Empty
                | Listing::Cut
                | Listing::Lost
                | Listing::WithoutSelf
                | Listing::Half,
            )
            | None => {}
        }
        let mut paths = vec![key.clone()];
        if depth == "1" && is_collection && listing != Some(Listing::Empty) {
            let inside =
                self.entries.keys().filter(|path| split(path).0 == key && !path.is_empty());
            let is_hidden =
                |path: &String| self.quirks.hides_dots && split(path).1.starts_with('.');
            paths.extend(inside.filter(|path| !is_hidden(path)).cloned());
        }
        if listing == Some(Listing::WithoutSelf) {
            paths.remove(0);
        }
        if listing == Some(Listing::Half) {
            paths.truncate(paths.len().div_ceil(2));
        }
        let asks_permissions = request.body.windows(14).any(|part| part == b"oc:permissions");
        let root = Stored { content: None, version: 0, id: 0, modified: self.clock };
        let responses: String = paths
            .iter()
            .map(|path| {
                let stored = self.entries.get(path).cloned().unwrap_or_else(|| root.clone());
                self.response(path, &stored, asks_permissions)
            })
            .collect();
        let mut body = format!(
            r#"<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns">{responses}</d:multistatus>"#
        );
        let date = http_date(self.clock);
        match listing {
            Some(Listing::Cut) => body.truncate(body.len() * 2 / 3),
            Some(Listing::Half) => body.truncate(body.len() - "</d:multistatus>".len()),
            Some(Listing::Lost) => {
                body.truncate(body.len() * 2 / 3);
                return Reply::new(207).header("date", &date).body(body).cut();
            }
            Some(Listing::Empty | Listing::WithoutSelf | Listing::Status(_) | Listing::Login)
            | None => {}
        }
        Reply::new(207).header("date", &date).body(body)
    }

    fn response(&mut self, path: &str, stored: &Stored, asks_permissions: bool) -> String {
        let full = match path.is_empty() {
            true => BASE.to_owned(),
            false => format!("{BASE}/{path}"),
        };
        let href = href(self.quirks.hrefs, &full, stored.content.is_none());
        let mut found = Vec::new();
        match &stored.content {
            None => found.push("<d:resourcetype><d:collection/></d:resourcetype>".to_owned()),
            Some(content) => {
                found.push("<d:resourcetype/>".to_owned());
                found.push(format!("<d:getcontentlength>{}</d:getcontentlength>", content.len()));
            }
        }
        if let Some(tag) = self.tag(stored) {
            found.push(format!("<d:getetag>{}</d:getetag>", tag.replace('"', "&quot;")));
        }
        let time = match self.quirks.times {
            Times::Now | Times::Accepted => Some(http_date(stored.modified)),
            Times::Before1970 => Some(http_date(stored.modified - 3_000_000_000)),
            Times::Garbage => Some("yesterday".to_owned()),
            Times::None => None,
        };
        if let Some(time) = time {
            found.push(format!("<d:getlastmodified>{time}</d:getlastmodified>"));
        }
        if let (true, Some(quota)) = (path.is_empty(), self.quirks.quota) {
            let left = quota.saturating_sub(self.used());
            found.push(format!("<d:quota-available-bytes>{left}</d:quota-available-bytes>"));
        }
        if self.quirks.is_nextcloud {
            found.push(format!("<oc:fileid>{}</oc:fileid>", stored.id));
            found.push("<oc:checksums><oc:checksum>SHA1:0</oc:checksum></oc:checksums>".to_owned());
        }
        let permissions = match (self.quirks.permissions.get(path), self.quirks.is_nextcloud) {
            (Some(permissions), _) => Some(*permissions),
            (None, true) if stored.content.is_none() => Some("RGDNVCK"),
            (None, true) => Some("RGDNVW"),
            (None, false) => None,
        };
        if let Some(permissions) = permissions.filter(|_| asks_permissions) {
            found.push(format!("<oc:permissions>{permissions}</oc:permissions>"));
        }
        let propstat = |properties: &str, status: &str| {
            format!(
                "<d:propstat><d:prop>{properties}</d:prop><d:status>HTTP/1.1 {status}</d:status></d:propstat>"
            )
        };
        let propstats = match self.quirks.splits_propstats {
            true => {
                let missing = "<d:getcontentlength/><d:getetag>wrong</d:getetag>\
                               <d:resourcetype><d:collection/></d:resourcetype>";
                let each = found.iter().map(|one| propstat(one, "200 OK"));
                each.chain([propstat(missing, "404 Not Found")]).collect::<String>()
            }
            false => propstat(&found.concat(), "200 OK"),
        };
        format!("<d:response><d:href>{href}</d:href>{propstats}</d:response>")
    }
}

/// Returns an answer that is not one of a WebDAV server.
pub(crate) fn login() -> Reply {
    Reply::new(200).header("content-type", "text/html").body("<html><body>Log in</body></html>")
}

pub(crate) fn http_date(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap();
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn href(hrefs: Hrefs, path: &str, is_collection: bool) -> String {
    let escaped = |keeps: &str, upper: bool| {
        let mut to = String::new();
        for byte in path.bytes() {
            let character = char::from(byte);
            match character.is_ascii_alphanumeric() || keeps.contains(character) {
                true => to.push(character),
                false if upper => write!(to, "%{byte:02X}").unwrap(),
                false => write!(to, "%{byte:02x}").unwrap(),
            }
        }
        to
    };
    let slash = if is_collection { "/" } else { "" };
    let usual = escaped("-._~/;:@!$'()*,+=", true);
    match hrefs {
        Hrefs::Paths => format!("/{usual}{slash}"),
        Hrefs::Absolute => format!("{ORIGIN}/{usual}{slash}"),
        Hrefs::OtherHost => format!("http://backend.internal:8080/{usual}{slash}"),
        Hrefs::Unencoded => {
            let text = path.replace('%', "%25").replace('&', "&amp;").replace('<', "&lt;");
            format!("/{text}{slash}")
        }
        Hrefs::LowerCase => {
            format!("/{}{slash}", escaped("-._~/;:@!$&'()*,+=", false).replace('&', "&amp;"))
        }
        Hrefs::All => format!("/{}{slash}", escaped("/", true)),
        Hrefs::OtherPrefix => format!("/backend/{usual}{slash}"),
    }
}

//! Which requests are sent, and with which credentials.
#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use syncmgr_host::Access;
use syncmgr_host::fuzzing::admit;
use syncmgr_host::http::{HttpAuth, HttpGrant, HttpPolicy};

const SECRET: &str = "hunter2-and-more";

/// The methods that change nothing.
const SAFE: [&str; 6] = ["GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH"];

/// Decodes a URL once. A signature changes its spelling, but not its meaning.
fn decoded(url: &str) -> String {
    let bytes = url.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = url.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Returns whether a URL is the granted one or below it, computed independently of the host.
fn is_below(url: &str, granted: &str) -> bool {
    let path = decoded(url.split(['?', '#']).next().unwrap_or(url));
    let granted = decoded(granted);
    let granted = granted.trim_end_matches('/');
    path.strip_prefix(granted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns whether a URL lists keys of a bucket, which begin with the granted path.
fn lists_below(url: &str, granted: &str) -> bool {
    let url = url.split('#').next().unwrap_or(url);
    let (root, query) = url.split_once('?').unwrap_or((url, ""));
    let mut prefixes = query.split('&').filter_map(|pair| pair.strip_prefix("prefix="));
    let prefix = prefixes.next().map(decoded).unwrap_or_default();
    let is_list = query.split('&').any(|pair| ["list-type=2", "uploads="].contains(&pair));
    let listed = format!("{}{prefix}", decoded(root));
    let granted = format!("{}/", decoded(granted).trim_end_matches('/'));
    let is_plain = prefix.split('/').all(|name| !["..", "."].contains(&name));
    is_list && prefixes.next().is_none() && listed.starts_with(&granted) && is_plain
}

// Lines: the kind of credentials, the method, the URL, a header's name, its value, and then the
// granted URLs, the first one with the credentials, every second one for reading.
fuzz_target!(|text: &str| {
    if text.contains(SECRET) {
        return;
    }
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (kind, method, url, name, value) = (next(), next(), next(), next(), next());
    let mut grants = Vec::new();
    for (at, granted) in lines.take(8).enumerate() {
        let access = if at % 2 == 0 { Access::ReadWrite } else { Access::ReadOnly };
        let name = if at == 0 { "server".to_owned() } else { format!("other{at}") };
        grants.extend(HttpGrant::new(&name, granted, access));
    }
    let auth = HttpAuth::new(kind, &format!("me:{SECRET}"));
    assert!(!format!("{auth:?}").contains(SECRET));
    let Ok(auth) = auth.or_else(|_| HttpAuth::new("bearer", SECRET)) else { return };
    let mut headers = HeaderMap::new();
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.append(name, value);
    }
    let policy = HttpPolicy::new(grants.clone());
    let Some((sent, headers)) = admit(&policy, &auth, method, url, headers) else { return };
    let is_s3 = kind.starts_with("aws-sigv4:");
    let covers = |grant: &&HttpGrant| {
        let lists = is_s3 && method == "GET" && grant.name() == "server";
        is_below(&sent, grant.url()) || lists && lists_below(&sent, grant.url())
    };
    let covering: Vec<_> = grants.iter().filter(covers).collect();
    let allows = |grant: &&HttpGrant| grant.access() == Access::ReadWrite || SAFE.contains(&method);
    assert!(covering.iter().any(allows), "{method} {sent} with {grants:?}");
    assert!(!["CONNECT", "TRACE", "TRACK"].iter().any(|one| one.eq_ignore_ascii_case(method)));
    let path = sent.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path.split('/').skip(3).map(decoded);
    assert!(segments.all(|segment| segment != "." && segment != ".."), "{sent}");
    assert!(!sent.contains('@') || sent.find('@') > sent.find("://").map(|at| at + 3), "{sent}");
    // The credentials are for the first grant only.
    let with_secret = sent.contains(SECRET) || headers.values().any(|value| value.is_sensitive());
    let is_first = covering.iter().any(|grant| grant.name() == "server");
    assert!(!with_secret || is_first, "{sent} {headers:?}");
    for source in headers.get_all("x-amz-copy-source") {
        let source = source.to_str().unwrap_or_default().split('?').next().unwrap_or_default();
        let source = decoded(source.trim_start_matches('/'));
        let (bucket, key) = source.split_once('/').unwrap_or((&source, ""));
        let origin = sent.split('/').take(3).collect::<Vec<_>>().join("/");
        let is_host = origin.contains(&format!("://{bucket}."));
        let is_inside = |grant: &HttpGrant| {
            is_below(&format!("{origin}/{source}"), grant.url())
                || is_host && is_below(&format!("{origin}/{key}"), grant.url())
        };
        assert!(grants.iter().any(is_inside), "{source} {sent}");
    }
    for destination in headers.get_all("destination") {
        let destination = destination.to_str().unwrap_or_default();
        let origin = sent.split('/').take(3).collect::<Vec<_>>().join("/");
        let scheme = origin.split(':').next().unwrap_or_default();
        let resolved = match (destination.strip_prefix('/'), destination.split_once("://")) {
            (Some(path), _) => format!("{origin}/{path}"),
            // Some servers behind a proxy know another scheme.
            (None, Some(("http" | "https", rest))) => format!("{scheme}://{rest}"),
            (None, _) => destination.to_owned(),
        };
        assert!(policy.check("PUT", &resolved).is_ok(), "{destination}");
    }
});

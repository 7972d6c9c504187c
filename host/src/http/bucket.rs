//! What requests to S3 name outside of their path: keys to list, and the source of a copy.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::grant::HttpGrant;
use super::path;

/// The parameters of `ListObjectsV2` and `ListMultipartUploads`.
const LIST_PARAMETERS: [&str; 12] = [
    "list-type",
    "uploads",
    "prefix",
    "delimiter",
    "encoding-type",
    "max-keys",
    "max-uploads",
    "continuation-token",
    "start-after",
    "fetch-owner",
    "key-marker",
    "upload-id-marker",
];

/// The ends of hosts whose names show where the bucket is.
const AWS: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];

/// Where URLs of a server may name the bucket.
#[derive(Clone, Copy, Debug)]
struct Style {
    in_path: bool,
    in_host: bool,
}

impl Style {
    fn of(host: &Host<String>) -> Self {
        let (path, either) =
            (Self { in_path: true, in_host: false }, Self { in_path: true, in_host: true });
        match host {
            // `s3` is too short for the name of a bucket.
            Host::Domain(name) if name.starts_with("s3.") => path,
            Host::Domain(name) if AWS.iter().any(|aws| name.ends_with(aws)) => {
                Self { in_path: !name.contains(".s3."), in_host: true }
            }
            Host::Domain(name) if name.contains('.') => either,
            Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => path,
        }
    }
}

/// Returns whether a URL lists only keys below the granted one: it is that of the bucket, and its
/// `prefix` is the rest of the granted path, or below it.
pub(super) fn lists_below(url: &Url, granted: &HttpGrant) -> bool {
    let (Some(root), Some(path)) = (decoded(url.path()), decoded(granted.path())) else {
        return false;
    };
    let style = Style::of(&granted.target.host);
    // Without the last `/`, a server that has the bucket in its name returns the object.
    let is_root = match &*root {
        "/" => style.in_host,
        _ => style.in_path && root.ends_with('/') && root.matches('/').count() == 2,
    };
    let Some(rest) = path.strip_prefix(&*root).filter(|rest| is_root && !rest.is_empty()) else {
        return false;
    };
    let rest = format!("{}/", rest.trim_end_matches('/'));
    let mut seen = Vec::new();
    for (name, value) in url.query_pairs() {
        let is_good = match &*name {
            "list-type" => value == "2",
            "uploads" => value.is_empty(),
            // A server with files may resolve `..`.
            "prefix" => value.starts_with(&rest) && path::is_plain(&format!("/{value}")),
            other => LIST_PARAMETERS.contains(&other),
        };
        if !is_good || seen.contains(&name) {
            return false;
        }
        seen.push(name);
    }
    let has = |name: &str| seen.iter().any(|one| one == name);
    has("prefix") && has("list-type") != has("uploads")
}

/// Returns whether the source of a copy, `BUCKET/KEY[?versionId=ID]`, is the granted URL or below
/// it.
pub(super) fn is_source_below(source: &str, granted: &HttpGrant) -> bool {
    let (source, version) = source.split_once('?').unwrap_or((source, "versionId="));
    let is_id =
        |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let source = format!("/{}", source.strip_prefix('/').unwrap_or(source));
    // Servers decode a `+` in different ways.
    let is_clear = path::is_plain(&source) && !source.contains('+');
    if !is_clear || !version.strip_prefix("versionId=").is_some_and(is_id) {
        return false;
    }
    let (Some(source), Some(path)) = (decoded(&source), decoded(granted.path())) else {
        return false;
    };
    let style = Style::of(&granted.target.host);
    let (bucket, key) = source[1..].split_at(source[1..].find('/').unwrap_or(source.len() - 1));
    let is_of_host =
        |name: &str| name.strip_prefix(bucket).is_some_and(|rest| rest.starts_with('.'));
    style.in_path && path::is_within(&source, &path)
        || style.in_host
            && matches!(&granted.target.host, Host::Domain(name) if is_of_host(name))
            && path::is_within(key, &path)
}

fn decoded(path: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(path).decode_utf8().ok()
}

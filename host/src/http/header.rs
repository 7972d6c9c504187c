//! Headers that only the host sets, and headers that name another resource.

use http::header::{EXPECT, HeaderMap, HeaderName, TRAILER};
use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;

use super::{Allowed, HttpDenial, HttpPolicy, bucket};
use crate::grants::Access;

/// Headers that make some servers use another method.
const METHOD_HEADERS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Headers that make some servers use another path.
const PATH_HEADERS: [&str; 2] = ["x-original-url", "x-rewrite-url"];

/// The target of a WebDAV `COPY` or `MOVE`: a URL, or a path. The scheme of the URL is that which
/// the server knows: behind a proxy with TLS, some require `http`. No connection is made to it.
const DESTINATION: &str = "destination";

/// The source of a copy within S3: `BUCKET/KEY`.
const COPY_SOURCE: &str = "x-amz-copy-source";

/// Returns whether only the host sets this header.
pub(super) fn is_forbidden(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name) || [EXPECT, TRAILER].contains(name)
}

/// Removes headers that would evade the policy, and checks those that name another resource: it
/// must be covered by the same grant.
pub(crate) fn check(
    policy: &HttpPolicy,
    allowed: &Allowed<'_>,
    headers: &mut HeaderMap,
) -> Result<(), HttpDenial> {
    for name in PATH_HEADERS {
        headers.remove(name);
    }
    if allowed.grant().access() == Access::ReadOnly || allowed.only_lists() {
        for name in METHOD_HEADERS {
            headers.remove(name);
        }
    }
    let denied = || HttpDenial::NotGranted { origin: allowed.origin(), elsewhere: true };
    for value in headers.get_all(DESTINATION) {
        let value = value.to_str().map_err(|_| denied())?;
        let origin = allowed.origin();
        let url = match value.split_once("://") {
            Some(("http" | "https", rest)) => {
                let (scheme, _) = origin.split_once("://").unwrap_or_default();
                format!("{scheme}://{rest}")
            }
            None if value.starts_with('/') && !value.starts_with("//") => {
                format!("{origin}{value}")
            }
            Some(_) | None => value.to_owned(),
        };
        // The method of the request may be one that changes nothing.
        let destination = policy.check("PUT", &url)?;
        if destination.grant() != allowed.grant() {
            return Err(denied());
        }
    }
    for value in headers.get_all(COPY_SOURCE) {
        let value = value.to_str().map_err(|_| denied())?;
        if !bucket::is_source_below(value, allowed.grant()) {
            return Err(denied());
        }
    }
    Ok(())
}

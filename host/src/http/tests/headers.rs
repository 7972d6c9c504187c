//! Headers of requests that name other resources.

use http::HeaderMap;

use super::*;

#[test]
fn headers_name_no_other_resource() {
    let policy = policy(&[
        "https://dav.example/me/",
        "https://dav.example/you/",
        "https://s3.example/b/k/",
        "https://me.s3.eu.amazonaws.com/k/",
        "http://plain.example/me/",
    ]);
    for (url, name, value, outcome) in [
        ("https://dav.example/me/a", "destination", "https://dav.example/me/b", "kept"),
        ("https://dav.example/me/a", "destination", "/me/b", "kept"),
        ("https://dav.example/me/a", "destination", "https://DAV.example:443/me/b", "kept"),
        ("https://dav.example/me/a", "destination", "http://dav.example/me/b", "kept"),
        ("http://plain.example/me/a", "destination", "https://plain.example/me/b", "kept"),
        ("https://dav.example/me/a", "destination", "http://dav.example:443/me/b", "kept"),
        (
            "https://dav.example/me/a",
            "destination",
            "http://dav.example:80/me/b",
            "http-not-granted",
        ),
        ("https://dav.example/me/a", "destination", "http://dav.example/men", "http-not-granted"),
        ("https://dav.example/me/a", "destination", "http://dav.example/me/../x", "http-path"),
        ("https://dav.example/me/a", "destination", "http://me@dav.example/me/b", "http-user-info"),
        ("https://dav.example/me/a", "destination", "http://evil.example/me/b", "http-not-granted"),
        ("https://dav.example/me/a", "destination", "ftp://dav.example/me/b", "http-scheme"),
        (
            "https://dav.example/me/a",
            "destination",
            "https://dav.example/you/b",
            "http-not-granted",
        ),
        ("https://dav.example/me/a", "destination", "/men", "http-not-granted"),
        ("https://dav.example/me/a", "destination", "/me/../x", "http-path"),
        ("https://dav.example/me/a", "destination", "/me/%2e%2e/x", "http-path"),
        ("https://dav.example/me/a", "destination", "//evil.example/me/b", "http-url"),
        (
            "https://dav.example/me/a",
            "destination",
            "https://evil.example/me/b",
            "http-not-granted",
        ),
        ("https://dav.example/me/a", "destination", "b", "http-url"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "/b/k/c", "kept"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "b/k/c?versionId=1", "kept"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "b/other", "http-not-granted"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "b/k/../other", "http-not-granted"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "c/k/c", "http-not-granted"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "b%2Fk%2Fc%20d", "kept"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "/%62/k/c", "kept"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "b/kc", "http-not-granted"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "b/k%2F%2E%2E%2Fx", "http-not-granted"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "b/k/%252e%252e/x", "http-not-granted"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "%2Fb/k/c", "http-not-granted"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "b/k/c+d", "http-not-granted"),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "b/k/c?/../../x", "http-not-granted"),
        (
            "https://s3.example/b/k/a",
            "x-amz-copy-source",
            "b/k/c?versionId=1/../../x",
            "http-not-granted",
        ),
        ("https://s3.example/b/k/a", "x-amz-copy-source", "s3/b/k/c", "http-not-granted"),
        ("https://me.s3.eu.amazonaws.com/k/a", "x-amz-copy-source", "/me/k/c", "kept"),
        (
            "https://me.s3.eu.amazonaws.com/k/a",
            "x-amz-copy-source",
            "/me/other",
            "http-not-granted",
        ),
        ("https://me.s3.eu.amazonaws.com/k/a", "x-amz-copy-source", "/you/k/c", "http-not-granted"),
        ("https://me.s3.eu.amazonaws.com/k/a", "x-amz-copy-source", "/k/c", "http-not-granted"),
        ("https://me.s3.eu.amazonaws.com/k/a", "x-amz-copy-source", "/m/k/c", "http-not-granted"),
        ("https://dav.example/me/a", "x-original-url", "/you/b", "removed"),
        ("https://dav.example/me/a", "x-rewrite-url", "/you/b", "removed"),
        ("https://dav.example/me/a", "x-other", "/you/b", "kept"),
    ] {
        let allowed = policy.check("PUT", url).unwrap();
        let mut headers = HeaderMap::new();
        headers.append(name, value.parse().unwrap());
        let found = match header::check(&policy, &allowed, &mut headers) {
            Ok(()) if headers.is_empty() => "removed",
            Ok(()) => "kept",
            Err(denial) => denial.code(),
        };
        assert_eq!(found, outcome, "{url} {name} {value}");
    }
    // Every value of a header is checked.
    let allowed = policy.check("MOVE", "https://dav.example/me/a").unwrap();
    let mut headers = HeaderMap::new();
    headers.append("destination", "/me/b".parse().unwrap());
    headers.append("destination", "/you/b".parse().unwrap());
    assert!(header::check(&policy, &allowed, &mut headers).is_err());
}

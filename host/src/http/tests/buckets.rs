//! Lists of a bucket below a granted path.

use http::HeaderMap;

use super::*;

/// Returns the name of the grant that allows a request, or the code of the denial. Requests for
/// grants with the name `bucket` are signed.
fn allowed(grants: &[(&str, &str)], method: &str, url: &str) -> String {
    let grants =
        grants.iter().map(|(name, url)| HttpGrant::new(name, url, Access::ReadWrite).unwrap());
    let auth = [
        ("bucket", HttpAuth::new("aws-sigv4:eu-central-1", "id:key").unwrap()),
        ("other", HttpAuth::new("basic", "id:key").unwrap()),
    ];
    let auth = auth.iter().map(|(name, auth)| (*name, auth));
    let policy = HttpPolicy::new(grants.collect()).with_auth(auth);
    match policy.check(method, url) {
        Ok(allowed) => allowed.grant().name().to_owned(),
        Err(denial) => denial.code().to_owned(),
    }
}

#[test]
fn a_bucket_may_be_listed_below_the_granted_path() {
    const DENIED: &str = "http-not-granted";
    for (grant, url, outcome) in [
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/", "bucket"),
        ("/b/a/k", "/b/?list-type=2&prefix=a%2Fk%2F", "bucket"),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/x/y", "bucket"),
        ("/b/%C3%BC%20k/", "/b/?prefix=%c3%bc+k/&list-type=2", "bucket"),
        (
            "/b/a/k/",
            "/b/?list-type=2&prefix=a/k/&delimiter=%2F&max-keys=1000&encoding-type=url\
             &fetch-owner=true&start-after=x&continuation-token=a%2Bb%3D",
            "bucket",
        ),
        (
            "/b/a/k/",
            "/b/?uploads&prefix=a/k/&key-marker=x&upload-id-marker=y&max-uploads=9",
            "bucket",
        ),
        ("/b/a/k/", "/b/?uploads=&prefix=a/k/", "bucket"),
        // Only what is below the granted path.
        ("/b/a/k/", "/b/?list-type=2", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/kk/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=/a/k/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=b/a/k/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=A/k/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a%252Fk%252F", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/../x/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/%252e%252e/x/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k//x", DENIED),
        ("/b/a/k/", "/c/?list-type=2&prefix=a/k/", DENIED),
        ("/b/a/k/", "/?list-type=2&prefix=b/a/k/", DENIED),
        ("/b/a/k/", "/b/a/?list-type=2&prefix=k/", DENIED),
        ("/b/a/k/", "/b?list-type=2&prefix=a/k/", DENIED),
        ("/b/a/k/", "/b//?list-type=2&prefix=a/k/", "http-path"),
        // Only lists, and each parameter once.
        ("/b/a/k/", "/b/", DENIED),
        ("/b/a/k/", "/b/?prefix=a/k/", DENIED),
        ("/b/a/k/", "/b/?list-type=1&prefix=a/k/", DENIED),
        ("/b/a/k/", "/b/?list-type&prefix=a/k/", DENIED),
        ("/b/a/k/", "/b/?uploads=x&prefix=a/k/", DENIED),
        ("/b/a/k/", "/b/?uploads&list-type=2&prefix=a/k/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/&prefix=", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/&%70refix=a/k/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&list-type=2&prefix=a/k/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&Prefix=a/k/", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/&versions", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/&acl", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/&policy=", DENIED),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/&", "bucket"),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/x;acl", "bucket"),
        ("/b/a/k/", "/b/?list-type=2&prefix=a/k/;acl", DENIED),
    ] {
        let (grant, url) =
            (format!("https://s3.example{grant}"), format!("https://s3.example{url}"));
        assert_eq!(allowed(&[("bucket", &grant)], "GET", &url), outcome, "{url} with {grant}");
        assert_eq!(
            allowed(&[("other", &grant)], "GET", &url),
            match outcome {
                "bucket" => DENIED,
                denied => denied,
            }
        );
        for method in ["HEAD", "POST", "PUT", "DELETE", "get"] {
            let found = allowed(&[("bucket", &grant)], method, &url);
            assert!(found.starts_with("http-"), "{method} {url} with {grant}");
        }
    }
    let list = "?list-type=2&prefix=";
    for (host, roots) in [
        // Whether the bucket may be in the path, and in the host.
        ("https://s3.example", [true, false]),
        ("https://s3.eu-central-1.amazonaws.com", [true, false]),
        ("https://me.s3.amazonaws.com", [false, true]),
        ("https://me.s3.dualstack.eu-central-1.amazonaws.com", [false, true]),
        ("https://me.s3.cn-north-1.amazonaws.com.cn", [false, true]),
        ("https://me.s3-eu-west-1.amazonaws.com", [true, true]),
        ("https://me.s3.example", [true, true]),
        ("https://minio.example:9000", [true, true]),
        ("https://nas", [true, false]),
        ("https://localhost:8333", [true, false]),
        ("https://192.0.2.1", [true, false]),
        ("https://[2001:db8::1]", [true, false]),
    ] {
        let grant = format!("{host}/b/k/");
        for (url, is_root) in [("/b/", "k/"), ("/", "b/k/")].iter().zip(roots) {
            let url = format!("{host}{}{list}{}", url.0, url.1);
            let outcome = if is_root { "bucket" } else { DENIED };
            assert_eq!(allowed(&[("bucket", &grant)], "GET", &url), outcome, "{url}");
        }
    }
}

#[test]
fn the_grant_below_which_a_request_lists_decides() {
    let all = [
        ("wide", "https://s3.example/b/"),
        ("bucket", "https://s3.example/b/k/"),
        ("other", "https://s3.example/b/m/"),
    ];
    for (url, name) in [
        ("https://s3.example/b/?list-type=2&prefix=k/", "bucket"),
        ("https://s3.example/b/?list-type=2&prefix=k", "wide"),
        ("https://s3.example/b/?list-type=2&prefix=m/", "wide"),
        ("https://other.example/b/?list-type=2&prefix=k/", "http-not-granted"),
        ("http://s3.example/b/?list-type=2&prefix=k/", "http-not-granted"),
    ] {
        assert_eq!(allowed(&all, "GET", url), name, "{url}");
    }
}

#[test]
fn a_list_of_a_bucket_is_not_another_method() {
    let auth = HttpAuth::new("aws-sigv4:eu-central-1", "id:key").unwrap();
    let policy = policy(&["https://s3.example/b/k/"]).with_auth([("server", &auth)]);
    for (url, kept) in
        [("https://s3.example/b/?list-type=2&prefix=k/", false), ("https://s3.example/b/k/x", true)]
    {
        let allowed = policy.check("GET", url).unwrap();
        let mut headers = HeaderMap::new();
        headers.append("x-http-method-override", "DELETE".parse().unwrap());
        header::check(&policy, &allowed, &mut headers).unwrap();
        assert_eq!(!headers.is_empty(), kept, "{url}");
    }
}

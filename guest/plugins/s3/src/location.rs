//! The place of a bucket and of a prefix in it, and the URLs of objects.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use syncmgr_plugin::{Error, ErrorCode, Result};

/// The characters of a value that a URL encodes: all but the unreserved ones (RFC 3986).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A path keeps `/`.
const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// The maximum length of a key in bytes.
pub const MAX_KEY: usize = 1024;

/// A prefix of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The URL of the bucket, which ends with `/`.
    url: String,
    /// The name of the bucket.
    bucket: String,
    /// The start of all keys: empty, or it ends with `/`.
    prefix: String,
}

impl Location {
    /// Reads a URL. `place` is where the name of the bucket is: `host` or `path`. Without it, the
    /// host decides: the name is in the hosts of AWS that begin with it, otherwise in the path.
    ///
    /// # Errors
    /// Fails if the URL names no bucket, or a prefix that is no path.
    pub fn new(url: &str, place: Option<&str>) -> Result<Self> {
        let invalid = |why: &str| Error::new(ErrorCode::InvalidArgument, format!("{url}: {why}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("it is no URL"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = percent_decode_str(path).decode_utf8();
        let path = path.map_err(|_| invalid("it is not UTF-8 once it is decoded"))?;
        let path = path.trim_end_matches('/');
        let is_in_host = match place {
            None | Some("") => aws_bucket(host).is_some(),
            Some("host") => true,
            Some("path") => false,
            Some(other) => {
                let message = format!("setting `bucket` is `{other}`; use host or path");
                return Err(Error::new(ErrorCode::InvalidArgument, message));
            }
        };
        let (bucket, prefix, url) = match is_in_host {
            true => {
                let first = host.split('.').next().unwrap_or_default();
                (aws_bucket(host).unwrap_or(first), path, format!("{scheme}://{host}/"))
            }
            false => {
                let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
                (bucket, prefix, format!("{scheme}://{host}/{}/", encode(bucket)))
            }
        };
        if bucket.is_empty() {
            return Err(invalid("it names no bucket; add its name to the path"));
        }
        if !prefix.is_empty() && !is_path(prefix) {
            return Err(invalid("its prefix is no path; use one such as `photos/2026`"));
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { url, bucket: bucket.to_owned(), prefix })
    }

    /// Returns the URL of an object.
    pub fn object(&self, path: &str) -> String {
        format!("{}{}", self.url, encode(&self.key(path)))
    }

    /// Returns the key of an object.
    pub fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Returns the path of a key below the prefix.
    pub fn path<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.prefix)
    }

    /// Returns the name of an object as the source of a copy.
    pub fn source(&self, path: &str) -> String {
        format!("/{}/{}", encode(&self.bucket), encode(&self.key(path)))
    }

    /// Returns the URL that lists objects, with these parameters.
    pub fn list(&self, parameters: &[(&str, &str)]) -> String {
        let parameters = parameters
            .iter()
            .map(|(name, value)| format!("&{name}={}", utf8_percent_encode(value, ENCODED)));
        format!("{}?list-type=2&encoding-type=url{}", self.url, parameters.collect::<String>())
    }
}

/// Encodes a path.
pub fn encode(path: &str) -> String {
    utf8_percent_encode(path, ENCODED_IN_PATH).to_string()
}

/// Encodes a value of a query.
pub fn encode_value(value: &str) -> String {
    utf8_percent_encode(value, ENCODED).to_string()
}

/// Returns whether each part of a text is the name of an entry.
pub fn is_path(text: &str) -> bool {
    text.split('/').all(|name| !["", ".", ".."].contains(&name) && !name.contains('\0'))
}

/// Returns the bucket in a host of AWS, such as `photos` in `photos.s3.eu-central-1.amazonaws.com`.
fn aws_bucket(host: &str) -> Option<&str> {
    let host = host.strip_suffix(".amazonaws.com")?;
    let end = host.rfind(".s3.").or_else(|| host.rfind(".s3-"));
    end.or_else(|| host.ends_with(".s3").then(|| host.len() - 3)).map(|end| &host[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_a_prefix() {
        for (url, place, object) in [
            ("https://s3.example/b/", None, Some(("https://s3.example/b/a%20b/c", "/b/a%20b/c"))),
            ("https://s3.example/b", None, Some(("https://s3.example/b/a%20b/c", "/b/a%20b/c"))),
            (
                "http://[::1]:9000/b/p%C3%A9/q/",
                None,
                Some(("http://[::1]:9000/b/p%C3%A9/q/a%20b/c", "/b/p%C3%A9/q/a%20b/c")),
            ),
            (
                "https://my.b.s3.eu-central-1.amazonaws.com/p/",
                None,
                Some(("https://my.b.s3.eu-central-1.amazonaws.com/p/a%20b/c", "/my.b/p/a%20b/c")),
            ),
            (
                "https://b.s3.amazonaws.com/",
                None,
                Some(("https://b.s3.amazonaws.com/a%20b/c", "/b/a%20b/c")),
            ),
            (
                "https://s3.eu-central-1.amazonaws.com/b/",
                None,
                Some(("https://s3.eu-central-1.amazonaws.com/b/a%20b/c", "/b/a%20b/c")),
            ),
            (
                "https://b.fra1.example/p/",
                Some("host"),
                Some(("https://b.fra1.example/p/a%20b/c", "/b/p/a%20b/c")),
            ),
            (
                "https://b.s3.amazonaws.com/c/",
                Some("path"),
                Some(("https://b.s3.amazonaws.com/c/a%20b/c", "/c/a%20b/c")),
            ),
            ("https://s3.example/", None, None),
            ("https://s3.example/b//p/", None, None),
            ("https://s3.example/b/p/../q/", None, None),
            ("https://s3.example/b/%ff/", None, None),
            ("https://s3.example/b/", Some("name"), None),
        ] {
            let found = Location::new(url, place).ok();
            let found = found.map(|found| (found.object("a b/c"), found.source("a b/c")));
            let found = found.as_ref().map(|(object, source)| (&**object, &**source));
            assert_eq!(found, object, "{url} {place:?}");
        }
    }

    #[test]
    fn a_list_has_encoded_parameters() {
        let location = Location::new("https://s3.example/b/p/", None).unwrap();
        assert_eq!(
            location.list(&[("prefix", &location.key("a b/")), ("delimiter", "/")]),
            "https://s3.example/b/?list-type=2&encoding-type=url&prefix=p%2Fa%20b%2F&delimiter=%2F"
        );
        assert_eq!(location.path("p/a"), Some("a"));
        assert_eq!(location.path("q/a"), None);
    }
}

//! URLs of entries. A path is decoded, and a URL is encoded.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use syncmgr_plugin::{Error, ErrorCode, Result};

/// The characters of a name that a URL encodes: all but the unreserved ones (RFC 3986).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes a path.
pub fn encode(path: &str) -> String {
    let names: Vec<_> =
        path.split('/').map(|name| utf8_percent_encode(name, ENCODED).to_string()).collect();
    names.join("/")
}

/// Returns the decoded path of an absolute URL, or of the path of one, without `/` at its ends.
/// Servers write the same path in several ways. A `?` or `#` is one of a server that encodes nothing.
///
/// # Errors
/// Fails if it is not valid UTF-8 once it is decoded.
pub fn decode(href: &str) -> Result<String> {
    let path = match href.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => href,
    };
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| {
        Error::new(ErrorCode::InvalidArgument, format!("the URL {path} is not UTF-8"))
    })?;
    Ok(decoded.trim_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_paths_are_decoded_alike() {
        for (href, path) in [
            ("/dav/a%20b/c", "dav/a b/c"),
            ("/dav/a b/c/", "dav/a b/c"),
            ("https://dav.example.org/dav/%C3%A9", "dav/é"),
            ("https://dav.example.org", ""),
            ("/dav/%c3%a9", "dav/é"),
            ("/dav/é", "dav/é"),
            ("/dav/100%25", "dav/100%"),
            ("/dav/a;b", "dav/a;b"),
            ("/dav/what?#", "dav/what?#"),
            ("/dav/a%2520b", "dav/a%20b"),
            ("/", ""),
        ] {
            assert_eq!(decode(href).unwrap(), path, "{href}");
        }
        assert!(decode("/dav/%ff").is_err());
    }

    proptest! {
        #[test]
        fn an_encoded_path_is_decoded_to_itself(names in prop::collection::vec("[^/]{1,8}", 1..4)) {
            let path = names.join("/");
            prop_assert_eq!(decode(&format!("/{}", encode(&path))).unwrap(), path);
        }
    }
}

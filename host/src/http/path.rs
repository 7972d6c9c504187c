//! Paths of URLs that every server understands in the same way.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Returns whether a path has no `.`, `..` or empty segments, no `\` and no control characters,
/// however often a server decodes it. An empty last segment is allowed.
pub(super) fn is_plain(path: &str) -> bool {
    let mut decoded = Cow::Borrowed(path.as_bytes());
    loop {
        if !is_plain_once(&decoded) {
            return false;
        }
        // Each round is shorter than the one before.
        let text = String::from_utf8_lossy(&decoded).into_owned();
        let next: Vec<u8> = percent_decode_str(&text).collect();
        if next == text.as_bytes() {
            return true;
        }
        decoded = Cow::Owned(next);
    }
}

fn is_plain_once(path: &[u8]) -> bool {
    if path.is_empty() || path == b"/" {
        return true;
    }
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    // Some servers drop what follows a `;` in a segment before they resolve `..`.
    let name = |segment: &[u8]| segment.split(|&byte| byte == b';').next().map(<[u8]>::to_vec);
    let good =
        |segment: &[u8]| !matches!(name(segment).as_deref(), None | Some(b"" | b"." | b".."));
    let bad = |byte: &u8| byte.is_ascii_control() || *byte == b'\\';
    !path.iter().any(bad) && path.split(|&byte| byte == b'/').all(good)
}

/// Returns whether a path is `base` or below it. A `/` at the end of `base` has no meaning.
pub(super) fn is_within(path: &str, base: &str) -> bool {
    let base = base.strip_suffix('/').unwrap_or(base);
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_several_meanings_are_not_plain() {
        for (path, plain) in [
            ("", true),
            ("/", true),
            ("/a/b", true),
            ("/a/b/", true),
            ("/a%20b/100%25.txt", true),
            ("/a..b/...", true),
            ("/.hidden", true),
            ("//", false),
            ("/a//b", false),
            ("/a//", false),
            ("/a/../b", false),
            ("/a/..", false),
            ("/./a", false),
            ("/a/%2e%2e/b", false),
            ("/a/%2E./b", false),
            ("/a/%252e%252e/b", false),
            ("/a%2f..%2fb", false),
            ("/a%2f%2fb", false),
            ("/a\\..\\b", false),
            ("/a%5c..%5cb", false),
            ("/a/%25252e%25252e", false),
            ("/a/..;/b", false),
            ("/a/..%3bx=y/b", false),
            ("/a/;x/b", false),
            ("/a;x/b", true),
            ("/a%00", false),
            ("/a%250d%250ab", false),
        ] {
            assert_eq!(is_plain(path), plain, "{path}");
        }
    }

    #[test]
    fn a_base_contains_itself_and_what_is_below() {
        for (path, base, within) in [
            ("/", "/", true),
            ("/a", "/", true),
            ("/files/me", "/files/me/", true),
            ("/files/me/", "/files/me", true),
            ("/files/me/a", "/files/me", true),
            ("/files/men", "/files/me", false),
            ("/files", "/files/me", false),
            ("/FILES/me", "/files/me", false),
        ] {
            assert_eq!(is_within(path, base), within, "{path} in {base}");
        }
    }
}

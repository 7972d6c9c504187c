//! The challenge of a registry that requires a login: the header `WWW-Authenticate` of RFC 9110.

/// The longest header that is read, in bytes.
const MAX_BYTES: usize = 4096;

/// How a registry wants to be authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// By the user's name and password.
    Basic,
    /// By a token of another service.
    Bearer {
        /// The URL of the service.
        realm: String,
        /// The name of the registry there.
        service: Option<String>,
    },
}

impl Challenge {
    /// Parses a header. The scope that the registry names is ignored: the program knows which
    /// access it needs.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let header = Some(header).filter(|header| header.len() <= MAX_BYTES)?.trim();
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        for (name, value) in parameters(rest)? {
            let place = match name.to_ascii_lowercase().as_str() {
                "realm" => &mut realm,
                "service" => &mut service,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(Self::Bearer { realm: realm?, service })
    }
}

/// Splits `name="value", name=value` into its parameters.
fn parameters(mut text: &str) -> Option<Vec<(&str, String)>> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if text.is_empty() {
            return Some(found);
        }
        let (name, rest) = text.split_once('=')?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return None;
        }
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (value, rest) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (value.trim().to_owned(), rest)
            }
        };
        if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return None;
        }
        found.push((name, value));
        text = rest;
    }
}

/// Returns the text up to the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn challenges_are_parsed() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.map(str::to_owned) })
        };
        for (header, expected) in [
            (
                r#"Bearer realm="https://a.example/token",service="r.example",scope="x:y:pull""#,
                bearer("https://a.example/token", Some("r.example")),
            ),
            (r#"bearer REALM="https://a.example/""#, bearer("https://a.example/", None)),
            ("Bearer realm=https://a.example/, x=1", bearer("https://a.example/", None)),
            (r#"Bearer realm="a\"b""#, bearer("a\"b", None)),
            (r#"Basic realm="r.example""#, Some(Challenge::Basic)),
            ("Basic", Some(Challenge::Basic)),
            ("Bearer", None),
            ("Bearer service=\"r\"", None),
            ("Bearer realm=\"open", None),
            ("Bearer realm=\"a\\", None),
            ("Bearer realm=\"a\", realm=\"b\"", None),
            ("Bearer realm=\"a\u{7f}\"", None),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
        assert_eq!(Challenge::parse(&format!("Bearer realm=\"{}\"", "x".repeat(5000))), None);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(header in "(Bearer )?[ -~\"\\\\=,é]{0,80}") {
            let _ = Challenge::parse(&header);
        }
    }
}

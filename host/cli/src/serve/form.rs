//! The fields of a query or of the body of a form.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The maximum number of fields.
const MAX_FIELDS: usize = 64;

/// The fields of a query or of the body of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Parses `application/x-www-form-urlencoded`. Every text has a meaning; further fields are
    /// ignored.
    pub(super) fn parse(text: &str) -> Self {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let fields = text.split('&').filter(|field| !field.is_empty()).take(MAX_FIELDS);
        let fields = fields.map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            (decode(name), decode(value))
        });
        Self(fields.collect())
    }

    /// Returns the value of a field, if it is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// Returns the values of all fields of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// Returns the number in a field.
    pub(super) fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        self.get(name)?.parse().ok()
    }
}

/// Returns a path with a query of these fields, without those that have no value.
pub(super) fn link(path: &str, fields: &[(&str, Option<&str>)]) -> String {
    let fields = fields.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    let query: Vec<_> = fields
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", query.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_fields() {
        for (text, name, expected) in [
            ("a=1&b=2", "b", Some("2")),
            ("a=x+y%26%3D%2B", "a", Some("x y&=+")),
            ("a=1&a=2", "a", Some("1")),
            ("a", "a", None),
            ("a=%20", "a", None),
            ("=1&&%", "", Some("1")),
            ("a=%ff%00<", "a", Some("\u{fffd}\0<")),
            ("a=%zz%", "a", Some("%zz%")),
            (&("x&".repeat(64) + "a=1"), "a", None),
        ] {
            assert_eq!(Form::parse(text).get(name), expected, "{text}");
        }
    }

    #[test]
    fn a_link_keeps_every_value() {
        for value in ["docs", "a b&c=d#e?f", "ü\u{202e}\"'<", "../.."] {
            let link = link("/history", &[("item", Some(value)), ("path", None)]);
            let query = link.strip_prefix("/history?").unwrap();
            assert_eq!(Form::parse(query).get("item"), Some(value), "{link}");
        }
        assert_eq!(link("/", &[("item", None)]), "/");
    }
}

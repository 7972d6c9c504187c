//! Redacts secrets in all texts that a plugin prints, reports and logs.

use std::ops::Range;
use std::sync::Arc;

/// The minimum length of a redacted line. Shorter lines of a secret would match too much text.
const LINE_BYTES: usize = 8;

/// The replacement of a secret.
const MASK: &str = "[secret]";

/// The secrets of a session. Every text from the plugin is redacted before it leaves the host.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Arc<[String]>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Redacts each value as it is, without surrounding whitespace, line by line, and as quoted by
    /// Rust and other languages. Empty values redact nothing.
    pub(crate) fn new(values: impl Iterator<Item = String>) -> Self {
        let spellings = |value: String| {
            let trimmed = value.trim().to_owned();
            let quoted = value.escape_debug().to_string();
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= LINE_BYTES);
            let lines: Vec<_> = lines.map(str::to_owned).collect();
            [value, trimmed, quoted].into_iter().chain(lines)
        };
        let mut values: Vec<_> = values.flat_map(spellings).filter(|one| !one.is_empty()).collect();
        values.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        values.dedup();
        Self(values.into())
    }

    /// Returns the text with every secret replaced by the mask.
    pub(crate) fn redact(&self, text: String) -> String {
        match self.0.iter().any(|secret| text.contains(secret.as_str())) {
            true => self.shown(text.as_bytes(), 0),
            false => text,
        }
    }

    /// Returns the bytes from a position on as text, with every secret masked, including one that
    /// begins before the position.
    pub(crate) fn shown(&self, bytes: &[u8], from: usize) -> String {
        let mut shown = String::new();
        let mut at = from;
        for secret in self.find(bytes).into_iter().skip_while(|secret| secret.end <= from) {
            if at < secret.start {
                shown.push_str(&String::from_utf8_lossy(&bytes[at..secret.start]));
            }
            shown.push_str(MASK);
            at = secret.end;
        }
        shown.push_str(&String::from_utf8_lossy(&bytes[at..]));
        shown
    }

    /// Returns the ranges of secrets, in order. Ranges that touch or overlap are merged: redacting
    /// only one of two would reveal part of the other.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for secret in self.0.iter() {
            find_all(bytes, secret.as_bytes(), &mut found);
        }
        found.sort_unstable_by_key(|range| range.start);
        let mut merged = Vec::new();
        found.into_iter().for_each(|range| push(&mut merged, range));
        merged
    }

    /// Returns the last position at which the bytes can be cut without cutting a secret, if more
    /// bytes may follow: after a line feed, or (`anywhere`) after any byte.
    pub(crate) fn last_cut(&self, bytes: &[u8], anywhere: bool) -> usize {
        let mut found = Vec::new();
        for secret in self.0.iter() {
            let begun = find_all(bytes, secret.as_bytes(), &mut found);
            if begun > 0 {
                // The secret may end after these bytes.
                found.push(bytes.len() - begun..bytes.len() + 1);
            }
        }
        found.sort_unstable_by_key(|range| range.start);
        let mut secrets = Vec::new();
        found.into_iter().for_each(|range| push(&mut secrets, range));
        let is_in_secret = |at: usize| {
            let before = secrets.partition_point(|secret| secret.start < at);
            before > 0 && at < secrets[before - 1].end
        };
        let mut places = (1..=bytes.len()).rev();
        let cut = places.find(|&at| (anywhere || bytes[at - 1] == b'\n') && !is_in_secret(at));
        cut.unwrap_or(0)
    }

    /// Returns the length of the longest secret in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.0.first().map_or(0, String::len)
    }
}

/// Adds a range that does not start before the last one.
fn push(ranges: &mut Vec<Range<usize>>, range: Range<usize>) {
    match ranges.last_mut().filter(|last| (last.start..=last.end).contains(&range.start)) {
        Some(last) => last.end = last.end.max(range.end),
        None => ranges.push(range),
    }
}

/// Finds all occurrences of a non-empty text, including overlapping ones, in linear time (Knuth,
/// Morris and Pratt): the input may be long and crafted to be slow. Returns the length of the
/// longest proper prefix of the text with which the bytes end.
fn find_all(bytes: &[u8], text: &[u8], found: &mut Vec<Range<usize>>) -> usize {
    // For each prefix of the text, the length of its longest proper suffix that is also a prefix.
    let mut shorter = vec![0; text.len()];
    let mut matched = 0;
    for at in 1..text.len() {
        while matched > 0 && text[matched] != text[at] {
            matched = shorter[matched - 1];
        }
        matched += usize::from(text[matched] == text[at]);
        shorter[at] = matched;
    }
    matched = 0;
    for (at, byte) in bytes.iter().enumerate() {
        while matched > 0 && text.get(matched) != Some(byte) {
            matched = shorter[matched - 1];
        }
        matched += usize::from(text[matched] == *byte);
        if matched == text.len() {
            push(found, at + 1 - matched..at + 1);
        }
    }
    if matched == text.len() { shorter[matched - 1] } else { matched }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_are() {
        let secrets = ["", "hunter2", "hunter2-and-more"];
        let secrets = Secrets::new(secrets.into_iter().map(str::to_owned));
        for (text, expected) in [
            ("nothing", "nothing"),
            ("a hunter2, a hunter2", "a [secret], a [secret]"),
            ("hunter2-and-more", "[secret]"),
            ("hunter", "hunter"),
        ] {
            assert_eq!(secrets.redact(text.to_owned()), expected);
        }
        assert_eq!(format!("{secrets:?}"), "Secrets(2)");
    }

    #[test]
    fn a_secret_of_several_lines_is_masked_in_each_spelling() {
        let key = " BEGIN KEY\nabcdefgh\nx\n".to_owned();
        let secrets = Secrets::new(std::iter::once(key.clone()));
        for text in [key.clone(), key.trim().to_owned(), format!("{key:?}"), "abcdefgh".to_owned()]
        {
            let hidden = secrets.redact(text);
            assert!(!hidden.contains("abcdefgh"), "{hidden}");
        }
    }

    #[test]
    fn secrets_that_overlap_are_masked_as_a_whole() {
        let secrets = Secrets::new(["abc", "bcda", "xyx", "e"].into_iter().map(str::to_owned));
        for (text, expected) in [
            ("-abcda-", "-[secret]-"),
            ("-abcabcda-", "-[secret]-"),
            ("-xyxyx-", "-[secret]-"),
            ("-xyxabc-xy-", "-[secret]-xy-"),
            // A part of the mask may be a secret, too.
            ("-e-abc-", "-[secret]-[secret]-"),
            ("-eee-", "-[secret]-"),
        ] {
            assert_eq!(secrets.redact(text.to_owned()), expected);
        }
    }
}

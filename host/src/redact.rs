//! Redacts secrets in all texts that a plugin prints, reports and logs.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// The minimum length of a redacted line. Shorter lines of a secret would match too much text.
const LINE_BYTES: usize = 8;

/// The replacement of a secret.
pub(crate) const MASK: &str = "[secret]";

/// The secrets of a session. Every text from the plugin is redacted before it leaves the host.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    values: Arc<BTreeSet<String>>,
    /// Finds the values; `None` if there are none.
    finder: Option<AhoCorasick>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.values.len())
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
        let values: BTreeSet<_> =
            values.flat_map(spellings).filter(|one| !one.is_empty()).collect();
        let finder = (!values.is_empty()).then(|| {
            let mut builder = AhoCorasick::builder();
            // A DFA would take memory for each byte of a long secret.
            builder.kind(Some(AhoCorasickKind::ContiguousNFA));
            builder.build(&values).expect("secrets are smaller than 2 GiB")
        });
        Self { values: values.into(), finder }
    }

    /// Returns the text with every secret replaced by the mask.
    #[inline]
    pub(crate) fn redact(&self, text: String) -> String {
        // Inlined: passing on a text that was just read takes a tenth of the time of a report.
        match &self.finder {
            None => text,
            Some(finder) => self.redact_with(finder, text),
        }
    }

    #[cold]
    #[inline(never)]
    fn redact_with(&self, finder: &AhoCorasick, text: String) -> String {
        match finder.is_match(&text) {
            true => self.shown(text.as_bytes(), 0),
            false => text,
        }
    }

    /// Returns the bytes from a position on as text, with every secret masked, including one that
    /// begins before the position.
    pub(crate) fn shown(&self, bytes: &[u8], from: usize) -> String {
        String::from_utf8_lossy(&masked(bytes, from, self.find(bytes))).into_owned()
    }

    /// Returns the bytes with every secret masked, as it is or percent-encoded in any way.
    pub(crate) fn redact_encoded(&self, bytes: &[u8]) -> Vec<u8> {
        let mut redacted = masked(bytes, 0, self.find(bytes));
        if self.finder.is_some() && redacted.iter().any(|byte| b"%+".contains(byte)) {
            // In the query of a URL, `+` may be a space.
            for plus in [b'+', b' '] {
                let (decoded, mut starts) = decoded(&redacted, plus);
                starts.push(redacted.len());
                let found = self.find(&decoded).into_iter();
                let found = found.map(|secret| starts[secret.start]..starts[secret.end]);
                redacted = masked(&redacted, 0, found.collect());
            }
        }
        redacted
    }

    /// Returns the ranges of secrets, in order. Ranges that touch or overlap are merged: redacting
    /// only one of two would reveal part of the other.
    fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        // In the order of their ends.
        for secret in self.finder.iter().flat_map(|finder| finder.find_overlapping_iter(bytes)) {
            let mut start = secret.start();
            while let Some(last) = found.pop_if(|last| start <= last.end) {
                start = start.min(last.start);
            }
            found.push(start..secret.end());
        }
        found
    }

    /// Returns the last position at which the bytes can be cut without cutting a secret, if more
    /// bytes may follow: after a line feed, or (`anywhere`) after any byte.
    pub(crate) fn last_cut(&self, bytes: &[u8], anywhere: bool) -> usize {
        // A secret that begins here may end after these bytes.
        let may_begin = |at: &usize| {
            let rest = &bytes[*at..];
            let longer = self.values.iter().filter(|secret| secret.len() > rest.len());
            longer.map(String::as_bytes).any(|secret| secret.starts_with(rest))
        };
        let mut last = bytes.len().saturating_sub(self.longest())..bytes.len();
        let end = last.find(may_begin).unwrap_or(bytes.len());
        let secrets = self.find(bytes);
        let is_in_secret = |at: usize| {
            let before = secrets.partition_point(|secret| secret.start < at);
            before > 0 && at < secrets[before - 1].end
        };
        let mut places = (1..=end).rev();
        let cut = places.find(|&at| (anywhere || bytes[at - 1] == b'\n') && !is_in_secret(at));
        cut.unwrap_or(0)
    }

    /// Returns the length of the longest secret in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.values.iter().map(String::len).max().unwrap_or(0)
    }
}

/// Returns the bytes from a position on, with these ranges masked.
fn masked(bytes: &[u8], from: usize, ranges: Vec<Range<usize>>) -> Vec<u8> {
    let mut masked = Vec::with_capacity(bytes.len() - from);
    let mut at = from;
    for range in ranges.into_iter().skip_while(|range| range.end <= from) {
        masked.extend_from_slice(&bytes[at..range.start.max(at)]);
        masked.extend_from_slice(MASK.as_bytes());
        at = range.end;
    }
    masked.extend_from_slice(&bytes[at..]);
    masked
}

/// Decodes percent-encoded bytes. Returns also the position of each byte.
fn decoded(bytes: &[u8], plus: u8) -> (Vec<u8>, Vec<usize>) {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    let (mut decoded, mut starts) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        starts.push(at);
        let code = digit(at + 1).zip(digit(at + 2)).filter(|_| byte == b'%');
        let code = code.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        decoded.push(code.unwrap_or(if byte == b'+' { plus } else { byte }));
        at += if code.is_some() { 3 } else { 1 };
    }
    (decoded, starts)
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
    fn a_percent_encoded_secret_is_masked() {
        let secrets = Secrets::new(["a b/c+", "%41b"].into_iter().map(str::to_owned));
        for (text, expected) in [
            ("x=a b/c+&y", "x=[secret]&y"),
            ("x=a%20b%2Fc%2B&y", "x=[secret]&y"),
            ("x=%61%20b%2fc+&y", "x=[secret]&y"),
            ("x=a+b/c%2b&y", "x=[secret]&y"),
            ("%41b %2541b", "[secret] [secret]"),
            ("100% of %zz%4", "100% of %zz%4"),
        ] {
            let redacted = secrets.redact_encoded(text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&redacted), expected, "{text}");
        }
        assert_eq!(secrets.redact_encoded(b"\xff%"), b"\xff%");
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

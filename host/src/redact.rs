//! Redacts secrets in all texts that a plugin prints, reports and logs.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// The minimum length of a redacted line. Shorter lines of a secret would match too much text.
const LINE_BYTES: usize = 8;

/// The replacement of a secret.
pub(crate) const MASK: &str = "[secret]";

/// The maximum number of values that are added during a session. More replace the oldest ones: a
/// server decides how often it issues a token.
const MAX_ADDED: usize = 256;

/// The secrets of a session. Every text from the plugin is redacted before it leaves the host.
/// Clones share the values that are added later.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Option<Arc<RwLock<Known>>>);

/// The values to redact.
struct Known {
    /// The values since the start of the session.
    first: Vec<String>,
    /// The values that were added, the newest last.
    added: VecDeque<String>,
    /// All of them, in each spelling.
    spelled: BTreeSet<String>,
    finder: AhoCorasick,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.known().map_or(0, |known| known.spelled.len()))
    }
}

impl Secrets {
    /// Redacts each value as it is, without surrounding whitespace, line by line, and as quoted by
    /// Rust and other languages. Empty values redact nothing.
    pub(crate) fn new(values: impl Iterator<Item = String>) -> Self {
        let first: Vec<_> = values.filter(|value| !value.is_empty()).collect();
        let known = (!first.is_empty()).then(|| Known::new(first, VecDeque::new()));
        Self(known.map(|known| Arc::new(RwLock::new(known))))
    }

    /// Redacts further values from now on. Has no effect on secrets that were created without any.
    pub(crate) fn add(&self, values: impl Iterator<Item = String>) {
        let Some(shared) = &self.0 else { return };
        let mut known = shared.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = |value: &String| !value.is_empty() && !known.spelled.contains(value);
        let new: Vec<_> = values.filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        let (first, mut added) =
            (std::mem::take(&mut known.first), std::mem::take(&mut known.added));
        added.extend(new);
        added.drain(..added.len().saturating_sub(MAX_ADDED));
        *known = Known::new(first, added);
    }

    /// Returns whether a value is redacted.
    pub(crate) fn contains(&self, value: &str) -> bool {
        self.known().is_some_and(|known| known.spelled.contains(value))
    }

    /// Returns the text with every secret replaced by the mask.
    #[inline]
    pub(crate) fn redact(&self, text: String) -> String {
        // Inlined: passing on a text that was just read takes a tenth of the time of a report.
        match &self.0 {
            None => text,
            Some(_) => self.redact_known(text),
        }
    }

    #[cold]
    #[inline(never)]
    fn redact_known(&self, text: String) -> String {
        match self.known() {
            Some(known) if known.finder.is_match(&text) => known.shown(text.as_bytes(), 0),
            Some(_) | None => text,
        }
    }

    /// Returns the bytes from a position on as text, with every secret masked, including one that
    /// begins before the position.
    pub(crate) fn shown(&self, bytes: &[u8], from: usize) -> String {
        match self.known() {
            Some(known) => known.shown(bytes, from),
            None => String::from_utf8_lossy(&bytes[from..]).into_owned(),
        }
    }

    /// Returns the bytes with every secret masked, as it is or percent-encoded in any way.
    pub(crate) fn redact_encoded(&self, bytes: &[u8]) -> Vec<u8> {
        match self.known() {
            Some(known) => known.redact_encoded(bytes),
            None => bytes.to_vec(),
        }
    }

    /// Returns the last position at which the bytes can be cut without cutting a secret, if more
    /// bytes may follow: after a line feed, or (`anywhere`) after any byte.
    pub(crate) fn last_cut(&self, bytes: &[u8], anywhere: bool) -> usize {
        let may_cut = |at: &usize| anywhere || bytes[*at - 1] == b'\n';
        match self.known() {
            Some(known) => known.last_cut(bytes, may_cut),
            None => (1..=bytes.len()).rev().find(may_cut).unwrap_or(0),
        }
    }

    /// Returns the length of the longest secret in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.known().map_or(0, |known| known.longest())
    }

    fn known(&self) -> Option<RwLockReadGuard<'_, Known>> {
        self.0.as_ref().map(|shared| shared.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn new(first: Vec<String>, added: VecDeque<String>) -> Self {
        let spellings = |value: &String| {
            let trimmed = value.trim().to_owned();
            let quoted = value.escape_debug().to_string();
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= LINE_BYTES);
            let lines: Vec<_> = lines.map(str::to_owned).collect();
            [value.clone(), trimmed, quoted].into_iter().chain(lines)
        };
        let values = first.iter().chain(&added);
        let spelled: BTreeSet<_> =
            values.flat_map(spellings).filter(|one| !one.is_empty()).collect();
        let mut builder = AhoCorasick::builder();
        // A DFA would take memory for each byte of a long secret.
        builder.kind(Some(AhoCorasickKind::ContiguousNFA));
        let finder = builder.build(&spelled).expect("secrets are smaller than 2 GiB");
        Self { first, added, spelled, finder }
    }

    fn shown(&self, bytes: &[u8], from: usize) -> String {
        String::from_utf8_lossy(&masked(bytes, from, self.find(bytes))).into_owned()
    }

    fn redact_encoded(&self, bytes: &[u8]) -> Vec<u8> {
        let mut redacted = masked(bytes, 0, self.find(bytes));
        if redacted.iter().any(|byte| b"%+".contains(byte)) {
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
        for secret in self.finder.find_overlapping_iter(bytes) {
            let mut start = secret.start();
            while let Some(last) = found.pop_if(|last| start <= last.end) {
                start = start.min(last.start);
            }
            found.push(start..secret.end());
        }
        found
    }

    fn last_cut(&self, bytes: &[u8], may_cut: impl Fn(&usize) -> bool) -> usize {
        // A secret that begins here may end after these bytes.
        let may_begin = |at: &usize| {
            let rest = &bytes[*at..];
            let longer = self.spelled.iter().filter(|secret| secret.len() > rest.len());
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
        places.find(|at| may_cut(at) && !is_in_secret(*at)).unwrap_or(0)
    }

    fn longest(&self) -> usize {
        self.spelled.iter().map(String::len).max().unwrap_or(0)
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

    #[test]
    fn secrets_can_be_added_but_only_so_many() {
        let named = |name: &str, at: usize| std::iter::once(format!("{name}-{at:05}"));
        let secrets = Secrets::new(named("first", 0));
        let clone = secrets.clone();
        for at in 0..=MAX_ADDED {
            secrets.add(named("added", at));
            let text = format!("first-00000 added-{at:05}");
            assert_eq!(clone.redact(text), "[secret] [secret]");
        }
        for (text, expected) in [
            ("first-00000".to_owned(), "[secret]"),
            ("added-00000".to_owned(), "added-00000"),
            ("added-00001".to_owned(), "[secret]"),
            (format!("added-{MAX_ADDED:05}"), "[secret]"),
        ] {
            assert_eq!(secrets.redact(text), expected);
        }
        assert_eq!(secrets.longest(), "first-00000".len());
    }
}

//! Compares the two versions of a conflict.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use indicatif::HumanBytes;
use serde::Serialize;
use similar::TextDiff;
use syncmgr_host::files::RegularFile;
use syncmgr_install::HistoryConflict;

use super::refusal::Refusal;
use super::versions::{Versions, open};
use crate::escape::{escape, quote};
use crate::output::{local_time, rfc3339};

/// The maximum size of a text.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// The time after which the rest of two texts counts as different.
const PATIENCE: Duration = Duration::from_secs(2);

/// The differences of two versions.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) versions: [Version; 2],
    /// A unified diff; `None`: they are not both texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) diff: Option<String>,
}

/// One version.
#[derive(Debug, Serialize)]
pub(crate) struct Version {
    pub(crate) path: String,
    pub(crate) side: String,
    pub(crate) size: u64,
    modified: String,
    /// The time of the last change, in ms since 1970.
    #[serde(skip)]
    pub(crate) milliseconds: i64,
}

impl Version {
    fn new(path: String, side: &str, file: &RegularFile) -> Self {
        let since = file.modified().duration_since(UNIX_EPOCH).unwrap_or_default();
        let milliseconds = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let (side, modified) = (side.to_owned(), rfc3339(milliseconds));
        Self { path, side, size: file.size(), modified, milliseconds }
    }
}

impl Comparison {
    /// Compares the versions of a conflict in the directory `root`. `texts`: also what they contain.
    pub(super) fn of(
        root: &Path,
        conflict: &HistoryConflict,
        texts: bool,
    ) -> Result<Self, Refusal> {
        let opened = open(root)?;
        let found = Versions::open(&opened, root, conflict)?;
        let text = |name: &String| {
            read_text(&found, name).map_err(|error| Refusal::failed("cannot read it", &error))
        };
        let are_small = found.files.iter().all(|file| file.size() <= MAX_TEXT_BYTES);
        let texts = match texts && are_small {
            true => text(&found.names[0])?.zip(text(&found.names[1])?),
            false => None,
        };
        let copy = found.copy_name()?;
        let sides = [copy.other_side().unwrap_or("the other side"), copy.side];
        let [first, second] = [0, 1].map(|at: usize| {
            Version::new(found.sibling(&found.names[at]), sides[at], &found.files[at])
        });
        let diff = texts.map(|(one, two)| unified(&one, &two, [&first, &second]));
        Ok(Self { versions: [first, second], diff })
    }

    /// Describes the differences in lines.
    pub(crate) fn words(&self, conflict: &HistoryConflict) -> String {
        let mut words = format!("{}\n", quote(&conflict.path));
        match self.diff.as_deref() {
            Some("") => words.push_str("the versions are equal\n"),
            Some(diff) => {
                for line in diff.split_terminator('\n') {
                    words.extend([&*escape_line(line), "\n"]);
                }
            }
            None => {
                for Version { path, side, size, milliseconds, .. } in &self.versions {
                    let (size, time) = (HumanBytes(*size), local_time(*milliseconds));
                    let _ = writeln!(words, "  {side}: {size}, {time}, {}", quote(path));
                }
                words.push_str("they are not both texts of at most 1 MiB\n");
            }
        }
        words
    }
}

/// Reads a version; `None`: it is not a text, or too large.
fn read_text(versions: &Versions<'_>, name: &str) -> io::Result<Option<String>> {
    let mut content = Vec::new();
    let file = versions.directory().open_file(name)?;
    // It may grow.
    file.take(MAX_TEXT_BYTES + 1).read_to_end(&mut content)?;
    match content.len() as u64 > MAX_TEXT_BYTES {
        true => Ok(None),
        false => Ok(String::from_utf8(content).ok()),
    }
}

/// Returns a unified diff. Its only lines that are not those of the texts are without harmful
/// characters.
fn unified(one: &str, two: &str, versions: [&Version; 2]) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(one, two);
    let [first, second] = versions.map(|Version { path, side, .. }| format!("{path} ({side})"));
    diff.unified_diff().header(&escape(&first), &escape(&second)).to_string()
}

/// Escapes a line of a text, except for tabs.
fn escape_line(line: &str) -> String {
    line.split('\t').map(escape).collect::<Vec<_>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_everywhere_are_compared_in_bounded_time() {
        let lines = |step: u32| -> String {
            let line = |at: u32| format!("{}\n", at.wrapping_mul(2_654_435_761 + step) % 997);
            (0..200_000).map(line).collect()
        };
        let (one, two) = (lines(0), lines(2));
        assert!((one.len() as u64) < MAX_TEXT_BYTES);
        let version = || Version {
            path: "a\nb".to_owned(),
            side: "left".to_owned(),
            size: 0,
            modified: String::new(),
            milliseconds: 0,
        };
        let diff = unified(&one, &two, [&version(), &version()]);
        assert!(diff.starts_with("--- a\\u{a}b (left)\n+++ a\\u{a}b (left)\n@@"), "{diff:.100}");
        let added: usize = diff.lines().filter(|line| line.starts_with('+')).count();
        assert!(added > 1, "{added}");
    }

    #[test]
    fn only_tabs_are_not_escaped() {
        assert_eq!(escape_line("+\ta\u{1b}[2J\tb\r"), "+\ta\\u{1b}[2J\tb\\u{d}");
    }
}

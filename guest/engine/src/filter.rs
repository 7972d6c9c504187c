//! Decides which entries are ignored, by gitignore patterns.

mod wildmatch;

use syncmgr_plugin::{Error, ErrorCode, Result};

/// Files that file managers and office programs leave behind. A pattern such as `!Thumbs.db`
/// includes them again.
const DEFAULTS: [&str; 5] = [".DS_Store", "Thumbs.db", "desktop.ini", "~$*", ".~lock.*#"];

/// The origin of the pattern that ignores an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// The default patterns.
    ByDefault,
    /// The setting `ignore`.
    BySetting,
}

/// Decides which paths are synced.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The patterns in their order. The last match decides.
    patterns: Vec<Pattern>,
    hints: Vec<String>,
}

/// One line of a gitignore file.
#[derive(Clone, Debug)]
struct Pattern {
    /// The text without `!`, the leading `/` and the trailing `/`.
    text: Vec<u8>,
    /// The number of literal bytes at the start of the text.
    literal: usize,
    /// Whether it includes entries again.
    negated: bool,
    /// Whether it matches directories only.
    only_directories: bool,
    /// Whether it matches the whole path, instead of the name.
    is_path: bool,
}

impl Filter {
    /// Parses patterns, one per line. Later ones take precedence, also over the defaults.
    ///
    /// # Errors
    /// Returns `invalid-argument` for an invalid pattern, which would match nothing.
    pub fn new(patterns: &str) -> Result<Self> {
        let mut filter = Self { patterns: Vec::new(), hints: Vec::new() };
        filter.patterns.extend(DEFAULTS.into_iter().filter_map(Pattern::parse));
        for line in patterns.split('\n') {
            let Some(pattern) = Pattern::parse(line) else { continue };
            if let Some(mistake) = wildmatch::mistake(&pattern.text) {
                let message = format!("setting `ignore`: pattern `{line}` {mistake}");
                return Err(Error::new(ErrorCode::InvalidArgument, message));
            }
            filter.hints.extend(hint(line));
            filter.patterns.push(pattern);
        }
        Ok(filter)
    }

    /// Returns hints about misleading patterns.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Returns the origin of the pattern that ignores a path, which is relative to the root;
    /// `None`: it is synced. Does not consider the parents of the path.
    pub fn ignores(&self, path: &str, is_directory: bool) -> Option<Ignored> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let matches = |pattern: &Pattern| pattern.matches(path, name, is_directory);
        let last = self.patterns.iter().rposition(matches)?;
        match (self.patterns[last].negated, last < DEFAULTS.len()) {
            (true, _) => None,
            (false, true) => Some(Ignored::ByDefault),
            (false, false) => Some(Ignored::BySetting),
        }
    }
}

impl Pattern {
    /// Parses a line; `None`: it is empty or a comment.
    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let line = without_trailing_spaces(line);
        let (line, negated) = match line.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let (line, only_directories) = match line.strip_suffix('/') {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let is_path = line.contains('/');
        let text = line.strip_prefix('/').unwrap_or(line).as_bytes().to_vec();
        let literal = text.iter().position(|byte| wildmatch::is_special(*byte));
        let literal = literal.unwrap_or(text.len());
        Some(Self { text, literal, negated, only_directories, is_path })
    }

    fn matches(&self, path: &str, name: &str, is_directory: bool) -> bool {
        if self.only_directories && !is_directory {
            return false;
        }
        let text = if self.is_path { path } else { name }.as_bytes();
        let (start, rest) = self.text.split_at(self.literal);
        let Some(text) = text.strip_prefix(start) else { return false };
        match rest {
            [] => text.is_empty(),
            // The rest of `*.log`.
            [b'*', end @ ..]
                if !self.is_path && !end.iter().copied().any(wildmatch::is_special) =>
            {
                text.ends_with(end)
            }
            _ => wildmatch::matches(rest, text, self.is_path),
        }
    }
}

/// Removes the trailing spaces of a line, unless they are escaped.
fn without_trailing_spaces(line: &str) -> &str {
    let mut end = 0;
    let mut is_escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        if byte != b' ' || is_escaped {
            end = at + 1;
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    // A trailing `\` escapes nothing; git keeps such a line unchanged.
    &line[..if is_escaped { line.len() } else { end }]
}

/// Returns a hint about a pattern that does not have its apparent meaning.
fn hint(line: &str) -> Option<String> {
    let why = if line.contains(',') && line.contains('{') && line.contains('}') {
        "has braces, which match only themselves; write one pattern for each alternative"
    } else if line.contains(',') {
        "has a comma, which matches only itself; write one pattern a line, or a list in a job file"
    } else if line.ends_with('[') {
        "ends with `[` and so matches nothing; write `\\[` for a bracket"
    } else {
        return None;
    };
    Some(format!("setting `ignore`: pattern `{line}` {why}"))
}

// The names in the comparison exist on Unix only.
#[cfg(all(test, unix))]
mod tests;

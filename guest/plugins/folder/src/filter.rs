//! What is left out, in gitignore syntax.

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use syncmgr_plugin::{Error, ErrorCode, Result};

/// What nobody wants on the other side: droppings of file managers and office programs. A
/// pattern such as `!Thumbs.db` brings one back.
const DEFAULTS: [&str; 5] = [".DS_Store", "Thumbs.db", "desktop.ini", "~$*", ".~lock.*#"];

/// Which paths take part.
#[derive(Clone, Debug)]
pub struct Filter {
    patterns: Gitignore,
    /// Whether there are no patterns but the defaults, for which names can be looked at as they are.
    only_defaults: bool,
}

impl Filter {
    /// Reads patterns, one a line. Later ones win, and those given win over the defaults.
    pub fn new(patterns: &str) -> Result<Self> {
        let invalid = |error: ignore::Error| {
            Error::new(ErrorCode::InvalidArgument, format!("the setting ignore: {error}"))
        };
        let mut builder = GitignoreBuilder::new("");
        for line in DEFAULTS.into_iter().chain(patterns.lines()) {
            builder.add_line(None, line).map_err(invalid)?;
        }
        let is_nothing = |line: &str| line.trim().is_empty() || line.starts_with('#');
        let only_defaults = patterns.lines().all(is_nothing);
        let patterns = builder.build().map_err(invalid)?;
        Ok(Self { patterns, only_defaults })
    }

    /// Whether a path, relative to the root, is left out. Its parents are not looked at.
    pub fn ignores(&self, path: &str, is_directory: bool) -> bool {
        if self.only_defaults {
            let name = path.rsplit('/').next().unwrap_or(path);
            return DEFAULTS.iter().any(|pattern| is_like(name, pattern));
        }
        self.matches(path, is_directory)
    }

    fn matches(&self, path: &str, is_directory: bool) -> bool {
        match self.patterns.matched(path, is_directory) {
            Match::Ignore(_) => true,
            Match::None | Match::Whitelist(_) => false,
        }
    }
}

/// Whether a name is a pattern's, which has at most one `*`.
fn is_like(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((start, end)) => name
            .strip_prefix(start)
            .is_some_and(|rest| rest.len() >= end.len() && rest.ends_with(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_git() {
        let filter = Filter::new("*.log\n!keep.log\n/build/\n# comment\n\nsrc/*.o").unwrap();
        for (path, is_directory, ignored) in [
            ("a.log", false, true),
            ("x/y/a.log", false, true),
            ("keep.log", false, false),
            ("build", true, true),
            ("build", false, false),
            ("x/build", true, false),
            ("src/a.o", false, true),
            ("src/b/a.o", false, false),
            ("x/.DS_Store", false, true),
            ("a.txt", false, false),
        ] {
            assert_eq!(filter.ignores(path, is_directory), ignored, "{path}");
        }
    }

    #[test]
    fn the_defaults_alone_are_taken_as_git_takes_them() {
        let filter = Filter::new("# nothing\n\n").unwrap();
        assert!(filter.only_defaults);
        for name in [
            ".DS_Store",
            ".DS_Store2",
            "x.DS_Store",
            "Thumbs.db",
            "thumbs.db",
            "desktop.ini",
            "~$",
            "~$a.docx",
            "~a",
            "a~$b",
            ".~lock.#",
            ".~lock.a.odt#",
            ".~lock.a.odt",
            ".~lock#",
            "#",
            "",
        ] {
            for path in [name.to_owned(), format!("x/y/{name}"), format!("{name}/z")] {
                for is_directory in [false, true] {
                    let expected = filter.matches(&path, is_directory);
                    assert_eq!(filter.ignores(&path, is_directory), expected, "{path:?}");
                }
            }
        }
    }

    #[test]
    fn a_default_can_be_brought_back() {
        let filter = Filter::new("!Thumbs.db").unwrap();
        assert!(!filter.ignores("Thumbs.db", false));
    }
}

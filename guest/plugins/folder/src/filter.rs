//! What is left out, in gitignore syntax.

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use syncmgr_plugin::{Error, ErrorCode, Result};

/// What nobody wants on the other side: droppings of file managers and office programs. A
/// pattern such as `!Thumbs.db` brings one back.
const DEFAULTS: [&str; 5] = [".DS_Store", "Thumbs.db", "desktop.ini", "~$*", ".~lock.*#"];

/// Which paths take part.
#[derive(Clone, Debug)]
pub struct Filter(Gitignore);

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
        builder.build().map(Self).map_err(invalid)
    }

    /// Whether a path, relative to the root, is left out. Its parents are not looked at.
    pub fn ignores(&self, path: &str, is_directory: bool) -> bool {
        match self.0.matched(path, is_directory) {
            Match::Ignore(_) => true,
            Match::None | Match::Whitelist(_) => false,
        }
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
    fn a_default_can_be_brought_back() {
        let filter = Filter::new("!Thumbs.db").unwrap();
        assert!(!filter.ignores("Thumbs.db", false));
    }
}

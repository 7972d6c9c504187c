//! Compares patterns with git, which must be installed.

#![allow(clippy::unwrap_used, reason = "a failure fails the test")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

/// A directory tree and git, which determines the ignored paths.
struct Git {
    folder: tempfile::TempDir,
    /// Directories have a `/` at their end.
    paths: Vec<String>,
}

impl Git {
    fn new(paths: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = Self { folder, paths: with_parents(paths) };
        git.call(&["init", "--quiet"]).status().unwrap();
        for path in &git.paths {
            let absolute = git.folder.path().join(path);
            match path.ends_with('/') {
                true => std::fs::create_dir_all(absolute).unwrap(),
                false => std::fs::write(absolute, "").unwrap(),
            }
        }
        git
    }

    fn call(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        // Settings of the machine have no effect.
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE");
        command
            .arg("-C")
            .arg(self.folder.path())
            .args(["-c", "core.excludesFile="])
            .args(arguments);
        command
    }

    /// Returns the paths that git ignores.
    fn ignored(&self, patterns: &[u8]) -> BTreeSet<String> {
        let exclude = self.folder.path().join(".git/info/exclude");
        std::fs::create_dir_all(exclude.parent().unwrap_or(Path::new(""))).unwrap();
        let defaults = DEFAULTS.join("\n") + "\n";
        std::fs::write(exclude, [defaults.as_bytes(), patterns].concat()).unwrap();
        let mut check = self.call(&["check-ignore", "-z", "--no-index", "--stdin"]);
        let mut check =
            check.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git is installed");
        let names: Vec<&str> = self.paths.iter().map(|path| path.trim_end_matches('/')).collect();
        let mut stdin = check.stdin.take().unwrap();
        stdin.write_all((names.join("\0") + "\0").as_bytes()).unwrap();
        drop(stdin);
        let output = check.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        let output = String::from_utf8(output.stdout).unwrap();
        output.split_terminator('\0').map(str::to_owned).collect()
    }

    /// Returns the paths that the filter ignores, directly or by a parent.
    fn filtered(&self, filter: &Filter) -> BTreeSet<String> {
        let mut ignored = BTreeSet::new();
        for path in &self.paths {
            let name = path.trim_end_matches('/');
            let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
            if ignored.contains(parent) || filter.ignores(name, path.ends_with('/')).is_some() {
                ignored.insert(name.to_owned());
            }
        }
        ignored
    }

    fn compare(&self, patterns: &str) {
        let filter = Filter::new(patterns).unwrap();
        let [ours, gits] = [self.filtered(&filter), self.ignored(patterns.as_bytes())];
        assert_eq!(ours, gits, "{patterns:?}");
    }
}

/// Returns the paths and their parents, parents first.
fn with_parents(paths: &[&str]) -> Vec<String> {
    let mut all = BTreeSet::new();
    for path in paths {
        all.extend(path.match_indices('/').map(|(at, _)| path[..=at].to_owned()));
        all.insert((*path).to_owned());
    }
    all.into_iter().collect()
}

const PATHS: &[&str] = &[
    "a",
    "ab",
    "abc",
    "a.c",
    "a.log",
    "b/a",
    "b/a.log",
    "b/c/a",
    "b/c/b/a.log",
    "a]b",
    "a-b",
    "x ",
    "x  ",
    "back\\slash",
    "back\\",
    "!a",
    "#a",
    "{a,b}",
    "a,b",
    "A",
    "Ab",
    "a1",
    "1",
    "é",
    "aé",
    "[",
    "a[",
    "[a]",
    "build/out/a",
    "b/build/a",
    "src/build/",
    "c/c/c/c",
    "a b",
    "*",
    "a*",
    "?",
    "\\",
    "~",
    "a:b",
    "-",
    "a^",
    "^",
    ".a",
    ".b/a",
    "b/.a",
    "Thumbs.db",
    "b/Thumbs.db",
    "~$a",
    "b/~$",
    ".~lock.a#",
    ".DS_Store/a",
    "thumbs.db",
    "\t",
];

#[test]
fn patterns_match_as_in_git() {
    let git = Git::new(PATHS);
    for patterns in [
        "*.log\n!a.log\n/build/\n# comment\n\nsrc/*.o",
        "a{b,c}",
        "{a,b}",
        "a,b",
        "*.{log,c}",
        "x\\ ",
        "x\\  ",
        "x ",
        "x",
        "x\\ \\ ",
        "a ",
        "build/ ",
        "\\",
        "a\\",
        "back\\\\",
        "back\\\\slash",
        "[[:upper:]]",
        "a[[:digit:]]",
        "[[:alpha:]]*",
        "[^[:lower:]]",
        "[[:punct:]]",
        "[[:space:]]",
        "[",
        "a[",
        "[[]",
        "[]]",
        "a[]]b",
        "[a]",
        "\\[a]",
        "[!a]",
        "[^a]",
        "a[!-]b",
        "a[+--]b",
        "[\\]]",
        "**",
        "***",
        "**/a",
        "a/**",
        "b/**/a",
        "b/**",
        "/**/a",
        "**/**/a",
        "b**a",
        "b/*a",
        "b/*/a",
        "*/a",
        "*/*/a",
        "/*",
        "/*/",
        "*/",
        "/",
        "//",
        "b//a",
        "/b/a",
        "./a",
        "b/./a",
        "*\n!b/\n!b/a",
        "/*\n!/b/\n/b/*\n!/b/c/",
        "!a\na",
        "a\n!a",
        "\\!a",
        "\\#a",
        "#a",
        "!\\!a",
        "?",
        "a?",
        "a?b",
        "??",
        "é",
        "a??",
        "*é",
        "[é]",
        "a\r\nab\r",
        "\\a",
        "\\*",
        "a\\*",
        "\\?",
        "!Thumbs.db",
        "!Thumbs.db\nb/Thumbs.db",
        "!.DS_Store",
        "a:b",
        "[[:]",
        "[[:a]",
        "a[b-]",
        "[a-c]*",
        "b/c/",
        "build",
        "/build",
        "build/",
        "src/build",
        "**/build/",
        "c/**/c",
        "c/*/c",
        "c/**/c/c",
        "*c",
        "a*b*c",
        "*a*",
        "*.*",
        "\t",
        "a\t",
        "[\t]",
    ] {
        git.compare(patterns);
    }
}

/// A random pattern of special characters and text.
fn pattern() -> impl Strategy<Value = String> {
    let part = select(&[
        "a",
        "b",
        "c",
        "A",
        "1",
        "é",
        ".",
        "-",
        "log",
        "build",
        "x",
        " ",
        "\\ ",
        "\\",
        "\\*",
        "\\[",
        "*",
        "*",
        "**",
        "?",
        "/",
        "/",
        "**/",
        "/**",
        "[a-c]",
        "[!a]",
        "[^b-]",
        "[]]",
        "[[:alpha:]]",
        "[![:digit:]]",
        "[a\\]b]",
        "[[]",
        "{a,b}",
        "{",
        "}",
        ",",
        "!",
        "#",
        "^",
        "]",
        "[",
    ]);
    (select(&["", "", "", "!", "/", "**/"]), vec(part, 1..6), select(&["", "", "", "/", " ", "\r"]))
        .prop_map(|(start, parts, end)| format!("{start}{}{end}", parts.concat()))
}

#[test]
fn random_pattern_lists_match_as_in_git() {
    let git = Git::new(PATHS);
    let mut runner = TestRunner::deterministic();
    let mut compared = 0;
    while compared < 1_000 {
        let lines = vec(pattern(), 1..5).new_tree(&mut runner).unwrap().current();
        let patterns = lines.join("\n");
        match Filter::new(&patterns) {
            Ok(_) => git.compare(&patterns),
            // An invalid pattern is rejected. Git accepts it, and it matches nothing.
            Err(error) => {
                let is_bad = |line: &&String| error.message.contains(&format!("`{line}`"));
                let bad = lines.iter().find(is_bad).expect("the error names the pattern");
                let bad = bad.strip_prefix('!').unwrap_or(bad);
                assert_eq!(git.ignored(bad.as_bytes()), git.ignored(b""), "{bad:?}");
                continue;
            }
        }
        compared += 1;
    }
}

#[test]
fn an_invalid_pattern_is_rejected_by_name() {
    for (pattern, words) in [
        ("*.[ch", "unclosed `[`"),
        ("ok\n*.[ch\nok", "`*.[ch`"),
        ("a[!", "unclosed `[`"),
        ("[[:alpha:]", "unclosed `[`"),
        ("[z-a]", "before its start"),
        ("[[:digits:]]", "does not exist"),
    ] {
        let error = Filter::new(pattern).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        assert!(error.message.contains(words), "{error}");
    }
}

#[test]
fn misleading_patterns_produce_a_hint() {
    for (patterns, words) in [
        ("*.log,*.tmp", &["has a comma"][..]),
        ("*.{log,tmp}", &["has braces"]),
        ("a\nb,c\n# x,y\nd[", &["`b,c` has a comma", "`d[` ends with `[`"]),
        ("a\n{b}\n[a-c]", &[]),
    ] {
        let filter = Filter::new(patterns).unwrap();
        assert_eq!(filter.hints().len(), words.len(), "{:?}", filter.hints());
        for (hint, words) in filter.hints().iter().zip(words) {
            assert!(hint.contains(words), "{hint}");
        }
    }
}

#[test]
fn default_patterns_are_distinct_from_configured_ones() {
    let filter = Filter::new("*.log\nThumbs.db\n!desktop.ini").unwrap();
    for (path, ignored) in [
        ("x/.DS_Store", Some(Ignored::ByDefault)),
        ("~$a.docx", Some(Ignored::ByDefault)),
        ("Thumbs.db", Some(Ignored::BySetting)),
        ("x/a.log", Some(Ignored::BySetting)),
        ("desktop.ini", None),
        ("a.txt", None),
    ] {
        assert_eq!(filter.ignores(path, false), ignored, "{path}");
    }
}

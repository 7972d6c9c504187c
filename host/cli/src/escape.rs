use std::borrow::Cow;

/// A text from a plugin or a file name, fit for a terminal: characters that could move the
/// cursor, change colours, reorder or hide text are written as escapes.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match is_harmful(character) {
            true => escaped.extend(character.escape_unicode()),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// The same of a text of several lines, whose other lines cannot be taken for one of the program's.
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

fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Line and paragraph separators.
            '\u{2028}' | '\u{2029}'
            // Direction marks, embeddings, overrides and isolates.
            | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Characters without width.
            | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{00ad}'
            // Tags, which nothing shows.
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_become_visible_and_text_stays() {
        for (text, expected) in [
            ("plain – ünïcode 🦀 \u{5d0}", "plain – ünïcode 🦀 \u{5d0}"),
            ("red\u{1b}[31m", "red\\u{1b}[31m"),
            ("two\nlines\r", "two\\u{a}lines\\u{d}"),
            ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
            ("c1\u{9b}2J", "c1\\u{9b}2J"),
            ("hid\u{200b}den", "hid\\u{200b}den"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn a_line_that_a_text_brings_along_is_marked_as_its_own() {
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
}

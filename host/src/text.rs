//! Text that is safe to print on a terminal.
//!
//! Texts of plugins and file names can contain characters that move the cursor, change colors,
//! reorder the display, or have no width. A program that shows such a text must replace them;
//! [`parts`] finds them, and [`to_json`] escapes them in JSON, where that does not change the
//! value.

use std::borrow::Cow;
use std::fmt::Write as _;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use serde::Serialize;

/// The maximum number of consecutive combining marks in ordinary text. More would reach into the
/// lines above and below.
const MAX_MARKS: usize = 5;

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Characters that can be shown as they are.
    Plain(&'a str),
    /// A character that must not reach a terminal.
    Harmful(char),
}

/// Splits a text at each character that must not reach a terminal:
///
/// - control characters (`Cc`), including C1 and DEL, and line and paragraph separators;
/// - format characters (`Cf`), such as direction marks and zero-width joiners;
/// - characters that are ignored by default (`Default_Ignorable_Code_Point`), such as variation
///   selectors and fillers;
/// - combining marks that have no base character, or follow five others.
///
/// # Examples
/// ```
/// use syncmgr_host::text::{Part, parts};
///
/// let found: Vec<_> = parts("exe.\u{202e}gpj").collect();
/// assert_eq!(found, [Part::Plain("exe."), Part::Harmful('\u{202e}'), Part::Plain("gpj")]);
/// ```
pub fn parts(text: &str) -> Parts<'_> {
    Parts { rest: text, marks: MAX_MARKS }
}

/// The iterator of [`parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    rest: &'a str,
    /// The number of marks since the last base character.
    marks: usize,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let first = self.rest.chars().next()?;
        if self.is_harmful(first) {
            self.rest = &self.rest[first.len_utf8()..];
            return Some(Part::Harmful(first));
        }
        let mut end = first.len_utf8();
        for (at, character) in self.rest.char_indices().skip(1) {
            let marks = self.marks;
            if self.is_harmful(character) {
                self.marks = marks;
                break;
            }
            end = at + character.len_utf8();
        }
        let (plain, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Part::Plain(plain))
    }
}

impl Parts<'_> {
    fn is_harmful(&mut self, character: char) -> bool {
        if (' '..='~').contains(&character) {
            self.marks = 0;
            return false;
        }
        use GeneralCategory as Category;
        let category = CodePointMapData::<Category>::new().get(character);
        if matches!(
            category,
            Category::Control
                | Category::Format
                | Category::LineSeparator
                | Category::ParagraphSeparator
        ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        {
            return true;
        }
        let is_mark = matches!(category, Category::NonspacingMark | Category::EnclosingMark);
        self.marks = if is_mark { self.marks.saturating_add(1) } else { 0 };
        self.marks > MAX_MARKS
    }
}

/// Converts a value to JSON on one line, or on several if `pretty`. Characters that must not
/// reach a terminal are written as `\uXXXX`, so that the value is the same and the text is safe.
///
/// # Errors
/// The errors of `serde_json`.
pub fn to_json(value: &impl Serialize, pretty: bool) -> serde_json::Result<String> {
    let json = match pretty {
        true => serde_json::to_string_pretty(value)?,
        false => serde_json::to_string(value)?,
    };
    let escaped = match escape_json(&json) {
        Cow::Owned(escaped) => Some(escaped),
        Cow::Borrowed(_) => None,
    };
    Ok(escaped.unwrap_or(json))
}

/// Escapes the characters that `serde_json` does not.
fn escape_json(json: &str) -> Cow<'_, str> {
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for part in parts(json) {
        match part {
            Part::Plain(text) => escaped.push_str(text),
            // This is between values. In a string, it is already escaped.
            Part::Harmful('\n') => escaped.push('\n'),
            Part::Harmful(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harmful(text: &str) -> Vec<char> {
        let harmful = |part| match part {
            Part::Plain(_) => None,
            Part::Harmful(character) => Some(character),
        };
        parts(text).filter_map(harmful).collect()
    }

    #[test]
    fn characters_that_hide_or_move_text_are_found_by_category() {
        let format = CodePointMapData::<GeneralCategory>::new();
        let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let mut found = 0;
        for character in '\0'..=char::MAX {
            let category = format.get(character);
            if character.is_control()
                || category == GeneralCategory::Format
                || ignorable.contains(character)
            {
                found += 1;
                let text = format!("a{character}b");
                assert_eq!(harmful(&text), [character], "{character:?}");
                let json = to_json(&text, false).unwrap();
                assert!(harmful(&json).is_empty(), "{json:?}");
                assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            }
        }
        assert!(found > 4_000, "{found}");
        for range in [
            '\u{0}'..='\u{1f}',
            '\u{7f}'..='\u{9f}',
            '\u{ad}'..='\u{ad}',
            '\u{34f}'..='\u{34f}',
            '\u{600}'..='\u{605}',
            '\u{61c}'..='\u{61c}',
            '\u{115f}'..='\u{1160}',
            '\u{17b4}'..='\u{17b5}',
            '\u{180b}'..='\u{180f}',
            '\u{200b}'..='\u{200f}',
            '\u{2028}'..='\u{202e}',
            '\u{2060}'..='\u{206f}',
            '\u{3164}'..='\u{3164}',
            '\u{fe00}'..='\u{fe0f}',
            '\u{feff}'..='\u{feff}',
            '\u{ffa0}'..='\u{ffa0}',
            '\u{fff9}'..='\u{fffb}',
            '\u{1d173}'..='\u{1d17a}',
            '\u{e0000}'..='\u{e0fff}',
        ] {
            for character in range {
                assert_eq!(harmful(&format!("a{character}")), [character], "{character:?}");
            }
        }
    }

    #[test]
    fn ordinary_text_is_left_as_it_is() {
        for text in [
            "",
            "plain – ünïcode 🦀 \u{5d0} 日本語 한국어 ไทย",
            // Combining marks as in Vietnamese, Hebrew, Thai and Devanagari.
            "e\u{302}\u{301} \u{5e9}\u{5c1}\u{5bc}\u{5b8} ที่ क्षि",
        ] {
            assert!(harmful(text).is_empty(), "{text:?}");
            assert!(matches!(parts(text).next(), None | Some(Part::Plain(_))), "{text:?}");
        }
    }

    #[test]
    fn excess_combining_marks_are_harmful() {
        for (text, expected) in [
            (format!("a{}b", "\u{300}".repeat(5)), 0),
            (format!("a{}b", "\u{300}".repeat(40)), 35),
            (format!("a{}b{}", "\u{20dd}".repeat(6), "\u{300}".repeat(6)), 2),
            ("\u{300}a".to_owned(), 1),
        ] {
            assert_eq!(harmful(&text).len(), expected, "{text:?}");
            let plain: String = parts(&text)
                .filter_map(|part| match part {
                    Part::Plain(text) => Some(text),
                    Part::Harmful(_) => None,
                })
                .collect();
            assert_eq!(plain.chars().count() + expected, text.chars().count());
        }
    }

    #[test]
    fn json_keeps_its_value_and_its_lines() {
        let value = ["a\u{9b}2J\u{7f}\u{202e}\u{e0001}\n\u{1b}", "b"];
        let json = to_json(&value, false).unwrap();
        assert_eq!(json, r#"["a\u009b2J\u007f\u202e\udb40\udc01\n\u001b","b"]"#);
        let pretty = to_json(&value, true).unwrap();
        assert_eq!(pretty.lines().count(), 4, "{pretty}");
        assert_eq!(serde_json::from_str::<[String; 2]>(&pretty).unwrap(), value);
    }
}

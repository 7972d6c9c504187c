//! Texts of a plugin, as a dialog shows them.

/// Sanitizes a text from a plugin: converts line endings to those of Windows, and replaces other
/// control characters and marks of writing direction.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => plain.push_str("\r\n"),
            '\r' => {}
            '\t' => plain.push(' '),
            '\u{061C}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}'
            | '\u{FEFF}' => {
                plain.push('\u{FFFD}');
            }
            other if other.is_control() => plain.push('\u{FFFD}'),
            other => plain.push(other),
        }
    }
    plain
}

/// Converts a text to that of a one-line field.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Escapes ampersands, which would underline the next character.
pub(super) fn label(text: &str) -> String {
    plain(text).replace("\r\n", " ").replace('&', "&&")
}

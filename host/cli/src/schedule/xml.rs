//! Text in XML.

/// Escapes a text as the content of an element.
///
/// # Errors
/// Returns a sentence for characters that XML cannot represent.
pub(super) fn escape(text: &str) -> Result<String, String> {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\t' | '\n' | '\r' => escaped.push_str(&format!("&#{};", u32::from(character))),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                return Err(format!(
                    "a scheduled command cannot contain the character U+{:04X}",
                    u32::from(character)
                ));
            }
            other => escaped.push(other),
        }
    }
    Ok(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_or_refused() {
        for (text, expected) in [
            ("plain ä \u{1F980}", Some("plain ä \u{1F980}")),
            ("a<b>&\"'", Some("a&lt;b&gt;&amp;\"'")),
            ("]]>", Some("]]&gt;")),
            ("a\nb\tc\rd", Some("a&#10;b&#9;c&#13;d")),
            ("\u{0}", None),
            ("\u{1b}", None),
            ("\u{85}", None),
            ("\u{ffff}", None),
        ] {
            assert_eq!(escape(text).ok().as_deref(), expected, "{text:?}");
        }
    }
}

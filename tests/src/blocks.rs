//! Extracts the code blocks of a page, and compares a block with an output.

/// A code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line number of the opening fence.
    pub line: usize,
    /// The text after the fence, such as `sh`.
    pub info: String,
    /// The content without the common indentation.
    pub text: String,
}

impl Block {
    /// The language.
    pub fn language(&self) -> &str {
        self.info.split(',').next().unwrap_or_default()
    }
}

/// Returns every code block of a Markdown page.
///
/// # Panics
/// Panics if a block is not closed.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for (at, line) in page.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, None) => {}
            (None, Some(info)) => {
                let indent = line.len() - line.trim_start().len();
                let info = info.trim().to_owned();
                open = Some((indent, Block { line: at + 1, info, text: String::new() }));
            }
            (Some((indent, block)), None) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (Some(_), Some(_)) => found.extend(open.take().map(|(_, block)| block)),
        }
    }
    assert!(open.is_none(), "a block does not end: {open:?}");
    found
}

/// Returns whether a block matches the end of an output, from the start of a line. `...` matches
/// anything, and so do sizes, which depend on compilers.
pub fn shows(block: &str, output: &str) -> bool {
    let mut pattern = format!("\n{}\n", block.trim_end());
    for unit in [" KiB", " MiB"] {
        let parts: Vec<_> = pattern.split(unit).collect();
        let last = parts.len() - 1;
        let loose = parts.iter().enumerate().map(|(at, part)| match at == last {
            true => (*part).to_owned(),
            false => {
                format!("{}...", part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'))
            }
        });
        pattern = loose.collect::<Vec<_>>().join(unit);
    }
    let output = format!("\n{}\n", output.trim_end());
    let mut rest = output.as_str();
    let mut pieces: Vec<_> = pattern.split("...").collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_at_every_position() {
        let page =
            "a\n```sh,ignore\none\n\n  two\n```\n1. b\n\n   ```text\n   three\n     four\n   ```\n";
        let found = blocks(page);
        let parsed: Vec<_> = found
            .iter()
            .map(|block| (block.line, block.language(), block.info.as_str(), block.text.as_str()))
            .collect();
        let expected =
            [(2, "sh", "sh,ignore", "one\n\n  two\n"), (9, "text", "text", "three\n  four\n")];
        assert_eq!(parsed, expected);
    }

    #[test]
    fn a_block_matches_only_the_end_of_the_output() {
        let output = "built a/b.wasm, 31.42 KiB\nok  one\nok  two\n2 passed\n";
        for (block, right) in [
            ("2 passed\n", true),
            ("ok  two\n2 passed", true),
            ("ok  one\n...\n2 passed", true),
            ("built .../b.wasm, 9 KiB\n...", true),
            ("built .../b.wasm, 9 MiB\n...", false),
            ("built .../c.wasm, 9 KiB\n...", false),
            ("passed\n", false),
            ("ok  one\n2 passed", false),
            ("ok  two\n", false),
            ("ok  two\n...\nok  one\n...", false),
            ("3 passed", false),
        ] {
            assert_eq!(shows(block, output), right, "{block:?}");
        }
    }
}

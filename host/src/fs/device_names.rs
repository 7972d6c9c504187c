//! Names that Windows interprets as a device in every directory, whatever follows their first dot.

/// Returns whether one part of a path names a device on Windows: `NUL`, `con.txt`, `Aux .x`,
/// `COM¹`.
pub(crate) fn is_device(name: &str) -> bool {
    const DEVICES: [&str; 7] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"];
    // Windows ignores trailing spaces and dots.
    let stem = name.split(['.', ':']).next().unwrap_or(name).trim_end_matches(' ');
    let numbered = || {
        let mut letters = stem.chars();
        let digit = letters.next_back();
        let port = letters.as_str();
        let is_port = ["COM", "LPT"].iter().any(|known| port.eq_ignore_ascii_case(known));
        is_port && digit.is_some_and(|digit| matches!(digit, '0'..='9' | '¹' | '²' | '³'))
    };
    DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)) || numbered()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_distinguished_from_files() {
        for name in [
            "CON",
            "con",
            "Nul",
            "AUX",
            "PRN",
            "nul.txt",
            "NUL.tar.gz",
            "nul.",
            "nul ",
            "nul .x",
            "nul...",
            "nul:",
            "COM0",
            "com1",
            "COM9.log",
            "COM¹",
            "com².x",
            "LPT1",
            "lpt³ ",
            "CONIN$",
            "conout$",
            "CLOCK$",
        ] {
            assert!(is_device(name), "{name:?}");
        }
        for name in [
            "", "C", "CONS", "CON1", "NULL", "xNUL", "COM", "COM10", "COMA", "LPT", "LPTx", "com¼",
            ".nul", " nul", "a.con", "COM1x", "aux_", "ÅUX",
        ] {
            assert!(!is_device(name), "{name:?}");
        }
    }
}

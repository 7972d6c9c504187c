//! Names of conflict copies, temporary files and the trash, and how the plugin recognizes them.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use jiff::Timestamp;
use syncmgr_plugin::{Error, ErrorCode};
use unicode_normalization::{UnicodeNormalization, is_nfc};

#[cfg(doc)]
use crate::pair::Pair;

/// The start of a message that is complete.
pub(crate) const CANNOT: &str = "cannot ";

/// The directory for replaced and deleted files in the plugin's storage.
pub const STORED_TRASH: &str = "trash";

/// The directory in the root of a side that is on another file system than the storage.
pub const TRASH: &str = ".syncmgr-trash";

/// The file with the pair of a run in the trash: in the run's directory in the storage, or with
/// [`TRASH_PAIR_END`] next to the run's directory in a side.
pub(crate) const TRASH_PAIR: &str = "pair";

/// The end of the name of that file in a side.
pub(crate) const TRASH_PAIR_END: &str = ".pair";

/// The times that are names of runs in the trash, with `0` for each digit.
const STAMP: &str = "0000-00-00T000000.000000000Z";

const TEMP_PREFIX: &str = ".syncmgr-tmp-";
const TEMP_DIGITS: usize = 16;
const CONFLICT: &str = " (conflicted copy ";
/// Characters that some file systems reject in a name, in addition to control characters.
const UNUSUAL: [char; 8] = ['"', '*', ':', '<', '>', '?', '\\', '|'];
/// Characters that some file systems omit at the end of a name.
const UNUSUAL_AT_THE_END: [char; 2] = ['.', ' '];
/// The maximum length of a name on common file systems, in bytes.
const NAME_BYTES: usize = 255;

/// Returns the form in which names of the two sides are compared, because one name may have two
/// equivalent spellings.
pub fn key(name: &str) -> Cow<'_, str> {
    match name.is_ascii() || is_nfc(name) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(name.nfc().collect()),
    }
}

/// Returns a form that is equal for names that differ only in case.
pub(crate) fn folded(name: &str) -> String {
    key(&key(name).to_lowercase()).into_owned()
}

/// Returns a time in ns since 1970 as the name of a run's directory in the trash. The order of the
/// names is that of the times.
pub(crate) fn stamp(nanoseconds: i64) -> String {
    time(nanoseconds, "%Y-%m-%dT%H%M%S.%9fZ")
}

/// Returns whether a name is one that [`stamp`] returned.
pub(crate) fn is_stamp(name: &str) -> bool {
    let is_like = |(byte, like): (u8, u8)| match like {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    name.len() == STAMP.len() && name.bytes().zip(STAMP.bytes()).all(is_like)
}

/// Formats a time in ns since 1970.
pub(crate) fn time(nanoseconds: i64, format: &str) -> String {
    let time = Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime(format).to_string()
}

/// Names of the temporary files of a run.
#[derive(Clone, Debug)]
pub struct TempNames {
    tag: u32,
    next: Rc<Cell<u32>>,
}

impl TempNames {
    /// Begins with any number. The tag is that of the pair, see [`Pair::tag`].
    pub fn new(tag: u32, first: u32) -> Self {
        Self { tag, next: Rc::new(Cell::new(first)) }
    }

    /// Returns another name.
    pub fn next(&self) -> String {
        self.next.set(self.next.get().wrapping_add(1));
        temp(self.tag, self.next.get())
    }
}

/// Completes the message of an error: `what` is the operation on a path of a side.
pub(crate) fn cannot(what: &str, path: &str, side: &str, error: &Error) -> Error {
    let reason = reason(error, path);
    Error::new(error.code, format!("{CANNOT}{what} {path} in {side}: {reason}"))
}

/// Returns the host's message without a leading name: the path names the entry already, and a
/// temporary name is meaningless to users.
pub(crate) fn reason(error: &Error, path: &str) -> String {
    let (_, name) = crate::tree::split(path);
    let text = error.to_string();
    match text.split_once(": ") {
        Some((lead, rest)) if is_temp(lead) || lead == name => rest.to_owned(),
        Some(_) | None => text,
    }
}

/// Returns the error for a directory that is not writable.
pub(crate) fn not_writable(path: &str, mode: u16, error: &Error) -> Error {
    let reason = reason(error, path);
    let message = format!(
        "its directory {path} is not writable (mode {mode:o}), and its mode cannot be changed: \
         {reason}"
    );
    Error::new(ErrorCode::AccessDenied, message)
}

/// Returns whether an error is that of a rejected name. There is no code for it.
pub(crate) fn is_refused(error: &Error) -> bool {
    [ErrorCode::InvalidArgument, ErrorCode::NotFound, ErrorCode::InputOutput].contains(&error.code)
}

/// Returns the name of a file until it is complete. The tag is that of the pair, see [`Pair::tag`].
pub fn temp(tag: u32, number: u32) -> String {
    format!("{TEMP_PREFIX}{tag:08x}{number:08x}")
}

/// Returns whether a name is one that [`temp`] returned for this pair.
pub fn is_temp_of(name: &str, tag: u32) -> bool {
    is_temp(name) && name[TEMP_PREFIX.len()..].starts_with(&format!("{tag:08x}"))
}

/// Returns whether a name is one that [`temp`] or [`trial`] returned for any pair.
pub fn is_temp(name: &str) -> bool {
    let rest = name.strip_prefix(TEMP_PREFIX).and_then(|rest| rest.split_at_checked(TEMP_DIGITS));
    rest.is_some_and(|(digits, end)| {
        digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            && end.chars().all(|end| is_unusual(end) || UNUSUAL_AT_THE_END.contains(&end))
    })
}

fn is_unusual(character: char) -> bool {
    character < ' ' || UNUSUAL.contains(&character)
}

/// Returns a temporary name that can be stored only where this name can be; `None`: that is
/// everywhere.
pub fn trial(name: &str) -> Option<String> {
    let unusual: BTreeSet<char> = name.chars().filter(|one| is_unusual(*one)).collect();
    let end = name.chars().last().filter(|end| UNUSUAL_AT_THE_END.contains(end));
    let trial: String = unusual.into_iter().chain(end).collect();
    (!trial.is_empty()).then_some(trial)
}

/// Returns the name of a conflict copy: the tag precedes the last extension, and `number`
/// distinguishes it from a used name. A conflict copy of a conflict copy has the name of the
/// original.
pub fn conflict(name: &str, side: &str, when: &str, number: u32) -> String {
    let base = base(name).unwrap_or_else(|| name.to_owned());
    let (stem, extension) = split(&base);
    let number = if number > 1 { format!(" {number}") } else { String::new() };
    let tag = format!("{CONFLICT}{side} {when}{number})");
    let room = NAME_BYTES.saturating_sub(tag.len() + extension.len());
    let stem = &stem[..stem.floor_char_boundary(room)];
    format!("{stem}{tag}{extension}")
}

/// Returns the original name of a conflict copy; `None`: it is not a conflict copy.
pub fn base(name: &str) -> Option<String> {
    let at = name.find(CONFLICT)?;
    let rest = &name[at + CONFLICT.len()..];
    let close = rest.find(')')?;
    let mut words = rest[..close].split(' ');
    let side = words.next()?;
    let date = words.next()?;
    let time = words.next()?;
    let digits = |text: &str, len: usize| {
        text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    // The label of a side.
    let is_label = (1..=16).contains(&side.len())
        && side.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let known = is_label && digits(date, 10) && digits(time, 6);
    let number = words.next().is_none_or(|number| number.parse::<u32>().is_ok());
    (at > 0 && known && number && words.next().is_none())
        .then(|| format!("{}{}", &name[..at], &rest[close + 1..]))
}

/// Splits a name at its last extension. A leading dot is not the start of one.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 16 => name.split_at(at),
        Some(_) | None => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHEN: &str = "2026-11-22 073433";

    #[test]
    fn conflict_names_keep_the_extension_and_resolve_to_their_base() {
        for (name, expected) in [
            ("a.txt", "a (conflicted copy right 2026-11-22 073433).txt"),
            ("a.tar.gz", "a.tar (conflicted copy right 2026-11-22 073433).gz"),
            ("Makefile", "Makefile (conflicted copy right 2026-11-22 073433)"),
            (".bashrc", ".bashrc (conflicted copy right 2026-11-22 073433)"),
            ("ends.", "ends (conflicted copy right 2026-11-22 073433)."),
            ("ünï (1).txt", "ünï (1) (conflicted copy right 2026-11-22 073433).txt"),
        ] {
            let made = conflict(name, "right", WHEN, 1);
            assert_eq!(made, expected);
            assert_eq!(base(&made).as_deref(), Some(name));
            let again = conflict(&made, "left", "2027-01-01 000000", 3);
            assert_eq!(base(&again).as_deref(), Some(name), "{again}");
            assert!(again.contains("left 2027-01-01 000000 3)"), "{again}");
        }
    }

    #[test]
    fn other_names_are_not_conflict_copies() {
        for name in [
            "a.txt",
            "a (conflicted copy).txt",
            "a (conflicted copy right).txt",
            "a (conflicted copy Up 2026-11-22 073433).txt",
            "a (conflicted copy right 2026-11-22 0734).txt",
            "a (conflicted copy right 2026-11-22 073433 x).txt",
            " (conflicted copy right 2026-11-22 073433).txt",
        ] {
            assert_eq!(base(name), None, "{name}");
        }
    }

    #[test]
    fn long_names_are_truncated_at_a_character() {
        let name = format!("{}.txt", "é".repeat(125));
        let made = conflict(&name, "left", WHEN, 1);
        assert!(made.len() <= NAME_BYTES && made.ends_with(".txt"), "{made}");
    }

    #[test]
    fn only_temporary_names_are_recognized() {
        assert!(is_temp(&temp(0, 0)) && is_temp(&temp(u32::MAX, u32::MAX)));
        for name in [".syncmgr-tmp-", ".syncmgr-tmp-0123456789abcdeX", ".syncmgr-tmp-0", "a"] {
            assert!(!is_temp(name), "{name}");
        }
    }

    #[test]
    fn a_trial_name_has_the_unusual_characters_and_is_temporary() {
        for (name, expected) in [
            ("plain.txt", None),
            ("with space", None),
            ("\u{e9}", None),
            ("10:30.txt", Some(":")),
            ("a?b:c?", Some(":?")),
            ("tab\t", Some("\t")),
            ("ends.", Some(".")),
            ("what? ", Some("? ")),
        ] {
            assert_eq!(trial(name).as_deref(), expected, "{name}");
            let made = format!("{}{}", temp(0, 7), expected.unwrap_or_default());
            assert!(is_temp(&made), "{made}");
            assert!(!is_temp(&format!("{made}x")), "{made}");
        }
    }

    #[test]
    fn a_temporary_name_identifies_its_pair() {
        for (tag, other) in [(0, 1), (0xdead_beef, 0xdead_beee), (u32::MAX, 0)] {
            let name = temp(tag, 7);
            assert!(is_temp_of(&name, tag), "{name}");
            assert!(!is_temp_of(&name, other), "{name}");
        }
        assert!(!is_temp_of(".syncmgr-tmp-00000000", 0));
    }

    #[test]
    fn the_name_of_a_run_is_its_time() {
        let (before, after) = (stamp(1_790_000_000_000_000_007), stamp(1_790_000_000_000_000_070));
        assert_eq!(before, "2026-09-21T141320.000000007Z");
        assert!(before < after && is_stamp(&before) && is_stamp(&after) && is_stamp(&stamp(0)));
        for name in ["", "trash", "2026-09-21", "2026-09-21T141320.000000007Z.pair"] {
            assert!(!is_stamp(name), "{name}");
        }
    }

    #[test]
    fn equivalent_spellings_have_one_key() {
        assert_eq!(key("e\u{301}.txt"), key("\u{e9}.txt"));
        assert_ne!(key("a"), key("A"));
    }
}

//! Names of conflict copies.

use serde::Serialize;

use crate::args::Keep;

/// The version that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kept {
    /// The one that has the name.
    Path,
    /// The conflict copy.
    Copy,
    /// Both.
    Both,
}

/// The words of two sides.
const SIDES: [[&str; 2]; 2] = [["left", "right"], ["local", "remote"]];

/// The name of a conflict copy, such as `report (conflicted copy right 2026-11-28 175312).odt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CopyName<'a> {
    stem: &'a str,
    /// The side whose version it is.
    pub(super) side: &'a str,
    /// Begins with a dot, unless it is empty.
    extension: &'a str,
}

impl<'a> CopyName<'a> {
    /// Parses a name; `None`: it is not that of a conflict copy.
    pub(super) fn parse(name: &'a str) -> Option<Self> {
        let (stem, rest) = name.split_once(" (conflicted copy ")?;
        let (tag, extension) = rest.split_once(')')?;
        let mut words = tag.split(' ');
        let (side, date, time) = (words.next()?, words.next()?, words.next()?);
        let is_time = |text: &str, len: usize| {
            text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        };
        let is_side = (1..=16).contains(&side.len())
            && side.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let is_number = words.next().is_none_or(|number| number.parse::<u32>().is_ok());
        let is_whole = is_number && words.next().is_none() && !stem.is_empty();
        (is_whole && is_side && is_time(date, 10) && is_time(time, 6)).then_some(Self {
            stem,
            side,
            extension,
        })
    }

    /// Returns the other side; `None`: its word is unknown.
    pub(super) fn other_side(&self) -> Option<&'static str> {
        let other = |[one, two]: &[&'static str; 2]| match self.side {
            side if side == *one => Some(*two),
            side if side == *two => Some(*one),
            _ => None,
        };
        SIDES.iter().find_map(other)
    }

    /// Returns a name for an ordinary file, such as `report (right).odt`.
    pub(super) fn ordinary(&self, number: u32) -> String {
        let Self { stem, side, extension } = self;
        match number {
            0 | 1 => format!("{stem} ({side}){extension}"),
            more => format!("{stem} ({side} {more}){extension}"),
        }
    }

    /// Returns the version to keep. `is_newer`: whether the copy is. The error is a reason.
    pub(super) fn choose(&self, keep: Keep, is_newer: bool) -> Result<Kept, String> {
        let wanted = match keep {
            Keep::Both => return Ok(Kept::Both),
            Keep::Newer if is_newer => return Ok(Kept::Copy),
            Keep::Newer => return Ok(Kept::Path),
            Keep::Left => "left",
            Keep::Right => "right",
            Keep::Local => "local",
            Keep::Remote => "remote",
        };
        match self.other_side() {
            _ if wanted == self.side => Ok(Kept::Copy),
            Some(other) if wanted == other => Ok(Kept::Path),
            Some(other) => Err(format!(
                "its versions are those of {other} and {}, not of {wanted}; use `--keep {other}` \
                 or `--keep {}`",
                self.side, self.side
            )),
            None => Err(format!(
                "its copy is the version of {}, not of {wanted}; use `--keep newer` or \
                 `--keep both`",
                self.side
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COPY: &str = "a.tar (conflicted copy right 2026-11-28 175312).gz";

    #[test]
    fn only_names_of_conflict_copies_are_parsed() {
        for (name, expected) in [
            (COPY, Some(("a.tar", "right", ".gz"))),
            ("a (conflicted copy local 2026-11-28 175312 2)", Some(("a", "local", ""))),
            ("a (1) (conflicted copy x-y 2026-11-28 175312).b)", Some(("a (1)", "x-y", ".b)"))),
            ("a.txt", None),
            ("a (conflicted copy).txt", None),
            ("a (conflicted copy right).txt", None),
            ("a (conflicted copy Up 2026-11-28 175312).txt", None),
            ("a (conflicted copy right 2026-11-28 1753).txt", None),
            ("a (conflicted copy right 2026-11-28 175312 x).txt", None),
            ("a (conflicted copy right 2026-11-28 175312 2 3).txt", None),
            (" (conflicted copy right 2026-11-28 175312).txt", None),
        ] {
            let parsed = CopyName::parse(name);
            let parts = parsed.map(|copy| (copy.stem, copy.side, copy.extension));
            assert_eq!(parts, expected, "{name}");
        }
        let copy = CopyName::parse(COPY).unwrap();
        assert_eq!(copy.ordinary(1), "a.tar (right).gz");
        assert_eq!(copy.ordinary(2), "a.tar (right 2).gz");
    }

    #[test]
    fn the_side_in_the_name_decides() {
        let named = |side: &str| format!("a (conflicted copy {side} 2026-11-28 175312)");
        for (side, keep, is_newer, expected) in [
            ("right", Keep::Right, false, Some(Kept::Copy)),
            ("right", Keep::Left, true, Some(Kept::Path)),
            ("left", Keep::Left, false, Some(Kept::Copy)),
            ("left", Keep::Right, false, Some(Kept::Path)),
            ("remote", Keep::Remote, false, Some(Kept::Copy)),
            ("remote", Keep::Local, false, Some(Kept::Path)),
            ("local", Keep::Remote, false, Some(Kept::Path)),
            // A server may be the left side.
            ("local", Keep::Left, false, None),
            ("right", Keep::Remote, false, None),
            ("other", Keep::Left, false, None),
            ("other", Keep::Newer, true, Some(Kept::Copy)),
            ("right", Keep::Newer, false, Some(Kept::Path)),
            ("other", Keep::Both, true, Some(Kept::Both)),
        ] {
            let name = named(side);
            let kept = CopyName::parse(&name).unwrap().choose(keep, is_newer);
            assert_eq!(kept.clone().ok(), expected, "{side}, {keep:?}: {kept:?}");
        }
    }
}

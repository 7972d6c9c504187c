//! The setting `trash-keep`.

use std::str::FromStr;

use syncmgr_plugin::{Error, Result};

use super::invalid;
use crate::endpoint::Keep;
use crate::names;

/// How long replaced and deleted files are kept. By default, until the user removes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrashKeep {
    /// The maximum age in seconds; `None`: any.
    pub seconds: Option<u64>,
    /// The maximum size in bytes; `None`: any.
    pub bytes: Option<u64>,
}

const HOUR: u64 = 60 * 60;
const AGES: [(&str, u64); 3] = [("h", HOUR), ("d", 24 * HOUR), ("w", 7 * 24 * HOUR)];
const SIZES: [(&str, u64); 4] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

impl FromStr for TrashKeep {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let error = || {
            invalid(format!(
                "setting `trash-keep` is `{text}`; use an age such as `30d` (`h`, `d`, `w`), a size \
                 such as `20GiB` (`KiB`, `MiB`, `GiB`, `TiB`), both as in `30d, 20GiB`, or `all`"
            ))
        };
        let mut keep = Self::default();
        if text == "all" {
            return Ok(keep);
        }
        for part in text.split(',').map(str::trim) {
            let (limit, value) = match (number(part, &AGES), number(part, &SIZES)) {
                (Some(seconds), _) => (&mut keep.seconds, seconds),
                (None, Some(bytes)) => (&mut keep.bytes, bytes),
                (None, None) => return Err(error()),
            };
            if limit.replace(value).is_some() {
                return Err(error());
            }
        }
        Ok(keep)
    }
}

/// Returns a number with one of these units.
fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(factor)
}

impl TrashKeep {
    /// Returns the runs that stay at this time, in ns since 1970.
    pub(crate) fn at(self, now: i64) -> Keep {
        let oldest = |seconds: u64| {
            let age = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
            names::stamp(now.saturating_sub(age).max(0))
        };
        Keep { since: self.seconds.map(oldest), bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_sizes_have_units() {
        let day = 24 * 60 * 60;
        for (text, expected) in [
            ("all", Some((None, None))),
            ("30d", Some((Some(30 * day), None))),
            ("36h", Some((Some(day + day / 2), None))),
            ("2w", Some((Some(14 * day), None))),
            ("0d", Some((Some(0), None))),
            ("20GiB", Some((None, Some(20 << 30)))),
            ("512KiB", Some((None, Some(512 << 10)))),
            ("30d, 20GiB", Some((Some(30 * day), Some(20 << 30)))),
            ("1TiB,1d", Some((Some(day), Some(1 << 40)))),
            ("", None),
            ("30", None),
            ("d", None),
            ("-1d", None),
            ("+1d", None),
            ("1.5d", None),
            ("30 d", None),
            ("20GB", None),
            ("30d, 40d", None),
            ("1GiB, 2GiB", None),
            ("30d,", None),
            ("30d 20GiB", None),
            ("all, 30d", None),
            ("99999999999999999999d", None),
            ("18446744073709551615w", None),
        ] {
            let keep = text.parse::<TrashKeep>().ok();
            assert_eq!(keep.map(|keep| (keep.seconds, keep.bytes)), expected, "{text:?}");
        }
    }

    #[test]
    fn an_age_beyond_1970_keeps_everything() {
        let keep = |seconds| TrashKeep { seconds: Some(seconds), bytes: None };
        let now = 1_790_000_000_000_000_000;
        assert!(keep(60).at(now).is_too_old(&names::stamp(now - 61_000_000_000)));
        assert!(!keep(60).at(now).is_too_old(&names::stamp(now - 60_000_000_000)));
        assert!(!keep(u64::MAX).at(now).is_too_old(&names::stamp(0)));
    }
}

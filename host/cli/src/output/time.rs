//! Times for people and for programs. They are in milliseconds since 1970.

use std::time::{Duration, SystemTime};

use indicatif::HumanDuration;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::exit::UsageError;

/// The units of a time in the past, in milliseconds.
const UNITS: [(&str, i64); 4] =
    [("min", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(crate) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Returns a time of the system in milliseconds since 1970.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    Timestamp::try_from(time).map_or(0, Timestamp::as_millisecond)
}

/// Returns a time in the time zone of the user.
pub(crate) fn local_time(milliseconds: i64) -> String {
    let zoned = timestamp(milliseconds).to_zoned(TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a time as in RFC 3339.
pub(crate) fn rfc3339(milliseconds: i64) -> String {
    timestamp(milliseconds).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Returns a duration, such as `350 ms` or `2 minutes`.
pub(crate) fn duration(milliseconds: i64) -> String {
    match u64::try_from(milliseconds) {
        Ok(milliseconds @ ..10_000) if milliseconds < 1000 => format!("{milliseconds} ms"),
        Ok(milliseconds @ ..10_000) => {
            format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
        }
        Ok(milliseconds) => HumanDuration(Duration::from_millis(milliseconds)).to_string(),
        // The clock was changed.
        Err(_) => "?".to_owned(),
    }
}

/// Parses a duration, such as `30s` or `15min`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const SECOND: (&str, i64) = ("s", 1000);
    let parsed = [SECOND].iter().chain(&UNITS).find_map(|(unit, factor)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(u64::try_from(*factor).ok()?).map(Duration::from_millis)
    });
    parsed
        .ok_or_else(|| "use a number with `s`, `min`, `h`, `d` or `w`, such as `15min`".to_owned())
}

/// Returns how long ago a time was, such as `2 minutes ago`.
pub(crate) fn ago(milliseconds: i64) -> String {
    let since = u64::try_from(now() - milliseconds).unwrap_or(0);
    match since / 1000 {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", HumanDuration(Duration::from_secs(seconds))),
    }
}

/// Parses a time in the past, relative to `now` or absolute.
pub(crate) fn parse_since(text: &str, now: i64) -> anyhow::Result<i64> {
    let relative = UNITS.iter().find_map(|(unit, factor)| {
        let number: i64 = text.strip_suffix(unit)?.trim_end().parse().ok().filter(|n| *n >= 0)?;
        Some(now.saturating_sub(number.saturating_mul(*factor)))
    });
    let absolute = || text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
    let date = || {
        let start = text.parse::<Date>().ok()?.to_zoned(TimeZone::system()).ok()?;
        Some(start.timestamp().as_millisecond())
    };
    relative.or_else(absolute).or_else(date).ok_or_else(|| {
        UsageError(format!(
            "invalid time `{text}`: use `30min`, `12h`, `7d` or `2w`, a date such as `2026-11-01`, \
             or a time as in RFC 3339"
        ))
        .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_the_past_are_parsed() {
        let now = 1_700_000_000_000_i64;
        for (text, expected) in [
            ("30min", Some(now - 1_800_000)),
            ("12h", Some(now - 43_200_000)),
            ("7 d", Some(now - 604_800_000)),
            ("2w", Some(now - 1_209_600_000)),
            ("2023-11-14T22:13:20Z", Some(now)),
            ("2023-11-14T23:13:20+01:00", Some(now)),
            ("99999999999999999d", Some(now.saturating_sub(i64::MAX))),
            ("-1d", None),
            ("d", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_since(text, now).ok(), expected, "{text}");
        }
        assert!(parse_since("2023-11-01", now).is_ok_and(|start| start < now));
    }

    #[test]
    fn durations_are_parsed() {
        for (text, seconds) in [
            ("0s", Some(0)),
            ("90s", Some(90)),
            ("15 min", Some(900)),
            ("2h", Some(7200)),
            ("1d", Some(86_400)),
            ("5", None),
            ("-1s", None),
            ("s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615w", None),
        ] {
            let parsed = parse_duration(text).ok();
            assert_eq!(parsed, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn durations_have_two_or_three_digits() {
        for (milliseconds, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1234, "1.2 s"),
            (9999, "9.9 s"),
            (10_000, "10 seconds"),
            (-1, "?"),
        ] {
            assert_eq!(duration(milliseconds), expected);
        }
        assert_eq!(rfc3339(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
    }
}

//! Times in headers.

use std::time::Duration;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Returns the time that `Retry-After` requires: seconds, or until a time, which is compared with
/// the server's clock in `Date`.
pub(super) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let seconds = seconds(value)?.saturating_sub(seconds(date?.trim())?);
    Some(Duration::from_secs(seconds))
}

/// Returns the seconds since 1970 of a time such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds(text: &str) -> Option<u64> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|known| *known == month)? as u64;
    let year: u64 = words.next()?.parse().ok()?;
    let time = words.next()?;
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_valid = (1970..=9999).contains(&year)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60
        && words.next() == Some("GMT");
    if !is_valid {
        return None;
    }
    // Years from March on, so that a leap day is the last one.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    // The days until 1 January 1970.
    let days = days.checked_sub(719_468)?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Sun, 29 Nov 2026 11:00:00 GMT", Some(1_795_950_000)),
            ("Sun, 29 Nov 2026 11:00:00 CET", None),
            ("Sun, 29 Nov 1026 11:00:00 GMT", None),
            ("Sun, 29 Foo 2026 11:00:00 GMT", None),
            ("Sun, 29 Nov 2026 99:00:00 GMT", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_wait_is_a_number_or_until_a_time() {
        let now = Some("Sun, 29 Nov 2026 11:00:00 GMT");
        for (value, date, expected) in [
            ("7", None, Some(7)),
            (" 120 ", now, Some(120)),
            ("Sun, 29 Nov 2026 11:00:09 GMT", now, Some(9)),
            ("Sun, 29 Nov 2026 10:00:00 GMT", now, Some(0)),
            ("Sun, 29 Nov 2026 11:00:09 GMT", None, None),
            ("soon", now, None),
            ("-1", now, None),
        ] {
            let found = retry_after(value, date);
            assert_eq!(found, expected.map(Duration::from_secs), "{value} at {date:?}");
        }
    }
}

//! Schedules as for `cron`: minute, hour, day of the month, month, day of the week.

use std::collections::BTreeSet;

use jiff::{ToSpan as _, Zoned};

/// The maximum length of a schedule; a list of all minutes has half of it.
const MAX_BYTES: usize = 400;

/// The number of days in which each schedule has a time: that of 29 February, over a century that is
/// no leap year.
const HORIZON_DAYS: usize = 8 * 366;

/// The names of the days of the week, from Sunday.
pub(super) const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// The names of the months.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The number of days of each month, in a leap year.
const DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// A field of a schedule.
struct Field {
    name: &'static str,
    first: u8,
    last: u8,
    /// The names of the values, in order from `first`.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", first: 0, last: 59, names: &[] },
    Field { name: "hour", first: 0, last: 23, names: &[] },
    Field { name: "day of the month", first: 1, last: 31, names: &[] },
    Field { name: "month", first: 1, last: 12, names: &MONTHS },
    Field { name: "day of the week", first: 0, last: 6, names: &WEEKDAYS },
];

/// The values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Values {
    set: BTreeSet<u8>,
    /// Whether the field has every value.
    pub(super) is_all: bool,
}

impl Values {
    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        self.set.iter().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }
}

/// The times at which a job runs. It restricts at most one of the day of the month and the day of
/// the week: of two, `cron` requires one, and other systems both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cron {
    pub(super) minutes: Values,
    pub(super) hours: Values,
    pub(super) days: Values,
    pub(super) months: Values,
    /// 0 is Sunday.
    pub(super) weekdays: Values,
}

impl Cron {
    /// Parses the five fields. The error is a sentence about the problem.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("it is longer than {MAX_BYTES} bytes"));
        }
        let fields: Vec<_> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!(
                "it has {} fields instead of 5: minute, hour, day of the month, month, day of the \
                 week",
                fields.len()
            ));
        };
        let [of_minutes, of_hours, of_days, of_months, of_weekdays] = &FIELDS;
        let cron = Self {
            minutes: of_minutes.parse(minutes)?,
            hours: of_hours.parse(hours)?,
            days: of_days.parse(days)?,
            months: of_months.parse(months)?,
            weekdays: of_weekdays.parse(weekdays)?,
        };
        if !cron.days.is_all && !cron.weekdays.is_all {
            return Err("it restricts both the day of the month and the day of the week, which \
                        the scheduler of the system combines differently; use `*` for one of them"
                .to_owned());
        }
        let exists = |month: u8| {
            let last = DAYS.get(usize::from(month) - 1).copied().unwrap_or(0);
            cron.days.iter().any(|day| day <= last)
        };
        if !cron.months.iter().any(exists) {
            return Err("none of its months has such a day".to_owned());
        }
        Ok(cron)
    }
}

impl Cron {
    /// Returns the first time of the schedule after another one, in the same time zone; `None`: it is
    /// out of the range of times.
    pub(super) fn next(&self, after: &Zoned) -> Option<Zoned> {
        let matches =
            |values: &Values, value: i8| values.iter().any(|one| i8::try_from(one) == Ok(value));
        for day in after.date().series(1.day()).take(HORIZON_DAYS) {
            let weekday = day.weekday().to_sunday_zero_offset();
            if !matches(&self.months, day.month())
                || !matches(&self.days, day.day())
                || !matches(&self.weekdays, weekday)
            {
                continue;
            }
            for hour in self.hours.iter() {
                for minute in self.minutes.iter() {
                    let time = day.at(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0);
                    // A time that the clock skips is the one after the gap.
                    let time = time.to_zoned(after.time_zone().clone()).ok()?;
                    if time > *after {
                        return Some(time);
                    }
                }
            }
        }
        None
    }
}

impl Field {
    fn parse(&self, text: &str) -> Result<Values, String> {
        let mut set = BTreeSet::new();
        for part in text.split(',') {
            set.extend(self.part(part).ok_or_else(|| {
                let names = match self.names {
                    [] => String::new(),
                    [first, ..] => format!(", or names such as `{first}`"),
                };
                format!(
                    "invalid {} `{part}`: use `*`, or numbers from {} to {}{names}; ranges `A-B`; \
                     and steps `*/N` or `A-B/N`",
                    self.name, self.first, self.last
                )
            })?);
        }
        let is_all = set.len() == usize::from(self.last - self.first) + 1;
        Ok(Values { set, is_all })
    }

    /// Parses an element of a list.
    fn part(&self, text: &str) -> Option<BTreeSet<u8>> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0)?)),
            None => (text, None),
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*", _) => (self.first, self.last),
            (_, Some((first, last))) => (self.value(first)?, self.value(last)?),
            (one, None) if step.is_none() => (self.value(one)?, self.value(one)?),
            // Programs do not agree about the end of `A/N`.
            (_, None) => return None,
        };
        let values = (first..=last).step_by(usize::from(step.unwrap_or(1)));
        // Sunday is 0 and 7.
        let values = values.map(|value| if value > self.last { self.first } else { value });
        (first <= last).then(|| values.collect())
    }

    fn value(&self, text: &str) -> Option<u8> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let last = self.last + u8::from(self.names.len() == WEEKDAYS.len());
        let value = match named {
            Some(index) => self.first + u8::try_from(index).ok()?,
            None => number(text)?,
        };
        (self.first..=last).contains(&value).then_some(value)
    }
}

/// Parses one or two digits.
fn number(text: &str) -> Option<u8> {
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_lists_ranges_steps_and_names() {
        let [minute, hour, day, month, weekday] = &FIELDS;
        for (field, text, expected) in [
            (minute, "*/15", &[0, 15, 30, 45][..]),
            (minute, "5", &[5]),
            (minute, "05,7", &[5, 7]),
            (minute, "10-20/5,59,10", &[10, 15, 20, 59]),
            (minute, "50-59/60", &[50]),
            (hour, "9-11", &[9, 10, 11]),
            (hour, "23", &[23]),
            (day, "*/10", &[1, 11, 21, 31]),
            (day, "31", &[31]),
            (month, "jan,MAR-may,12", &[1, 3, 4, 5, 12]),
            (weekday, "mon-fri", &[1, 2, 3, 4, 5]),
            (weekday, "Sun", &[0]),
            (weekday, "7", &[0]),
            (weekday, "0,7", &[0]),
            (weekday, "5-7", &[0, 5, 6]),
            (weekday, "*/2", &[0, 2, 4, 6]),
        ] {
            let values = field.parse(text).unwrap();
            assert_eq!(values.iter().collect::<Vec<_>>(), expected, "{} {text}", field.name);
            assert!(!values.is_all, "{} {text}", field.name);
        }
        for (field, text) in [
            (minute, "*"),
            (minute, "0-59"),
            (hour, "0-11,12-23"),
            (day, "1-31"),
            (month, "jan-dec"),
            (weekday, "0-6"),
            (weekday, "1-7"),
            (weekday, "mon-sat,sun"),
        ] {
            assert!(field.parse(text).unwrap().is_all, "{} {text}", field.name);
        }
    }

    #[test]
    fn other_schedules_are_refused_with_a_reason() {
        for (text, words) in [
            ("", "it has 0 fields instead of 5"),
            ("* * * *", "it has 4 fields"),
            ("* * * * * *", "it has 6 fields"),
            ("@daily", "it has 1 fields"),
            ("60 * * * *", "invalid minute `60`"),
            ("-1 * * * *", "invalid minute `-1`"),
            ("+1 * * * *", "invalid minute `+1`"),
            ("1- * * * *", "invalid minute `1-`"),
            ("1-2-3 * * * *", "invalid minute `1-2-3`"),
            ("5/15 * * * *", "invalid minute `5/15`"),
            ("*/0 * * * *", "invalid minute `*/0`"),
            ("*/ * * * *", "invalid minute `*/`"),
            ("*/256 * * * *", "invalid minute `*/256`"),
            ("20-10 * * * *", "invalid minute `20-10`"),
            ("1,,2 * * * *", "invalid minute ``"),
            ("jan * * * *", "invalid minute `jan`"),
            ("* 24 * * *", "invalid hour `24`"),
            ("* * 0 * *", "invalid day of the month `0`"),
            ("* * 32 * *", "invalid day of the month `32`"),
            ("* * * 0 *", "invalid month `0`"),
            ("* * * 13 *", "invalid month `13`"),
            ("* * * foo *", "invalid month `foo`"),
            ("* * * * 8", "invalid day of the week `8`"),
            ("* * * * fri-sun", "invalid day of the week `fri-sun`"),
            ("* * L * *", "invalid day of the month `L`"),
            ("* * * * mon#1", "invalid day of the week `mon#1`"),
            ("* * ? * *", "invalid day of the month `?`"),
            ("0 0 13 * fri", "both the day of the month and the day of the week"),
            ("0 0 */2 * 1", "both the day of the month and the day of the week"),
            ("0 0 30 2 *", "none of its months has such a day"),
            ("0 0 31 2,4,6,9,11 *", "none of its months has such a day"),
            ("\u{661} * * * *", "invalid minute"),
        ] {
            let error = Cron::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(Cron::parse(&"1,".repeat(300)).unwrap_err().contains("longer than 400 bytes"));
        for text in ["0 0 29 2 *", "0 0 30,31 feb,mar *", " 0\t0  1-31 * mon ", "0 0 1 * 0-6"] {
            assert!(Cron::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_next_time_is_found() {
        for (every, after, expected) in [
            ("* * * * *", "2026-11-28T10:00:30", Some("2026-11-28T10:01:00")),
            ("*/15 * * * *", "2026-11-28T10:00:00", Some("2026-11-28T10:15:00")),
            ("0 2 * * *", "2026-11-28T02:00:00", Some("2026-11-29T02:00:00")),
            ("30 23 31 12 *", "2026-12-31T23:30:00", Some("2027-12-31T23:30:00")),
            ("0 0 * * mon", "2026-11-28T10:00:00", Some("2026-11-30T00:00:00")),
            ("0 0 * * sun", "2026-11-28T10:00:00", Some("2026-11-29T00:00:00")),
            ("0 0 31 * *", "2026-11-28T10:00:00", Some("2026-12-31T00:00:00")),
            ("0 0 29 2 *", "2026-11-28T10:00:00", Some("2028-02-29T00:00:00")),
            ("0 0 29 2 *", "2096-03-01T00:00:00", Some("2104-02-29T00:00:00")),
            // The clock skips from 2 to 3.
            ("30 2 * * *", "2027-03-27T12:00:00", Some("2027-03-28T03:30:00")),
            ("30 2 * * *", "2027-03-28T12:00:00", Some("2027-03-29T02:30:00")),
            ("0 0 * * *", "9999-12-30T10:00:00", None),
        ] {
            let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
            let zoned = |text: &str| {
                text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(zone.clone()).unwrap()
            };
            let found = Cron::parse(every).unwrap().next(&zoned(after));
            assert_eq!(found, expected.map(zoned), "{every} after {after}");
        }
    }
}

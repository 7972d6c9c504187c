//! Schedules, which the system executes: a timer of systemd, an agent of launchd, or a task of
//! Windows.
//!
//! - `cron`: [`Cron`], the times. `systemd`, `launchd`, `windows`: the texts of their files, with
//!   the same functions on every system. `xml`: text in XML.
//! - `system`: [`Unit`], the files of a schedule, and the commands that enable it.

mod cron;
mod launchd;
mod system;
mod systemd;
mod windows;
mod xml;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Zoned;
use serde::{Deserialize, Serialize};

use crate::exit::UsageError;
use cron::Cron;
pub(crate) use system::{Places, System, Unit, Words};

/// What a schedule runs, and when. The files of the system contain it in a comment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Record {
    /// The name of the schedule.
    pub(crate) name: String,
    /// The five fields.
    pub(crate) every: String,
    /// The name of the plugin, or the path of the job file.
    pub(crate) target: String,
}

/// The start of the comment with a [`Record`].
const MARK: &str = "syncmgr schedule ";

impl Record {
    /// Finds the record in the text of a file.
    fn find(text: &str) -> Option<Self> {
        let (_, json) = text.lines().find_map(|line| line.split_once(MARK))?;
        serde_json::from_str(json.strip_suffix(" -->").unwrap_or(json)).ok()
    }
}

/// Returns the schedules that the system executes.
///
/// # Errors
/// There is no home directory, or its files cannot be read.
pub(crate) fn enabled(state: &Path) -> anyhow::Result<Vec<Record>> {
    Unit::all(System::current(), &Places::of_user(state)?)
}

/// Returns the time of the next scheduled run of each plugin or job file, in ms since 1970.
pub(crate) fn next_runs(state: &Path) -> BTreeMap<String, i64> {
    let (now, mut next) = (Zoned::now(), BTreeMap::new());
    // Schedules that cannot be read are not shown.
    for Record { every, target, .. } in enabled(state).unwrap_or_default() {
        let time = Cron::parse(&every).ok().and_then(|cron| cron.next(&now));
        if let Some(time) = time.map(|time| time.timestamp().as_millisecond()) {
            let first = next.entry(target).or_insert(time);
            *first = time.min(*first);
        }
    }
    next
}

/// Returns the first time of a schedule after another one; `None` for an invalid schedule.
#[cfg(feature = "serve")]
pub(crate) fn next_after(every: &str, after: &Zoned) -> Option<Zoned> {
    Cron::parse(every).ok()?.next(after)
}

/// A schedule.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    record: Record,
    name: String,
    cron: Cron,
    /// The full path of the program.
    program: String,
    arguments: Vec<String>,
}

impl Schedule {
    /// Creates a schedule for a command.
    ///
    /// # Errors
    /// [`UsageError`] for an invalid name or an unsupported schedule.
    pub(crate) fn new(
        record: Record,
        program: String,
        arguments: Vec<String>,
    ) -> Result<Self, UsageError> {
        check_name(&record.name)?;
        let invalid = |what| UsageError(format!("invalid schedule `{}`: {what}", record.every));
        let cron = Cron::parse(&record.every).map_err(invalid)?;
        Ok(Self { name: record.name.clone(), record, cron, program, arguments })
    }

    /// Returns a schedule for tests.
    #[cfg(test)]
    fn of_command(name: &str, every: &str, program: String, arguments: Vec<String>) -> Self {
        let text = |text: &str| text.to_owned();
        let record =
            Record { name: text(name), every: text(every), target: text("-->\n-\u{1F980}") };
        Self::new(record, program, arguments).unwrap()
    }

    /// Returns the record as a comment on one line, without `--`, which ends a comment in XML.
    fn comment(&self) -> String {
        let json = serde_json::to_string(&self.record).unwrap_or_default();
        let mut comment = String::from(MARK);
        let mut buffer = [0; 2];
        for character in json.chars() {
            match character {
                // These occur in texts only.
                '-' | '\x7f'.. => {
                    for unit in character.encode_utf16(&mut buffer) {
                        comment.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                other => comment.push(other),
            }
        }
        comment
    }
}

/// Checks the name of a schedule, which is part of the names of files.
pub(crate) fn check_name(name: &str) -> Result<(), UsageError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    match (1..=60).contains(&name.len()) && name.bytes().all(plain) {
        true => Ok(()),
        false => Err(UsageError(format!(
            "invalid name of a schedule `{name}`: use 1 to 60 letters, digits, `_` and `-`; set it \
             with `--name`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_comment_on_one_line() {
        for target in ["folder", "/a--b -->/\n\r\u{1}ä\u{2028}\u{1F980}\"\\x.toml", "-", ""] {
            let record = Record {
                name: "mine".to_owned(),
                every: "*/15 * * * 1-5".to_owned(),
                target: target.to_owned(),
            };
            let schedule = Schedule::new(record.clone(), String::new(), Vec::new()).unwrap();
            let comment = schedule.comment();
            assert!(comment.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{comment}");
            assert!(!comment.contains('-'), "{comment}");
            for text in [format!("# {comment}\nx"), format!("<?xml?>\n<!-- {comment} -->\nx")] {
                assert_eq!(Record::find(&text).as_ref(), Some(&record), "{text}");
            }
        }
        for text in ["", "# syncmgr schedule ", "# syncmgr schedule {}", "# other\n"] {
            assert!(Record::find(text).is_none(), "{text}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        for (name, is_good) in [
            ("mine", true),
            ("My_docs-2", true),
            ("", false),
            ("a.b", false),
            ("../a", false),
            ("a/b", false),
            ("a@b", false),
            ("a b", false),
            ("ä", false),
            ("a%b", false),
            ("a\n", false),
            (&"x".repeat(61), false),
        ] {
            assert_eq!(check_name(name).is_ok(), is_good, "{name:?}");
        }
    }
}

//! How much a plugin may use. Every limit holds unless the embedder changes it.

pub(crate) mod allocation;
pub(crate) mod clock;
pub(crate) mod limiter;
pub(crate) mod monitor;
pub(crate) mod reading;
pub(crate) mod ticker;

use std::fmt::Display;
use std::time::Duration;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, with `KiB`, `MiB` or `GiB` where a text gives them.
    Bytes,
    /// Things.
    Count,
    /// Things in a second.
    PerSecond,
    /// A time, with `ms`, `s`, `min` or `h` where a text gives it.
    Time,
}

impl Unit {
    /// The unit for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Count => "count",
            Self::PerSecond => "per second",
            Self::Time => "time",
        }
    }
}

/// One limit, for a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRow {
    /// The name in texts: command lines and job files.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// The value, in the form that [`Limits::set`] takes.
    pub value: String,
    /// What it bounds, why that much, and what happens beyond it.
    pub reason: String,
}

/// A limit that a text does not give rightly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// There is no such limit.
    #[error("there is no limit `{name}`; there are {}", known.join(", "))]
    Unknown {
        /// The name given.
        name: String,
        /// The names that there are.
        known: Vec<&'static str>,
    },
    /// The value cannot be read.
    #[error("the limit {name} cannot be `{value}`; it is {}", form(*unit))]
    Value {
        /// The name of the limit.
        name: &'static str,
        /// The value given.
        value: String,
        /// What it counts.
        unit: Unit,
    },
}

const fn form(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "a number of bytes such as `64MiB`, or `none`",
        Unit::Count => "a number, or `none`",
        Unit::PerSecond => "a number in each second, or `none`",
        Unit::Time => "a time such as `500ms`, `5s`, `10min` or `2h`, or `none`",
    }
}

/// A value that a limit can have, as text and back.
trait Value: Copy + PartialEq {
    const NONE: Self;
    fn parse(text: &str, unit: Unit) -> Option<Self>;
    fn print(self, unit: Unit) -> String;
}

/// Suffixes, greatest first.
const BYTES: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("min", 60_000), ("ms", 1), ("s", 1000)];

fn with_suffix(text: &str, suffixes: &[(&str, u64)]) -> Option<u64> {
    let (digits, factor) =
        suffixes.iter().find_map(|&(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))?;
    digits.trim_end().parse::<u64>().ok()?.checked_mul(factor)
}

fn print_with(number: u64, suffixes: &[(&str, u64)]) -> Option<String> {
    let mut suffixes = suffixes.to_vec();
    suffixes.sort_by_key(|&(_, factor)| std::cmp::Reverse(factor));
    let whole = |&(_, factor): &(&str, u64)| number >= factor && number.is_multiple_of(factor);
    let (suffix, factor) = suffixes.into_iter().find(whole)?;
    Some(format!("{}{suffix}", number / factor))
}

impl Value for u64 {
    const NONE: Self = Self::MAX;

    fn parse(text: &str, unit: Unit) -> Option<Self> {
        let suffixed = match unit {
            Unit::Bytes => with_suffix(text, &BYTES),
            Unit::Count | Unit::PerSecond | Unit::Time => None,
        };
        suffixed.or_else(|| text.parse().ok())
    }

    fn print(self, unit: Unit) -> String {
        let suffixed = match unit {
            Unit::Bytes => print_with(self, &BYTES),
            Unit::Count | Unit::PerSecond | Unit::Time => None,
        };
        suffixed.unwrap_or_else(|| self.to_string())
    }
}

impl Value for Duration {
    const NONE: Self = Self::MAX;

    fn parse(text: &str, _unit: Unit) -> Option<Self> {
        with_suffix(text, &TIMES).map(Self::from_millis)
    }

    fn print(self, _unit: Unit) -> String {
        let milliseconds = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        print_with(milliseconds, &TIMES).unwrap_or_else(|| format!("{milliseconds}ms"))
    }
}

macro_rules! limits {
    (
        $(#[doc = $about:literal])+
        $limits:ident {
            $($(#[doc = $reason:literal])+ $field:ident: $name:literal, $unit:ident, $type:ty = $default:expr;)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $limits {
            $($(#[doc = $reason])+ pub $field: $type,)+
        }

        impl Default for $limits {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $limits {
            /// The names of all limits, in texts.
            pub const NAMES: &[&str] = &[$($name),+];

            /// Sets the limit of this name to what a text says; `none` lifts it.
            ///
            /// # Errors
            /// [`LimitError`], and nothing was changed.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), LimitError> {
                match name {
                    $($name => {
                        let parsed = match value {
                            "none" => Some(<$type as Value>::NONE),
                            text => <$type as Value>::parse(text, Unit::$unit),
                        };
                        self.$field = parsed.ok_or_else(|| LimitError::Value {
                            name: $name,
                            value: value.to_owned(),
                            unit: Unit::$unit,
                        })?;
                        Ok(())
                    })+
                    _ => Err(LimitError::Unknown {
                        name: name.to_owned(),
                        known: Self::NAMES.to_vec(),
                    }),
                }
            }

            /// Every limit with its value.
            pub fn rows(&self) -> Vec<LimitRow> {
                vec![$(LimitRow {
                    name: $name,
                    unit: Unit::$unit,
                    value: match self.$field == <$type as Value>::NONE {
                        true => "none".to_owned(),
                        false => self.$field.print(Unit::$unit),
                    },
                    reason: one_line(&[$($reason),+]),
                }),+]
            }

            /// The value of the limit of this name, in the form that `set` takes, if there is one.
            pub fn value(&self, name: &str) -> Option<String> {
                let mut rows = self.rows().into_iter();
                rows.find(|row| row.name == name).map(|row| row.value)
            }
        }
    };
}

fn one_line(lines: &[impl Display]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| line.to_string().trim().to_owned()).collect();
    lines.join(" ")
}

limits! {
    /// How much loading a plugin may take. They hold for a whole [`Host`](crate::Host).
    LoadLimits {
        /// The size of the file. Interpreters of dynamic languages come to 40 MiB.
        component_bytes: "component-bytes", Bytes, u64 = 64 << 20;
        /// The code of one function. Compiling takes more than linear time in it; the greatest
        /// function of an interpreter has a tenth of that.
        function_bytes: "function-bytes", Bytes, u64 = 1 << 20;
        /// Locals of one function times its blocks and branches. The compiler's memory and time
        /// grow with it; the largest function of an interpreter has a quarter of that.
        function_joins: "function-joins", Count, u64 = 2_000_000;
        /// The same of all functions together. Interpreters have a fifth of that.
        total_joins: "total-joins", Count, u64 = 50_000_000;
        /// Instances and components that the file makes of each other, all levels multiplied.
        /// Compilers make a dozen; nesting makes any number of them from a few bytes.
        expansion: "expansion", Count, u64 = 10_000;
        /// How long compiling may take. A large plugin takes half a minute on a slow machine.
        /// A compiler in a separate process is ended then; one in the host's process goes on
        /// until it is done, and the host stops waiting.
        compile_time: "compile-time", Time, Duration = Duration::from_secs(180);
        /// How much memory compiling may take. A large plugin takes a quarter of that. It holds
        /// where compiling has a separate process, as it has for the program.
        compile_memory: "compile-memory", Bytes, u64 = 2 << 30;
        /// The guest's stack. Rust's own, in linear memory, is as large and runs out first.
        stack_bytes: "stack-bytes", Bytes, u64 = 1 << 20;
    }
}

limits! {
    /// How much a session may use.
    Limits {
        /// Linear memory of the whole plugin. Enough for the state of a few million files.
        /// Beyond it the plugin is ended.
        memory_bytes: "memory-bytes", Bytes, u64 = 1 << 30;
        /// Elements of all tables together, far beyond what compilers emit. Beyond it the plugin
        /// is ended.
        table_elements: "table-elements", Count, u64 = 100_000;
        /// Core instances, memories and tables, each. Compilers make a dozen. Beyond it the
        /// plugin does not start.
        instances: "instances", Count, u64 = 100;
        /// Resource handles open at once, of every kind. Programs have a few dozen. Beyond it the
        /// plugin is ended.
        handles: "handles", Count, u64 = 10_000;
        /// Files and directories open at once. The system gives a whole process 1,024 unless told
        /// otherwise, and a plugin must not use up what its host needs. Descriptors and streams of
        /// WASI may be four times as many. Beyond it opening fails.
        open_files: "open-files", Count, u64 = 128;
        /// What one call may hand to the host. Four times what the SDK writes at once. Beyond it
        /// the plugin is ended.
        host_call_bytes: "host-call-bytes", Bytes, u64 = 16 << 20;
        /// The plugin's own storage, with what was there before: the content of each file, however
        /// sparse, and 4 KiB for each entry. `folder` keeps its trash there. Room is given back when
        /// its release was seen; what cannot be read counts as full. Beyond it making and writing
        /// fail with `no-space`. Copies and moves leave a sixteenth free for what the plugin writes.
        storage_bytes: "storage-bytes", Bytes, u64 = 16 << 30;
        /// Items of a handler. Windows shows them in a list. A longer list is refused.
        items: "items", Count, u64 = 10_000;
        /// Log entries that are kept. A dry run has one for each file. What is beyond is counted
        /// and left out.
        log_entries: "log-entries", Count, u64 = 100_000;
        /// Texts of the log entries that are kept. What is beyond is counted and left out.
        log_bytes: "log-bytes", Bytes, u64 = 32 << 20;
        /// Names, last texts and counts of all items together, which the report has. 10,000 items
        /// with a line of text and ten counts each take a tenth. Beyond it the plugin is ended.
        item_bytes: "item-bytes", Bytes, u64 = 32 << 20;
        /// What is kept of the calls of a plugin: on the disk by `--record`, with the files of
        /// `--record-files`, and in memory by `test`, `dev` and `replay`. Beyond it the plugin is
        /// ended; the recording is a valid one up to there.
        record_bytes: "record-bytes", Bytes, u64 = 128 << 20;
        /// What `--json` writes of a run, but for the log, which has separate limits, and the
        /// report. Nine hours at 25 reports a second. Beyond it a line says so, and of the reports
        /// only those with which an item ends are written.
        json_bytes: "json-bytes", Bytes, u64 = 256 << 20;
        /// The end of stdout and of stderr, each, that is kept for error reports.
        output_bytes: "output-bytes", Bytes, u64 = 16 << 10;
        /// Reports that reach the sink. More are merged: the last value and every last status
        /// arrive. No screen shows more.
        progress_per_second: "progress-per-second", PerSecond, u64 = 1_000;
        /// Processor time that one call of the plugin takes, with what the host does for it, on all
        /// threads; waiting does not count. Hashing and copying by `directories` are free for each
        /// file up to eight times the bytes that it takes on the disk, so that a first sync of
        /// terabytes is no matter; the holes of a sparse file, and the same bytes over and over,
        /// count. Beyond it the plugin is ended.
        compute_time: "compute-time", Time, Duration = Duration::from_secs(60 * 60);
        /// Time that one call takes in all, questions to the user left out. A first sync over a
        /// slow line takes a night. Beyond it the plugin is ended.
        wall_time: "wall-time", Time, Duration = Duration::from_secs(24 * 3600);
        /// Time without any call of our own interfaces. Beyond it the plugin is ended.
        idle_time: "idle-time", Time, Duration = Duration::from_secs(10 * 60);
        /// Time that the plugin has to end what was cancelled. Beyond it the plugin is ended.
        grace: "grace", Time, Duration = Duration::from_secs(5);
    }
}

/// A number of bytes, for a message.
pub(crate) fn bytes(number: u64) -> String {
    number.print(Unit::Bytes)
}

/// A limit as a size in memory; what does not fit is no limit on this machine.
pub(crate) fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_survives_being_written_and_read() {
        let mut limits = Limits::default();
        for row in Limits::default().rows() {
            limits.set(row.name, &row.value).unwrap();
        }
        assert_eq!(limits, Limits::default());
        let mut load = LoadLimits::default();
        for row in LoadLimits::default().rows() {
            load.set(row.name, &row.value).unwrap();
        }
        assert_eq!(load, LoadLimits::default());
    }

    #[test]
    fn values_have_units() {
        for (name, value, expected) in [
            ("memory-bytes", "64MiB", Some("64MiB")),
            ("memory-bytes", "1024", Some("1KiB")),
            ("memory-bytes", "1000", Some("1000")),
            ("memory-bytes", "none", Some("none")),
            ("memory-bytes", "5s", None),
            ("memory-bytes", "-1", None),
            ("memory-bytes", "99999999999GiB", None),
            ("items", "7", Some("7")),
            ("items", "7KiB", None),
            ("grace", "1500ms", Some("1500ms")),
            ("grace", "60s", Some("1min")),
            ("grace", "2h", Some("2h")),
            ("grace", "5", None),
            ("grace", "", None),
        ] {
            let mut limits = Limits::default();
            let set = limits.set(name, value);
            assert_eq!(set.is_ok(), expected.is_some(), "{name}={value}: {set:?}");
            if let Some(expected) = expected {
                let rows = limits.rows();
                let row = rows.iter().find(|row| row.name == name).unwrap();
                assert_eq!(row.value, expected, "{name}={value}");
            }
        }
        let unknown = Limits::default().set("memory", "1").unwrap_err();
        assert!(unknown.to_string().contains("memory-bytes"), "{unknown}");
    }
}

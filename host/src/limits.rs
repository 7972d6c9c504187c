//! Resource limits of plugins. Every limit applies unless the embedder changes it.

pub(crate) mod allocation;
pub(crate) mod clock;
pub(crate) mod limiter;
pub(crate) mod monitor;
pub(crate) mod reading;
pub(crate) mod ticker;

use std::fmt::Display;
use std::time::Duration;

/// The unit of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Bytes; texts may use the suffixes `KiB`, `MiB` and `GiB`.
    Bytes,
    /// A number.
    Count,
    /// A number per second.
    PerSecond,
    /// A duration; texts use the suffixes `ms`, `s`, `min` and `h`.
    Time,
}

impl Unit {
    /// Returns the unit for display.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Count => "count",
            Self::PerSecond => "per second",
            Self::Time => "time",
        }
    }
}

/// One limit, as a row of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitRow {
    /// The name on command lines and in job files.
    pub name: &'static str,
    /// The unit.
    pub unit: Unit,
    /// The value, in the form that [`Limits::set`] accepts.
    pub value: String,
    /// The purpose, the reason for the value, and the effect of exceeding it.
    pub reason: String,
}

/// An invalid setting of a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// The limit is unknown.
    #[error("unknown limit `{name}`; the limits are {}", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The known names.
        known: Vec<&'static str>,
    },
    /// The value is invalid.
    #[error("invalid value `{value}` for the limit `{name}`; use {}", form(*unit))]
    Value {
        /// The name of the limit.
        name: &'static str,
        /// The value.
        value: String,
        /// The unit of the limit.
        unit: Unit,
    },
}

const fn form(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "a number of bytes such as `64MiB`, or `none`",
        Unit::Count => "a number, or `none`",
        Unit::PerSecond => "a number per second, or `none`",
        Unit::Time => "a time such as `500ms`, `5s`, `10min` or `2h`, or `none`",
    }
}

/// A value of a limit, with conversions to and from text.
trait Value: Copy + PartialEq {
    const NONE: Self;
    fn parse(text: &str, unit: Unit) -> Option<Self>;
    fn print(self, unit: Unit) -> String;
}

/// The suffixes, largest first.
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
        #[non_exhaustive]
        pub struct $limits {
            $($(#[doc = $reason])+ pub $field: $type,)+
        }

        impl Default for $limits {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $limits {
            /// The names of all limits.
            pub const NAMES: &[&str] = &[$($name),+];

            /// Sets the limit with this name to the value of a text; `none` removes the limit.
            ///
            /// # Errors
            /// Returns [`LimitError`] for an unknown name or an invalid value, and changes nothing.
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

            /// Returns every limit with its value.
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

            /// Returns the value of the limit with this name, in the form that `set` accepts.
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
    /// The limits on loading a plugin. They apply to a whole [`Host`](crate::Host).
    LoadLimits {
        /// The size of the file. Interpreters of dynamic languages reach 40 MiB.
        component_bytes: "component-bytes", Bytes, u64 = 64 << 20;
        /// The code size of one function. Compilation time grows more than linearly with it; the
        /// largest function of an interpreter has a tenth of the limit.
        function_bytes: "function-bytes", Bytes, u64 = 1 << 20;
        /// The product of a function's locals and its blocks and branches. The compiler's memory
        /// and time grow with it; the largest function of an interpreter has a quarter of the
        /// limit.
        function_joins: "function-joins", Count, u64 = 2_000_000;
        /// The sum of these products over all functions. Interpreters have a fifth of the limit.
        total_joins: "total-joins", Count, u64 = 50_000_000;
        /// The nested instances and components of the file, multiplied over all levels. Compilers
        /// emit a dozen; nesting creates any number of them from a few bytes.
        expansion: "expansion", Count, u64 = 10_000;
        /// The compilation time. A large plugin takes half a minute on a slow machine. When it is
        /// exceeded, a compiler in a separate process is terminated; one in the host's process
        /// continues until it finishes, and the host stops waiting.
        compile_time: "compile-time", Time, Duration = Duration::from_secs(180);
        /// The memory for compilation. A large plugin needs a quarter of the limit. It applies only
        /// to compilation in a separate process, as the program does it.
        compile_memory: "compile-memory", Bytes, u64 = 2 << 30;
        /// The guest's stack. Rust's stack in linear memory is as large and overflows first.
        stack_bytes: "stack-bytes", Bytes, u64 = 1 << 20;
    }
}

limits! {
    /// The limits of a session.
    Limits {
        /// Linear memory of the whole plugin. Sufficient for the state of a few million files. A
        /// plugin that exceeds it is terminated.
        memory_bytes: "memory-bytes", Bytes, u64 = 1 << 30;
        /// Elements of all tables together, far more than compilers emit. A plugin that exceeds it
        /// is terminated.
        table_elements: "table-elements", Count, u64 = 100_000;
        /// Core instances, memories and tables, each. Compilers emit a dozen. A plugin that exceeds
        /// it does not start.
        instances: "instances", Count, u64 = 100;
        /// Open resource handles of all kinds. Programs have a few dozen. A plugin that exceeds it
        /// is terminated.
        handles: "handles", Count, u64 = 10_000;
        /// Open files and directories. Systems limit a process to 1,024 by default, and a plugin
        /// must not exhaust the files of its host. Descriptors and streams of WASI may be four
        /// times as many. Beyond the limit, opening fails.
        open_files: "open-files", Count, u64 = 128;
        /// The data that one call may pass to the host. Four times the size of the SDK's writes. A
        /// plugin that exceeds it is terminated.
        host_call_bytes: "host-call-bytes", Bytes, u64 = 16 << 20;
        /// The plugin's storage, including existing content: the size of each file, even if sparse,
        /// and 4 KiB for each entry. `folder` keeps its trash there. Space is released when its
        /// deletion is observed; unreadable content counts as full. Beyond the limit, creating and
        /// writing fail with `no-space`. Copies and moves leave a sixteenth free for the plugin's
        /// writes.
        storage_bytes: "storage-bytes", Bytes, u64 = 16 << 30;
        /// Items of a handler. Windows shows them in a list. A longer list is refused.
        items: "items", Count, u64 = 10_000;
        /// Kept log entries. A dry run has one for each file. Further entries are counted and
        /// dropped.
        log_entries: "log-entries", Count, u64 = 100_000;
        /// Texts of the kept log entries. Further entries are counted and dropped.
        log_bytes: "log-bytes", Bytes, u64 = 32 << 20;
        /// Actions on entries that a run reports. A first sync has one for each file. Further
        /// actions are counted and dropped.
        actions: "actions", Count, u64 = 1_000_000;
        /// Names, last texts and counts of all items together, which the report contains. 10,000
        /// items with a line of text and ten counts each need a tenth. A plugin that exceeds it is
        /// terminated.
        item_bytes: "item-bytes", Bytes, u64 = 32 << 20;
        /// The recorded calls and HTTP requests of a plugin, in memory or on disk, and the files of
        /// the recording. A plugin that exceeds it is terminated; the recording is valid up to that
        /// point.
        record_bytes: "record-bytes", Bytes, u64 = 128 << 20;
        /// The JSON output of a run, except the log, which has separate limits, and the report.
        /// Sufficient for nine hours at 25 reports per second. Beyond the limit, one line announces
        /// it, and only the reports with a final status of an item are written.
        json_bytes: "json-bytes", Bytes, u64 = 256 << 20;
        /// The end of stdout and of stderr, each, that is kept for error reports.
        output_bytes: "output-bytes", Bytes, u64 = 16 << 10;
        /// Reports that reach the sink. Further reports are coalesced: the last value and every
        /// final status are delivered. No screen shows more.
        progress_per_second: "progress-per-second", PerSecond, u64 = 1_000;
        /// Processor time of one call of the plugin, including the host's work for it on all
        /// threads, but not waiting. Hashing and copying through `directories` are free for each
        /// file up to eight times its size on disk, so that a first sync of terabytes is possible;
        /// holes of a sparse file and repeated reads count. A plugin that exceeds it is terminated.
        compute_time: "compute-time", Time, Duration = Duration::from_secs(60 * 60);
        /// Total time of one call, except questions to the user. A first sync over a slow
        /// connection takes a night. A plugin that exceeds it is terminated.
        wall_time: "wall-time", Time, Duration = Duration::from_secs(24 * 3600);
        /// Time without any call of the contract's interfaces. A plugin that exceeds it is
        /// terminated.
        idle_time: "idle-time", Time, Duration = Duration::from_secs(10 * 60);
        /// HTTP requests in flight, including responses that are being received. Servers allow a few
        /// dozen connections. Beyond the limit, requests fail with `connection-limit-reached`.
        http_requests: "http-requests", Count, u64 = 64;
        /// Time to resolve a name, connect, and agree on TLS. Then a request fails with
        /// `connection-timeout`.
        http_connect_time: "http-connect-time", Time, Duration = Duration::from_secs(30);
        /// Time in which a server must answer, or send or take at least 1 KiB. It does not count as
        /// `idle-time`. Then a request fails with `HTTP-response-timeout` or
        /// `connection-read-timeout`.
        http_idle_time: "http-idle-time", Time, Duration = Duration::from_secs(60);
        /// The head of a response, at least 8 KiB. Servers send a few. Beyond the limit, a request
        /// fails with `HTTP-response-header-section-size`.
        http_header_bytes: "http-header-bytes", Bytes, u64 = 64 << 10;
        /// The bodies of all requests of a run. Beyond the limit, a request fails with
        /// `HTTP-request-body-size`.
        http_bytes_up: "http-bytes-up", Bytes, u64 = 1 << 40;
        /// The bodies of all responses of a run. Beyond the limit, reading fails with
        /// `HTTP-response-body-size`.
        http_bytes_down: "http-bytes-down", Bytes, u64 = 1 << 40;
        /// Time that the plugin has to finish cancelled work. A plugin that exceeds it is
        /// terminated.
        grace: "grace", Time, Duration = Duration::from_secs(5);
    }
}

/// Formats a number of bytes for a message.
pub(crate) fn bytes(number: u64) -> String {
    number.print(Unit::Bytes)
}

/// Converts a limit to a size in memory, saturating on this machine.
pub(crate) fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_round_trip() {
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

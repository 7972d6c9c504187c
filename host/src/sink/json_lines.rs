use std::collections::{BTreeMap, HashSet};
use std::io::Write;

use serde::Serialize;

use crate::error::{SessionError, full_message};
use crate::hresult::{self, Hresult};
use crate::http::HttpUsage;
use crate::id::{ErrorId, ItemId};
use crate::report::RunReport;
use crate::sink::{Progress, Sink};
use crate::text;
use crate::types::{Action, ErrorDetail, Item, LogEntry, ProgressResponse, Question};

/// Writes one JSON object per callback, each on a separate line.
///
/// The member `event` is `started`, `progress`, `action`, `log`, `log-deleted`, `question`, `error-shown`, or
/// finally `report`. Names are those of the WIT; an absent field is an absent member. Text is as
/// the plugin wrote it; characters that must not reach a terminal are written as `\uXXXX`, as
/// [`text::to_json`] does.
///
/// Beyond a [limit](JsonLines::with_limit) of bytes, one `truncated` event is written, followed
/// only by the log, the reports with a final status of an item, and the report of the run.
///
/// Errors of writing are returned by [`JsonLines::finish`].
#[derive(Debug)]
pub struct JsonLines<W> {
    to: W,
    failed: Option<std::io::Error>,
    /// The number of bytes that may still be written; `None` for no limit.
    left: Option<u64>,
    limit: u64,
    /// The id of the run, if lines have it.
    run: Option<String>,
    /// Items whose final status was written after that.
    ended: HashSet<ItemId>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Started {
        items: Vec<ItemLine<'a>>,
    },
    #[serde(rename_all = "kebab-case")]
    Progress {
        item: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        status_type: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        status_text: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prog_value: Option<i32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_value: Option<i32>,
        #[serde(skip_serializing_if = "is_zero")]
        bytes_per_step: u64,
        #[serde(skip_serializing_if = "is_false")]
        by_host: bool,
        response: &'static str,
        hresult: HresultLine,
    },
    Action {
        item: String,
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        side: Option<&'a str>,
        path: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
    #[serde(rename_all = "kebab-case")]
    Log {
        level: &'static str,
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        item: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'static str>,
    },
    #[serde(rename_all = "kebab-case")]
    LogDeleted {
        #[serde(skip_serializing_if = "Option::is_none")]
        error_id: Option<String>,
    },
    #[serde(rename_all = "kebab-case")]
    Question {
        #[serde(skip_serializing_if = "Option::is_none")]
        item: Option<String>,
        text: &'a str,
        choices: &'a [String],
        choice: usize,
    },
    Truncated {
        limit: &'static str,
        value: u64,
    },
    #[serde(rename_all = "kebab-case")]
    ErrorShown {
        error_id: String,
        text: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        retry: Vec<String>,
    },
    #[serde(rename_all = "kebab-case")]
    Report {
        plugin: &'a str,
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<ErrorLine<'a>>,
        items: Vec<ItemReportLine<'a>>,
        totals: TotalsLine,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        http: &'a BTreeMap<String, HttpUsage>,
        hresult: HresultLine,
        #[serde(skip_serializing_if = "Option::is_none")]
        exit_code: Option<u8>,
    },
}

/// A line with its run and its time.
#[derive(Serialize)]
struct Stamped<'a> {
    #[serde(flatten)]
    line: &'a Line<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ItemLine<'a> {
    item: String,
    name: &'a str,
}

#[derive(Serialize)]
struct HresultLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    value: String,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    backtrace: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    stderr: &'a str,
}

impl<'a> ErrorLine<'a> {
    fn new(error: &'a SessionError) -> Self {
        let (backtrace, stderr) = error.crash_details();
        Self { code: error.code(), message: full_message(error), backtrace, stderr }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ItemReportLine<'a> {
    item: String,
    name: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
    counts: &'a BTreeMap<String, u64>,
    warnings: u64,
    errors: u64,
    hresult: HresultLine,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct TotalsLine {
    succeeded: usize,
    failed: usize,
    skipped: usize,
    stopped: usize,
    warnings: u64,
    errors: u64,
    dropped_log_entries: u64,
    dropped_actions: u64,
    progress_calls: u64,
    merged_calls: u64,
    refused_calls: u64,
    host_calls: u64,
    compute_microseconds: u64,
    peak_memory_bytes: usize,
    restarts: u32,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !*value
}

impl From<Hresult> for HresultLine {
    fn from(hresult: Hresult) -> Self {
        Self { name: hresult.name(), value: format!("0x{:08X}", hresult.0) }
    }
}

impl<W: Write + Send> JsonLines<W> {
    /// Creates a sink that writes to `to`, one line at a time.
    pub fn new(to: W) -> Self {
        Self { to, failed: None, left: None, limit: u64::MAX, run: None, ended: HashSet::new() }
    }

    /// Adds the id of the run to each line, as the member `run`, and the time, as the member `time`
    /// (RFC 3339).
    #[must_use]
    pub fn with_run(self, run: uuid::Uuid) -> Self {
        Self { run: Some(run.to_string()), ..self }
    }

    /// Sets the limit `json-bytes` on the callbacks, except the log and the final statuses of
    /// items, which have other limits.
    #[must_use]
    pub fn with_limit(self, bytes: u64) -> Self {
        Self { left: (bytes != u64::MAX).then_some(bytes), limit: bytes, ..self }
    }

    /// Writes the last line: the report and the exit code, if there is one.
    pub fn report(&mut self, report: &RunReport, exit_code: Option<u8>) {
        let totals = report.totals();
        self.write(&Line::Report {
            plugin: &report.plugin,
            outcome: report.outcome.name(),
            error: report.error().map(ErrorLine::new),
            items: report
                .items
                .iter()
                .map(|item| ItemReportLine {
                    item: item.id.to_string(),
                    name: &item.name,
                    status: item.status.name(),
                    code: item.code.map(crate::types::ErrorCode::name),
                    text: &item.text,
                    counts: &item.counts,
                    warnings: item.warnings,
                    errors: item.errors,
                    hresult: item.hresult().into(),
                })
                .collect(),
            totals: TotalsLine {
                succeeded: totals.succeeded,
                failed: totals.failed,
                skipped: totals.skipped,
                stopped: totals.stopped,
                warnings: report.warnings,
                errors: report.errors,
                dropped_log_entries: report.dropped_log_entries,
                dropped_actions: report.dropped_actions,
                progress_calls: report.progress_calls,
                merged_calls: report.merged_calls,
                refused_calls: report.refused_calls,
                host_calls: report.host_calls,
                compute_microseconds: u64::try_from(report.compute_time.as_micros())
                    .unwrap_or(u64::MAX),
                peak_memory_bytes: report.peak_memory_bytes,
                restarts: report.restarts,
            },
            http: &report.http,
            hresult: report.hresult().into(),
            exit_code,
        });
    }

    /// Flushes the output.
    ///
    /// # Errors
    /// Returns the first error of a write.
    pub fn finish(mut self) -> std::io::Result<W> {
        match self.failed {
            Some(error) => Err(error),
            None => self.to.flush().map(|()| self.to),
        }
    }

    fn write(&mut self, line: &Line<'_>) {
        if self.failed.is_some() {
            return;
        }
        // Each line is a single write, so that lines of several programs do not mix.
        let run = self.run.as_deref();
        let time = || jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        let stamped = Stamped { line, run, time: run.map(|_| time()) };
        let json = text::to_json(&stamped, false).map(|line| line + "\n");
        let bytes = json.as_ref().map_or(0, |line| line.len() as u64);
        let written = json
            .map_err(std::io::Error::from)
            .and_then(|line| self.to.write_all(line.as_bytes()))
            .and_then(|()| self.to.flush());
        self.failed = written.err();
        self.left = self.left.map(|left| left.saturating_sub(bytes));
    }

    /// Writes a line of which a plugin can cause any number, if the limit allows it.
    fn write_one_of_many(&mut self, line: &Line<'_>) {
        if self.left == Some(0) {
            return;
        }
        self.write(line);
        if self.left == Some(0) {
            self.write(&Line::Truncated { limit: "json-bytes", value: self.limit });
        }
    }
}

impl<W: Write + Send> Sink for JsonLines<W> {
    fn started(&mut self, items: &[Item]) {
        let items = items
            .iter()
            .map(|item| ItemLine { item: item.id.to_string(), name: &item.name })
            .collect();
        self.ended.clear();
        self.write(&Line::Started { items });
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let reported = progress.reported;
        let line = Line::Progress {
            item: progress.item.to_string(),
            status_type: reported.status_type.map(crate::types::Status::name),
            status_text: reported.status_text.as_deref(),
            prog_value: reported.prog_value,
            max_value: reported.max_value,
            bytes_per_step: progress.current.bytes_per_step,
            by_host: progress.by_host,
            response: progress.pending.name(),
            hresult: hresult::from_progress_response(progress.pending).into(),
        };
        let ends = reported.status_type.is_some_and(crate::types::Status::is_terminal);
        match self.left == Some(0) && ends && self.ended.insert(progress.item) {
            true => self.write(&line),
            false => self.write_one_of_many(&line),
        }
        ProgressResponse::Continue
    }

    fn action(&mut self, item: ItemId, action: &Action) {
        self.write_one_of_many(&Line::Action {
            item: item.to_string(),
            kind: action.kind.name(),
            side: action.side.as_deref(),
            path: &action.path,
            size: action.size,
            detail: action.detail.as_deref(),
        });
    }

    fn log(&mut self, entry: &LogEntry) {
        self.write(&Line::Log {
            level: entry.level.name(),
            text: &entry.text,
            item: entry.item.map(|item| item.to_string()),
            error_id: entry.id.map(|id| id.to_string()),
            code: entry.code.map(crate::types::ErrorCode::name),
        });
    }

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        self.write_one_of_many(&Line::LogDeleted { error_id: id.map(|id| id.to_string()) });
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        self.write_one_of_many(&Line::Question {
            item: question.item.map(|item| item.to_string()),
            text: &question.text,
            choices: &question.choices,
            choice: question.default_choice,
        });
        None
    }

    fn error_shown(&mut self, id: ErrorId, detail: &ErrorDetail) {
        self.write_one_of_many(&Line::ErrorShown {
            error_id: id.to_string(),
            text: &detail.text,
            retry: detail.retry.iter().map(ToString::to_string).collect(),
        });
    }
}

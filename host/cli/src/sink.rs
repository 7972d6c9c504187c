//! What people see of a run.

mod bars;
mod lines;

pub(crate) use bars::Bars;
pub(crate) use lines::Lines;

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use syncmgr_host::{
    ErrorDetail, ItemReport, LogEntry, LogLevel, Outcome, OutputHook, Report, SessionError, Status,
};

use crate::escape::{escape, escape_lines};
use crate::exit::error_word;

/// A log entry as a line, led by what it is. Lines of a plugin are indented: those that begin at
/// the margin are the host's, and begin with words of the host's.
pub(crate) fn log_line(entry: &LogEntry, item: Option<&str>) -> String {
    let level = match entry.level {
        LogLevel::Information => "",
        LogLevel::Warning => "warning: ",
        LogLevel::Error => "error: ",
    };
    match item {
        Some(item) => format!("  {level}{}: {}", escape(item), escape_lines(&entry.text)),
        None => format!("  {level}{}", escape_lines(&entry.text)),
    }
}

/// The details of an error of a plugin, which it gives when it is asked, as lines.
pub(crate) fn detail_lines(detail: &ErrorDetail) -> String {
    let lines: Vec<_> =
        detail.text.lines().map(|line| format!("  details: {}", escape(line))).collect();
    lines.join("\n")
}

/// Shows each line that a plugin writes to its standard streams, up to 1 MiB in all.
pub(crate) fn show_output(print: impl Fn(&str) + Send + Sync + 'static) -> OutputHook {
    const MAX_BYTES: usize = 1 << 20;
    let shown = AtomicUsize::new(0);
    OutputHook::new(move |stream, line| {
        let bytes = line.len() + 1;
        let before = shown.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= MAX_BYTES {
            print(&format!("  {} | {}", stream.name(), escape(line)));
        } else if before <= MAX_BYTES {
            print("  the plugin wrote more than 1 MiB; the rest is not shown");
        }
    })
}

/// Prints a line to standard error.
pub(crate) fn print_to_stderr(line: &str) {
    // There is no other place to report that it cannot be written.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// How a run ended, a line for each item and one for what concerns all of it.
pub(crate) fn summary(report: &Report) -> String {
    let mut text = String::new();
    for item in &report.items {
        let _ = writeln!(text, "{}", item_line(item));
    }
    let plugin = escape(&report.plugin);
    let _ = match &report.outcome {
        Outcome::Completed => Ok(()),
        Outcome::Declined => writeln!(text, "{plugin} does not take part in runs of this kind"),
        Outcome::NothingSelected => writeln!(text, "{plugin} has no items to synchronize"),
        Outcome::NeedsUser => {
            writeln!(text, "{plugin} needs you to answer a question; run it on a terminal")
        }
        Outcome::Failed(error) => {
            let word = error_word(Some(error.code()));
            let written = writeln!(text, "{word}: {}", escape_lines(&error.to_string()));
            last_signs(&mut text, error);
            written
        }
    };
    text
}

/// What a plugin that died leaves behind for its author.
fn last_signs(text: &mut String, error: &SessionError) {
    const MOST_LINES: usize = 20;
    let (backtrace, stderr) = error.last_signs();
    let stderr: Vec<_> = stderr.lines().collect();
    if !stderr.is_empty() {
        let _ = writeln!(text, "the end of what it wrote to stderr:");
        for line in &stderr[stderr.len().saturating_sub(MOST_LINES)..] {
            let _ = writeln!(text, "  | {}", escape(line));
        }
    }
    if !backtrace.is_empty() {
        let _ = writeln!(text, "where it was, innermost first:");
        for line in backtrace.lines().take(MOST_LINES) {
            let _ = writeln!(text, "  {}", escape(line));
        }
    }
}

fn item_line(item: &ItemReport) -> String {
    let mut line = item.status.name().to_owned();
    if item.status == Status::Failed {
        let _ = write!(line, " [{}]", item.hresult());
    }
    let _ = write!(line, ": {}", escape(&item.name));
    if !item.text.is_empty() && item.text != item.status.name() {
        let _ = write!(line, ", {}", escape(&item.text));
    }
    line
}

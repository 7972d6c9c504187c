//! The text that users see of a run.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::HumanBytes;
use syncmgr_host::http::HttpUsage;
use syncmgr_host::{
    Action, Denial, ErrorDetail, Grant, ItemReport, LogEntry, LogLevel, Outcome, OutputHook,
    RunReport, SessionError, Status, full_message,
};

use crate::escape::{escape, escape_lines};

/// The options for the output of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(super) verbose: bool,
    /// Whether each action is shown.
    pub(super) actions: bool,
    pub(super) quiet: bool,
    /// The path of each granted directory, by the name of the grant.
    paths: Vec<(String, String)>,
}

impl View {
    /// `verbose`: with each action, and with the HRESULT of each failed item.
    pub(crate) fn new(verbose: bool, grants: &[Grant]) -> Self {
        let path = |grant: &Grant| (grant.name().to_owned(), grant.path().display().to_string());
        let paths = grants.iter().map(path).collect();
        Self { verbose, actions: verbose, quiet: false, paths }
    }

    /// Of a preview: the plugin logs what it would do, so its actions are not shown.
    pub(crate) fn preview(self, preview: bool) -> Self {
        Self { actions: self.actions && !preview, ..self }
    }

    /// With problems only.
    pub(crate) fn quiet(self, quiet: bool) -> Self {
        Self { quiet, ..self }
    }

    /// Returns whether a log entry is shown.
    pub(super) fn shows(&self, entry: &LogEntry) -> bool {
        !self.quiet || entry.level != LogLevel::Information
    }

    /// Adds the path to the first mention of each granted directory. A plugin's message has only
    /// the name of the grant, which does not show a mistake in the path.
    fn with_paths<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for (name, path) in &self.paths {
            let mention = format!("directory `{name}`");
            if let Some(at) = text.find(&mention)
                && !text.contains(path.as_str())
            {
                text.to_mut().insert_str(at + mention.len(), &format!(" ({path})"));
            }
        }
        text
    }
}

/// Formats a log entry with its level. Lines of a plugin are indented, lines of the host are not.
pub(super) fn log_line(entry: &LogEntry, item: Option<&str>, view: &View) -> String {
    let text = view.with_paths(&entry.text);
    let level = match entry.level {
        LogLevel::Information => "",
        LogLevel::Warning => "warning: ",
        LogLevel::Error => "error: ",
    };
    match item {
        Some(item) => format!("  {level}{}: {}", escape(item), escape_lines(&text)),
        None => format!("  {level}{}", escape_lines(&text)),
    }
}

/// Formats an action as a line.
pub(super) fn action_line(action: &Action, item: Option<&str>) -> String {
    let Action { kind, side, path, size, detail } = action;
    let words = action_words(kind.name(), side.as_deref(), path, *size, detail.as_deref());
    match item {
        Some(item) => format!("  {}: {words}", escape(item)),
        None => format!("  {words}"),
    }
}

/// Describes an action, such as `created on right: a/b (3 B)`.
pub(crate) fn action_words(
    kind: &str,
    side: Option<&str>,
    path: &str,
    size: Option<u64>,
    detail: Option<&str>,
) -> String {
    let mut words = escape(&kind.replace('-', " ")).into_owned();
    if let Some(side) = side {
        let _ = write!(words, " on {}", escape(side));
    }
    let _ = write!(words, ": {}", escape(path));
    match (detail, kind) {
        (None, _) => {}
        (Some(detail), "moved") => {
            let _ = write!(words, " to {}", escape(detail));
        }
        (Some(detail), _) => {
            let _ = write!(words, ", {}", escape(detail));
        }
    }
    if let Some(size) = size {
        let _ = write!(words, " ({})", HumanBytes(size));
    }
    words
}

/// Formats the details of a plugin's error.
pub(super) fn detail_lines(detail: &ErrorDetail) -> String {
    let lines: Vec<_> =
        detail.text.lines().map(|line| format!("  details: {}", escape(line))).collect();
    lines.join("\n")
}

/// Prints each line of a plugin's standard streams, up to 1 MiB in total.
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
    // There is no other output for an error.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Returns the prefix of an error message, with its code if it has one.
pub(crate) fn error_word(code: Option<&str>) -> String {
    code.map_or_else(|| "error".to_owned(), |code| format!("error[{code}]"))
}

/// Returns how to grant a denied capability, to be appended to the message of the error.
pub(crate) fn grant_option(error: &SessionError) -> String {
    if let SessionError::Denied { denial: Denial { capability: Some(capability), .. }, .. } = error
    {
        return format!(" with `--allow {}`", capability.name());
    }
    String::new()
}

/// Returns the summary of a run: a line for each item, and one for the whole run.
pub(crate) fn summary(report: &RunReport, view: &View) -> String {
    let mut text = String::new();
    let is_problem = |item: &&ItemReport| item.status != Status::Succeeded;
    for item in report.items.iter().filter(|item| !view.quiet || is_problem(item)) {
        let _ = writeln!(text, "{}", item_line(item, view));
    }
    let plugin = escape(&report.plugin);
    let _ = match &report.outcome {
        Outcome::Completed => Ok(()),
        Outcome::Declined => writeln!(text, "{plugin} declines runs of this kind"),
        Outcome::NothingSelected => writeln!(text, "{plugin} has no items to synchronize"),
        Outcome::NeedsUser => {
            writeln!(text, "{plugin} has a question for the user; run it on a terminal")
        }
        Outcome::Failed(error) => {
            let word = error_word(Some(error.code()));
            let message = full_message(error) + &grant_option(error);
            let written = writeln!(text, "{word}: {}", escape_lines(&view.with_paths(&message)));
            crash_details(&mut text, error);
            written
        }
        other => writeln!(text, "{plugin}: the run ended as `{}`", other.name()),
    };
    let counted = |usage: &HttpUsage| usage.requests > 0 && !view.quiet;
    for (origin, usage) in report.http.iter().filter(|(_, usage)| counted(usage)) {
        let (up, down) = (HumanBytes(usage.bytes_up), HumanBytes(usage.bytes_down));
        let origin = escape(origin);
        let requests = match usage.requests {
            1 => "1 request".to_owned(),
            more => format!("{more} requests"),
        };
        let _ = writeln!(text, "{origin}: {requests}, {up} sent, {down} received");
    }
    text
}

/// Appends the crash details for the plugin's author.
fn crash_details(text: &mut String, error: &SessionError) {
    const MOST_LINES: usize = 20;
    let (backtrace, stderr) = error.crash_details();
    let stderr: Vec<_> = stderr.lines().collect();
    if !stderr.is_empty() {
        let _ = writeln!(text, "end of its stderr:");
        for line in &stderr[stderr.len().saturating_sub(MOST_LINES)..] {
            let _ = writeln!(text, "  | {}", escape(line));
        }
    }
    if !backtrace.is_empty() {
        let _ = writeln!(text, "backtrace, innermost frame first:");
        for line in backtrace.lines().take(MOST_LINES) {
            let _ = writeln!(text, "  {}", escape(line));
        }
    }
}

fn item_line(item: &ItemReport, view: &View) -> String {
    let mut line = item.status.name().to_owned();
    if item.status == Status::Failed && view.verbose {
        let _ = write!(line, " [{}]", item.hresult());
    }
    let _ = write!(line, ": {}", escape(&item.name));
    if !item.text.is_empty() && item.text != item.status.name() {
        let _ = write!(line, ", {}", escape(&view.with_paths(&item.text)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncmgr_host::Access;

    #[test]
    fn a_directory_is_shown_with_its_path() {
        let grant = |name, path| Grant::new(name, path, Access::ReadWrite).unwrap();
        let grants = [grant("left", "/nowhere/a"), grant("docs.right", "/nowhere/b c")];
        let view = View::new(false, &grants);
        for (text, expected) in [
            ("nothing", "nothing"),
            ("the directory `left` is gone", "the directory `left` (/nowhere/a) is gone"),
            ("directory `docs.right`", "directory `docs.right` (/nowhere/b c)"),
            ("directory `right`", "directory `right`"),
            ("directory `left` at /nowhere/a", "directory `left` at /nowhere/a"),
        ] {
            assert_eq!(view.with_paths(text), expected);
        }
    }
}

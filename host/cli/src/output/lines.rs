use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, Instant};

use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{Action, ErrorDetail, ErrorId, Item, ItemId, LogEntry, ProgressResponse};

use crate::escape::escape;
use crate::output::view::{View, action_line, detail_lines, log_line};

/// The minimum interval between progress lines of an item.
const INTERVAL: Duration = Duration::from_secs(5);

/// Plain lines, for pipes and logs.
pub(crate) struct Lines<W> {
    to: W,
    view: View,
    items: HashMap<ItemId, (String, Instant)>,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(to: W, view: View) -> Self {
        Self { to, view, items: HashMap::new() }
    }

    /// Returns the name of an item, if there are several.
    fn name(&self, item: Option<ItemId>) -> Option<&str> {
        let (name, _) = self.items.get(&item?).filter(|_| self.items.len() > 1)?;
        Some(name)
    }
}

impl<W: Write + Send> Sink for Lines<W> {
    fn started(&mut self, items: &[Item]) {
        let now = Instant::now();
        self.items.extend(items.iter().map(|item| (item.id, (item.name.clone(), now))));
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let ended = progress.current.status_type.is_some_and(|status| status.is_terminal());
        if let Some((name, last)) = self.items.get_mut(&progress.item)
            // The summary has the terminal status.
            && !ended
            && !self.view.quiet
            && last.elapsed() >= INTERVAL
        {
            *last = Instant::now();
            let current = progress.current;
            let percent = match i64::from(current.max_value) {
                0 => String::new(),
                max => format!(" {}%", i64::from(current.prog_value) * 100 / max),
            };
            let (name, text) = (escape(name), escape(&current.status_text));
            // A closed output is detected by the summary.
            let _ = writeln!(self.to, "  {name}:{percent} {text}");
        }
        ProgressResponse::Continue
    }

    fn action(&mut self, item: ItemId, action: &Action) {
        if self.view.actions {
            let line = action_line(action, self.name(Some(item)));
            let _ = writeln!(self.to, "{line}");
        }
    }

    fn log(&mut self, entry: &LogEntry) {
        if !self.view.shows(entry) {
            return;
        }
        let item = self.name(entry.item);
        let _ = writeln!(self.to, "{}", log_line(entry, item, &self.view));
    }

    fn error_shown(&mut self, _id: ErrorId, detail: &ErrorDetail) {
        let _ = writeln!(self.to, "{}", detail_lines(detail));
    }
}

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use syncmgr_host::sink::{ItemProgress, Progress, Sink};
use syncmgr_host::{
    Action, ErrorDetail, ErrorId, Item, ItemId, LogEntry, ProgressResponse, Question, Status,
};

use crate::escape::escape;
use crate::output::view::{View, action_line, detail_lines, log_line};

/// The number of rows if the terminal does not report it.
const DEFAULT_ROWS: usize = 24;

/// Progress bars for items on a terminal, as many as it has rows. An item that reports replaces one
/// that has ended.
pub(crate) struct Bars {
    bars: MultiProgress,
    view: View,
    /// The names of all items.
    names: HashMap<ItemId, String>,
    rows: HashMap<ItemId, Row>,
    max_rows: usize,
    styles: Styles,
    spinners: Spinners,
}

struct Row {
    bar: ProgressBar,
    shape: Shape,
}

/// The bars of unknown length. One thread animates all of them.
struct Spinners {
    bars: Arc<Mutex<HashMap<ItemId, ProgressBar>>>,
    /// Dropping it ends the thread.
    _running: mpsc::Sender<()>,
}

impl Spinners {
    fn new() -> Self {
        let (running, ended) = mpsc::channel();
        let bars = Arc::default();
        let moved = Arc::clone(&bars);
        let wait = move || ended.recv_timeout(Duration::from_millis(120));
        // Without the thread, they are not animated.
        let _ = thread::Builder::new().name("syncmgr-bars".to_owned()).spawn(move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = wait() {
                for bar in lock(&moved).values() {
                    bar.tick();
                }
            }
        });
        Self { bars, _running: running }
    }

    fn add(&self, item: ItemId, bar: &ProgressBar) {
        lock(&self.bars).insert(item, bar.clone());
    }

    fn remove(&self, item: ItemId) {
        lock(&self.bars).remove(&item);
    }
}

fn lock(
    bars: &Mutex<HashMap<ItemId, ProgressBar>>,
) -> MutexGuard<'_, HashMap<ItemId, ProgressBar>> {
    bars.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Spinner,
    Steps,
    Bytes,
    Ended,
}

struct Styles {
    spinner: ProgressStyle,
    steps: ProgressStyle,
    bytes: ProgressStyle,
    ended: ProgressStyle,
}

impl Styles {
    fn new() -> Self {
        // The templates are constants. A test validates them.
        let style = |template| {
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━━─")
        };
        Self {
            spinner: style(SPINNER),
            steps: style(STEPS),
            bytes: style(BYTES),
            ended: style(ENDED),
        }
    }
}

const SPINNER: &str = "{prefix:16!} {spinner} {wide_msg}";
const STEPS: &str =
    "{prefix:16!} {bar:24} {percent:>3}%  {pos}/{len}  {per_sec}  ETA {eta}  {wide_msg}";
const BYTES: &str = "{prefix:16!} {bar:24} {percent:>3}%  {binary_bytes}/{binary_total_bytes}  \
                     {binary_bytes_per_sec}  ETA {eta}  {wide_msg}";
const ENDED: &str = "{prefix:16!} {wide_msg}";

impl Bars {
    pub(crate) fn new(view: View) -> Self {
        let size = terminal_size::terminal_size_of(std::io::stderr());
        let rows = size.map_or(DEFAULT_ROWS, |(_, terminal_size::Height(rows))| rows.into());
        Self::with_rows(MultiProgress::new(), rows, view)
    }

    fn with_rows(bars: MultiProgress, rows: usize, view: View) -> Self {
        Self {
            bars,
            view,
            names: HashMap::new(),
            rows: HashMap::new(),
            // The cursor needs the last row.
            max_rows: rows.saturating_sub(1).max(1),
            styles: Styles::new(),
            spinners: Spinners::new(),
        }
    }

    /// Adds a row if there is space.
    fn add(&mut self, item: ItemId) {
        let Some(name) = self.names.get(&item) else { return };
        if self.rows.len() >= self.max_rows {
            let mut rows = self.rows.iter();
            let Some((&ended, _)) = rows.find(|(_, row)| row.shape == Shape::Ended) else {
                return;
            };
            if let Some(row) = self.rows.remove(&ended) {
                self.bars.remove(&row.bar);
            }
        }
        let bar = self.bars.add(ProgressBar::no_length());
        bar.set_style(self.styles.spinner.clone());
        bar.set_prefix(escape(name).into_owned());
        self.spinners.add(item, &bar);
        self.rows.insert(item, Row { bar, shape: Shape::Spinner });
    }

    /// Returns the name of an item, if there are several.
    fn name(&self, item: Option<ItemId>) -> Option<&str> {
        let name = self.names.get(&item?).filter(|_| self.names.len() > 1)?;
        Some(name)
    }

    /// Prints lines above the bars.
    pub(crate) fn printer(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let bars = self.bars.clone();
        move |line| {
            let _ = bars.println(line);
        }
    }
}

impl Row {
    fn shape_of(progress: &ItemProgress) -> Shape {
        match progress.status_type {
            Some(status) if status.is_terminal() => Shape::Ended,
            Some(Status::UpdatingIndeterminate) => Shape::Spinner,
            Some(_) | None if progress.max_value == 0 => Shape::Spinner,
            Some(_) | None if progress.bytes_per_step > 0 => Shape::Bytes,
            Some(_) | None => Shape::Steps,
        }
    }

    fn show(
        &mut self,
        item: ItemId,
        progress: &ItemProgress,
        styles: &Styles,
        spinners: &Spinners,
    ) {
        let shape = Self::shape_of(progress);
        if shape != self.shape {
            self.shape = shape;
            let style = match shape {
                Shape::Spinner => &styles.spinner,
                Shape::Steps => &styles.steps,
                Shape::Bytes => &styles.bytes,
                Shape::Ended => &styles.ended,
            };
            self.bar.set_style(style.clone());
            match shape {
                Shape::Spinner => spinners.add(item, &self.bar),
                Shape::Steps | Shape::Bytes => {
                    spinners.remove(item);
                    self.bar.reset();
                }
                Shape::Ended => spinners.remove(item),
            }
        }
        let unit = if shape == Shape::Bytes { progress.bytes_per_step } else { 1 };
        let amount = |value: i32| u64::try_from(value).unwrap_or(0).saturating_mul(unit);
        if matches!(shape, Shape::Steps | Shape::Bytes) {
            self.bar.set_length(amount(progress.max_value));
            self.bar.set_position(amount(progress.prog_value));
        }
        let text = escape(&progress.status_text).into_owned();
        match progress.status_type {
            Some(status) if status.is_terminal() => {
                let text = match text.is_empty() {
                    true => status.name().to_owned(),
                    false => format!("{}, {text}", status.name()),
                };
                self.bar.finish_with_message(text);
            }
            Some(_) | None => self.bar.set_message(text),
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // The summary replaces the bars. A closed terminal needs no clearing.
        let _ = self.bars.clear();
    }
}

impl Sink for Bars {
    fn started(&mut self, items: &[Item]) {
        self.names.extend(items.iter().map(|item| (item.id, item.name.clone())));
        for item in items {
            if self.rows.len() < self.max_rows && !self.rows.contains_key(&item.id) {
                self.add(item.id);
            }
        }
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        if !self.rows.contains_key(&progress.item) {
            self.add(progress.item);
        }
        if let Some(row) = self.rows.get_mut(&progress.item) {
            row.show(progress.item, progress.current, &self.styles, &self.spinners);
        }
        ProgressResponse::Continue
    }

    fn action(&mut self, item: ItemId, action: &Action) {
        if self.view.actions {
            let _ = self.bars.println(action_line(action, self.name(Some(item))));
        }
    }

    fn log(&mut self, entry: &LogEntry) {
        let item = self.name(entry.item);
        // A closed terminal is detected elsewhere.
        let _ = self.bars.println(log_line(entry, item, &self.view));
    }

    fn error_shown(&mut self, _id: ErrorId, detail: &ErrorDetail) {
        let _ = self.bars.println(detail_lines(detail));
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        self.bars.suspend(|| ask(question, std::io::stdin().lock(), std::io::stderr())).ok()?
    }
}

/// Asks a question until the answer is valid. `None`: an empty line, or the end of the input.
fn ask(
    question: &Question,
    mut from: impl BufRead,
    mut to: impl Write,
) -> std::io::Result<Option<usize>> {
    writeln!(to, "{}", escape(&question.text))?;
    for (number, choice) in question.choices.iter().enumerate() {
        let mark = if number == question.default_choice { " (default)" } else { "" };
        writeln!(to, "  {}) {}{mark}", number + 1, escape(choice))?;
    }
    let count = question.choices.len();
    loop {
        write!(to, "Your choice: ")?;
        to.flush()?;
        let mut line = String::new();
        from.read_line(&mut line)?;
        let answer = line.trim();
        if answer.is_empty() {
            return Ok(None);
        }
        match answer.parse::<usize>() {
            Ok(number) if (1..=count).contains(&number) => return Ok(Some(number - 1)),
            Ok(_) | Err(_) => writeln!(
                to,
                "invalid choice `{}`: enter a number from 1 to {count}, or nothing for the default",
                escape(answer)
            )?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in [SPINNER, STEPS, BYTES, ENDED] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn there_are_as_many_bars_as_rows() {
        let hidden = MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden());
        let mut bars = Bars::with_rows(hidden, 5, View::default());
        let id = |number: u128| ItemId::from_uuid(uuid::Uuid::from_u128(number));
        let items: Vec<_> = (0..10_000)
            .map(|number| Item {
                id: id(number),
                name: number.to_string(),
                flags: 0,
                checked: true,
                last_update_time: None,
            })
            .collect();
        bars.started(&items);
        assert_eq!(bars.rows.len(), 4);
        let mut report = |number, status_type| {
            let mut progress = ItemProgress::default();
            progress.status_type = Some(status_type);
            if !bars.rows.contains_key(&id(number)) {
                bars.add(id(number));
            }
            if let Some(row) = bars.rows.get_mut(&id(number)) {
                row.show(id(number), &progress, &bars.styles, &bars.spinners);
            }
            assert_eq!(bars.rows.len(), 4);
            bars.rows.contains_key(&id(number))
        };
        assert!(!report(9, Status::Updating), "every row is in use");
        assert!(report(2, Status::Succeeded));
        assert!(report(9, Status::Updating), "it replaces the ended one");
        assert!(!report(2, Status::Updating));
        assert_eq!(lock(&bars.spinners.bars).len(), 4);
    }

    #[test]
    fn an_answer_is_the_number_of_a_choice() {
        let question = Question {
            item: None,
            text: "Which?".into(),
            choices: vec!["a".into(), "b".into()],
            default_choice: 1,
        };
        for (answer, expected, times) in [
            ("1\n", Some(0), 1),
            (" 2 \n", Some(1), 1),
            ("3\n", None, 2),
            ("0\nyes\n2\n", Some(1), 3),
            ("1.5\n\n1\n", None, 2),
            ("\n", None, 1),
            ("", None, 1),
        ] {
            let mut shown = Vec::new();
            assert_eq!(ask(&question, answer.as_bytes(), &mut shown).unwrap(), expected);
            let shown = String::from_utf8(shown).unwrap();
            assert_eq!(shown.matches("Your choice: ").count(), times, "{answer:?}: {shown}");
        }
    }
}

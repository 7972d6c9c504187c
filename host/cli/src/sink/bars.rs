use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use syncmgr_host::sink::{Progress, Sink, Standing};
use syncmgr_host::{
    ErrorDetail, ErrorId, Item, ItemId, LogEntry, ProgressResponse, Question, Status,
};

use crate::escape::escape;
use crate::sink::{detail_lines, log_line};

/// A bar for each item, on a terminal.
pub(crate) struct Bars {
    bars: MultiProgress,
    rows: HashMap<ItemId, Row>,
    styles: Styles,
}

struct Row {
    name: String,
    bar: ProgressBar,
    shape: Shape,
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
        // The templates are constants, tested below.
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
    pub(crate) fn new() -> Self {
        Self { bars: MultiProgress::new(), rows: HashMap::new(), styles: Styles::new() }
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
    fn shape_of(standing: &Standing) -> Shape {
        match standing.status_type {
            Some(status) if status.is_terminal() => Shape::Ended,
            Some(Status::UpdatingIndeterminate) => Shape::Spinner,
            Some(_) | None if standing.max_value == 0 => Shape::Spinner,
            Some(_) | None if standing.bytes_per_step > 0 => Shape::Bytes,
            Some(_) | None => Shape::Steps,
        }
    }

    fn show(&mut self, standing: &Standing, styles: &Styles) {
        let shape = Self::shape_of(standing);
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
                Shape::Spinner => self.bar.enable_steady_tick(Duration::from_millis(120)),
                Shape::Steps | Shape::Bytes => {
                    self.bar.disable_steady_tick();
                    self.bar.reset();
                }
                Shape::Ended => self.bar.disable_steady_tick(),
            }
        }
        let unit = if shape == Shape::Bytes { standing.bytes_per_step } else { 1 };
        let amount = |value: i32| u64::try_from(value).unwrap_or(0).saturating_mul(unit);
        if matches!(shape, Shape::Steps | Shape::Bytes) {
            self.bar.set_length(amount(standing.max_value));
            self.bar.set_position(amount(standing.prog_value));
        }
        let text = escape(&standing.status_text).into_owned();
        match standing.status_type {
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
        // What comes after the bars is the summary. A terminal that is gone needs no clearing.
        let _ = self.bars.clear();
    }
}

impl Sink for Bars {
    fn started(&mut self, items: &[Item]) {
        for item in items {
            let bar = self.bars.add(ProgressBar::no_length());
            bar.set_style(self.styles.spinner.clone());
            bar.set_prefix(escape(&item.name).into_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            let row = Row { name: item.name.clone(), bar, shape: Shape::Spinner };
            if let Some(before) = self.rows.insert(item.id, row) {
                before.bar.finish_and_clear();
            }
        }
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        if let Some(row) = self.rows.get_mut(&progress.item) {
            row.show(progress.current, &self.styles);
        }
        ProgressResponse::Continue
    }

    fn log(&mut self, entry: &LogEntry) {
        let item = entry.item.and_then(|item| self.rows.get(&item)).map(|row| row.name.as_str());
        let item = item.filter(|_| self.rows.len() > 1);
        // A terminal that is gone is noticed elsewhere.
        let _ = self.bars.println(log_line(entry, item));
    }

    fn error_shown(&mut self, _id: ErrorId, detail: &ErrorDetail) {
        let _ = self.bars.println(detail_lines(detail));
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        self.bars.suspend(|| ask(question, std::io::stdin().lock(), std::io::stderr())).ok()?
    }
}

/// Puts a question until it has an answer. `None`: an empty line, or no more input.
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
                "`{}` is not a choice: enter a number from 1 to {count}, or nothing for the default",
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

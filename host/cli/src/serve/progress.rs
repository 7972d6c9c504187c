//! The progress of a run, from the events that it prints. A plugin determines their texts and their
//! number, so both are bounded.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::places::Places;
use super::rates::Rates;
use crate::escape::escape;
use crate::output::action_words;

/// The maximum number of items.
const MAX_ITEMS: usize = 200;

/// The maximum length of a text in characters.
const MAX_TEXT: usize = 500;

/// The number of messages that are kept, the last ones.
const MAX_MESSAGES: usize = 200;

/// The maximum number of kinds of actions.
const MAX_KINDS: usize = 32;

/// The kind of an action that deletes an entry.
pub(super) const DELETED: &str = "deleted";

/// An event of `--json`, as far as it is shown.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
enum Event {
    Started {
        items: Vec<Named>,
    },
    Progress {
        item: String,
        status_type: Option<String>,
        status_text: Option<String>,
        prog_value: Option<i32>,
        max_value: Option<i32>,
        #[serde(default)]
        bytes_per_step: u64,
    },
    Action {
        item: String,
        kind: String,
        side: Option<String>,
        path: String,
        size: Option<u64>,
        detail: Option<String>,
    },
    Log {
        level: String,
        text: String,
    },
    Report {
        error: Option<Problem>,
        items: Vec<Ended>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Line {
    run: Option<String>,
    #[serde(flatten)]
    event: Event,
}

#[derive(Debug, Deserialize)]
struct Named {
    item: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    message: String,
}

#[derive(Debug, Deserialize)]
struct Ended {
    item: String,
    status: String,
    #[serde(default)]
    text: String,
}

/// The progress of a run. Its texts are those of plugins.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The id of the run.
    pub(super) run: Option<String>,
    pub(super) items: Vec<Item>,
    /// The number of items that are not shown.
    pub(super) more_items: usize,
    /// The numbers of actions, by kind.
    pub(super) actions: BTreeMap<String, u64>,
    /// The same by directory.
    pub(super) places: Places,
    /// The numbers of deleted files, by item and side.
    deleted: BTreeMap<(String, String), u64>,
    /// The last messages and actions, escaped.
    pub(super) messages: VecDeque<String>,
    /// The number of earlier ones.
    pub(super) more_messages: u64,
    pub(super) end: Option<End>,
}

/// The end of a run.
#[derive(Debug, Default)]
pub(super) struct End {
    /// The exit status; `None`: the process was terminated.
    pub(super) exit: Option<u8>,
    pub(super) error: Option<String>,
}

/// The progress of an item.
#[derive(Debug)]
pub(super) struct Item {
    id: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) text: String,
    pub(super) value: i32,
    pub(super) max: i32,
    bytes_per_step: u64,
    /// The first report of a value: its time, and the value.
    first: Option<(Instant, i32)>,
    /// The time of the last report of a value.
    last: Option<Instant>,
    pub(super) rates: Rates,
}

impl Item {
    fn progress(&mut self, now: Instant, value: Option<i32>, max: Option<i32>, step: u64) {
        // Without a maximum, a value has no meaning.
        self.max = max.unwrap_or(self.max).max(0);
        if let Some(value) = value {
            self.value = value.clamp(0, self.max);
            self.first.get_or_insert((now, self.value));
            self.last = Some(now);
            self.rates.add(now, self.value);
        }
        self.bytes_per_step = step;
    }

    /// Returns the bytes that are done, and all of them.
    pub(super) fn bytes(&self) -> Option<(u64, u64)> {
        let bytes =
            |steps: i32| u64::from(steps.unsigned_abs()).saturating_mul(self.bytes_per_step);
        (self.bytes_per_step > 0).then(|| (bytes(self.value), bytes(self.max)))
    }

    /// Returns the steps per second since the first report.
    fn rate(&self) -> Option<f64> {
        let ((begun, first), last) = self.first.zip(self.last)?;
        let seconds = last.duration_since(begun).as_secs_f64();
        let steps = f64::from(self.value) - f64::from(first);
        (seconds > 0.0 && steps > 0.0).then(|| steps / seconds)
    }

    /// Returns the bytes per second.
    pub(super) fn bytes_per_second(&self) -> Option<u64> {
        let rate = self.rate().filter(|_| self.bytes_per_step > 0)? * self.bytes_per_step as f64;
        // Conversion from a float saturates.
        #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
        Some(rate as u64)
    }

    /// Returns the time that is left at the same rate.
    pub(super) fn left(&self) -> Option<Duration> {
        let steps = f64::from(self.max) - f64::from(self.value);
        let left = Duration::try_from_secs_f64(steps / self.rate()?).ok()?;
        (steps > 0.0).then_some(left)
    }
}

/// Shortens a text of a plugin.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Progress {
    /// Reads a line. Ignores lines of unknown kinds.
    pub(super) fn read(&mut self, line: &[u8]) {
        let Ok(Line { run, event }) = serde_json::from_slice(line) else { return };
        if self.run.is_none() {
            self.run = run.as_deref().map(shorten);
        }
        match event {
            Event::Started { items } => {
                self.more_items = items.len().saturating_sub(MAX_ITEMS);
                self.items = items.into_iter().take(MAX_ITEMS).map(Item::from).collect();
            }
            Event::Progress {
                item,
                status_type,
                status_text,
                prog_value,
                max_value,
                bytes_per_step,
            } => {
                let Some(item) = self.items.iter_mut().find(|known| known.id == item) else {
                    return;
                };
                if let Some(status) = status_type {
                    item.status = shorten(&status);
                }
                if let Some(text) = status_text {
                    item.text = shorten(&text);
                }
                item.progress(Instant::now(), prog_value, max_value, bytes_per_step);
            }
            Event::Action { item, kind, side, path, size, detail } => {
                let words = action_words(&kind, side.as_deref(), &path, size, detail.as_deref());
                self.message(&words);
                let kind = shorten(&kind);
                // Directories have no size.
                if kind == DELETED && size.is_some() {
                    let place = (shorten(&item), shorten(side.as_deref().unwrap_or_default()));
                    if self.deleted.len() < 2 * MAX_ITEMS || self.deleted.contains_key(&place) {
                        *self.deleted.entry(place).or_default() += 1;
                    }
                }
                if self.actions.len() < MAX_KINDS || self.actions.contains_key(&kind) {
                    self.places.add(&shorten(&path), &kind, size.unwrap_or(0));
                    *self.actions.entry(kind).or_default() += 1;
                }
            }
            Event::Log { level, text } => {
                self.message(&format!("{}: {}", escape(&level), escape(&text)));
            }
            Event::Report { error, items } => {
                for ended in items {
                    let item = self.items.iter_mut().find(|known| known.id == ended.item);
                    if let Some(item) = item {
                        item.status = shorten(&ended.status);
                        item.text = shorten(&ended.text);
                    }
                }
                let error = error.map(|Problem { code, message }| format!("{code}: {message}"));
                self.end.get_or_insert_default().error = error.as_deref().map(shorten);
            }
            Event::Other => {}
        }
    }

    /// Returns the number of deleted files on the side of an item with most of them.
    pub(super) fn deletions(&self) -> u64 {
        self.deleted.values().copied().max().unwrap_or(0)
    }

    fn message(&mut self, text: &str) {
        if self.messages.len() == MAX_MESSAGES {
            self.messages.pop_front();
            self.more_messages += 1;
        }
        self.messages.push_back(shorten(text));
    }

    /// Records the end of the process.
    pub(super) fn end(&mut self, exit: Option<i32>, errors: &str) {
        let end = self.end.get_or_insert_default();
        end.exit = exit.and_then(|exit| u8::try_from(exit).ok());
        let errors = errors.trim();
        if end.error.is_none() && !errors.is_empty() {
            end.error = Some(shorten(errors));
        }
    }
}

impl From<Named> for Item {
    fn from(Named { item, name }: Named) -> Self {
        Self {
            id: shorten(&item),
            name: shorten(&name),
            status: String::new(),
            text: String::new(),
            value: 0,
            max: 0,
            bytes_per_step: 0,
            first: None,
            last: None,
            rates: Rates::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Progress {
        let mut progress = Progress::default();
        lines.iter().for_each(|line| progress.read(line.as_bytes()));
        progress
    }

    const STARTED: &str = r#"{"event":"started","items":[{"item":"7","name":"docs"}],"run":"abc"}"#;

    #[test]
    fn events_of_a_run_are_its_progress() {
        let mut progress = read(&[
            STARTED,
            r#"{"event":"progress","item":"7","status-type":"updating","status-text":"copying",
                "prog-value":3,"max-value":9,"bytes-per-step":1024,"response":"continue"}"#,
            r#"{"event":"action","item":"7","kind":"created","path":"a\u202eb","size":5}"#,
            r#"{"event":"log","level":"warning","text":"oh"}"#,
            r#"{"event":"question","text":"?"}"#,
        ]);
        assert_eq!(progress.run.as_deref(), Some("abc"));
        let item = &progress.items[0];
        assert_eq!((&*item.name, &*item.status, &*item.text), ("docs", "updating", "copying"));
        assert_eq!(item.bytes(), Some((3 << 10, 9 << 10)));
        assert_eq!(progress.actions["created"], 1);
        assert_eq!(progress.messages, ["created: a\\u{202e}b (5 B)", "warning: oh"]);
        progress
            .read(br#"{"event":"report","items":[{"item":"7","status":"failed","text":"no"}]}"#);
        progress.end(Some(3), "");
        let end = progress.end.unwrap();
        assert_eq!((end.exit, end.error, &*progress.items[0].text), (Some(3), None, "no"));
    }

    #[test]
    fn deletions_are_those_of_files_on_one_side() {
        let line = |item: &str, side: &str, size: &str| {
            format!(
                r#"{{"event":"action","item":"{item}","kind":"deleted","side":"{side}","path":"p"{size}}}"#
            )
        };
        let mut lines = vec![line("1", "left", ",\"size\":0"); 3];
        lines.extend(vec![line("1", "right", ",\"size\":9"); 2]);
        lines.extend(vec![line("2", "left", ",\"size\":9"); 2]);
        lines.extend(vec![line("2", "left", ""); 9]);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        assert_eq!(read(&lines).deletions(), 3);
        assert_eq!(read(&[]).deletions(), 0);
    }

    #[test]
    fn rates_are_those_since_the_first_report() {
        let mut item = Item::from(Named { item: "7".to_owned(), name: String::new() });
        let begun = Instant::now();
        item.progress(begun, Some(0), Some(100), 1000);
        assert_eq!((item.bytes_per_second(), item.left()), (None, None));
        item.progress(begun + Duration::from_secs(10), Some(20), None, 1000);
        assert_eq!(item.bytes_per_second(), Some(2000));
        assert_eq!(item.left(), Some(Duration::from_secs(40)));
        item.progress(begun + Duration::from_secs(20), Some(100), None, 1000);
        assert_eq!(item.left(), None);
    }

    #[test]
    fn hostile_lines_are_bounded() {
        let many: Vec<_> = (0..1000)
            .map(|n| format!(r#"{{"item":"{n}","name":"{}"}}"#, "n".repeat(9999)))
            .collect();
        let many = format!(r#"{{"event":"started","items":[{}]}}"#, many.join(","));
        let mut progress =
            read(&[&many, "", "{", "[]", "null", r#"{"event":"progress"}"#, "\u{0}"]);
        assert_eq!((progress.items.len(), progress.more_items), (MAX_ITEMS, 800));
        assert_eq!(progress.items[0].name.chars().count(), MAX_TEXT + 1);
        for n in 0..1000 {
            let (kind, value) = (format!("kind {n}"), i32::MIN + n);
            progress.read(
                format!(r#"{{"event":"action","item":"1","kind":"{kind}","path":"p"}}"#).as_bytes(),
            );
            let line = format!(
                r#"{{"event":"progress","item":"1","prog-value":{value},"max-value":{},
                    "bytes-per-step":18446744073709551615}}"#,
                i32::MAX
            );
            progress.read(line.as_bytes());
        }
        assert_eq!((progress.actions.len(), progress.messages.len()), (MAX_KINDS, MAX_MESSAGES));
        assert_eq!(progress.more_messages, 800);
        assert_eq!(progress.items[1].bytes(), Some((0, u64::MAX)));
        progress.end(None, &"e".repeat(99_999));
        assert_eq!(progress.end.unwrap().error.unwrap().chars().count(), MAX_TEXT + 1);
    }
}

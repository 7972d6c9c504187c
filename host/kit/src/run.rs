//! One run of the plugin, with everything that it said.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    CancelHandle, ErrorCode, ErrorDetail, ErrorId, Item, ItemId, LogEntry, Plugin, ProgressItem,
    ProgressResponse, Question, RunReport, RunRequest, SessionOptions, Status,
};

use crate::error::KitError;
use crate::event::Event;

/// One call of the plugin, and when it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    pub(crate) event: Event,
    /// What it reported about which item, if it is a report of the plugin's own.
    pub(crate) report: Option<(ItemId, ProgressItem)>,
    pub(crate) response: ProgressResponse,
}

/// Decides about the answer to a report: by the item, what was reported, and which report of the
/// run it is, from 1 on.
pub(crate) type Answer = Box<dyn FnMut(ItemId, &ProgressItem, usize) -> ProgressResponse + Send>;

/// Agrees with everything.
pub(crate) fn agree() -> Answer {
    Box::new(|_, _, _| ProgressResponse::Continue)
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) report: RunReport,
    pub(crate) heard: Vec<Heard>,
    pub(crate) took: Duration,
}

struct State {
    heard: Vec<Heard>,
    /// What that takes in memory.
    bytes: u64,
    reports: usize,
    answer: Answer,
    choices: Choices,
}

/// Answers to questions, the next one first.
pub(crate) type Choices = Arc<Mutex<Vec<usize>>>;

#[derive(Clone)]
struct Listener(Arc<Mutex<State>>);

impl Listener {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: Event) {
        let response = ProgressResponse::Continue;
        self.lock().push(Heard { at: Instant::now(), event, report: None, response });
    }
}

impl State {
    fn push(&mut self, heard: Heard) {
        // A report is kept twice: as an event, and as what was reported.
        let report = if heard.report.is_some() { heard.event.content_bytes() } else { 0 };
        self.bytes += size_of::<Heard>() as u64 + heard.event.content_bytes() + report;
        self.heard.push(heard);
    }
}

impl Sink for Listener {
    fn started(&mut self, items: &[Item]) {
        self.hear(Event::started(items));
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let at = Instant::now();
        let mut state = self.lock();
        let mut response = ProgressResponse::Continue;
        if !progress.by_host {
            state.reports += 1;
            let nth = state.reports;
            response = (state.answer)(progress.item, progress.reported, nth).max(progress.pending);
        }
        let event = Event::progress(progress, response.name());
        let report = (!progress.by_host).then(|| (progress.item, progress.reported.clone()));
        state.push(Heard { at, event, report, response });
        response
    }

    fn recorded_bytes(&self) -> Option<u64> {
        Some(self.lock().bytes)
    }

    fn log(&mut self, entry: &LogEntry) {
        self.hear(Event::log(entry));
    }

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        self.hear(Event::DeleteLogError { error_id: id.map(|id| id.to_string()) });
    }

    fn error_shown(&mut self, id: ErrorId, detail: &ErrorDetail) {
        self.hear(Event::ErrorShown {
            error_id: id.to_string(),
            text: detail.text.clone(),
            retry: detail.retry.iter().map(ToString::to_string).collect(),
        });
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        let choices = Arc::clone(&self.lock().choices);
        let mut choices = choices.lock().unwrap_or_else(PoisonError::into_inner);
        let choice = (!choices.is_empty()).then(|| choices.remove(0));
        self.hear(Event::question(question, choice));
        choice
    }

    fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        self.hear(Event::EstablishConnection {
            connection: connection.map(str::to_owned),
            failure: None,
        });
        Ok(())
    }
}

/// Runs all of it.
pub(crate) fn run(
    plugin: &Plugin,
    options: SessionOptions,
    request: &RunRequest,
    answer: Answer,
) -> Result<Ran, KitError> {
    run_with(plugin, options, request, answer, |_| {})
}

/// Runs all of it, with something that is done at the first report, on another thread.
pub(crate) fn run_with(
    plugin: &Plugin,
    options: SessionOptions,
    request: &RunRequest,
    mut answer: Answer,
    at_first: impl FnOnce(&CancelHandle) + Send + 'static,
) -> Result<Ran, KitError> {
    let cancel = CancelHandle::new();
    let options = options.cancel_handle(cancel.clone());
    let mut at_first = Some(at_first);
    let watched: Answer = Box::new(move |item, reported, nth| {
        if let Some(act) = at_first.take() {
            let cancel = cancel.clone();
            // Where there is no thread for it, it is not done, and the check says so.
            let _ = std::thread::Builder::new().spawn(move || act(&cancel));
        }
        answer(item, reported, nth)
    });
    run_choosing(plugin, options, request, watched, Choices::default())
}

/// Runs all of it, with answers to questions.
pub(crate) fn run_choosing(
    plugin: &Plugin,
    options: SessionOptions,
    request: &RunRequest,
    answer: Answer,
    choices: Choices,
) -> Result<Ran, KitError> {
    let state = State { heard: Vec::new(), bytes: 0, reports: 0, answer, choices };
    let listener = Listener(Arc::new(Mutex::new(state)));
    let since = Instant::now();
    let report = plugin.run(options, listener.clone(), request)?;
    let took = since.elapsed();
    let heard = std::mem::take(&mut listener.lock().heard);
    Ok(Ran { report, heard, took })
}

impl Ran {
    /// How an item ended, if the plugin itself said so.
    pub(crate) fn own_end(&self, item: ItemId) -> Option<Status> {
        let reports = self.heard.iter().rev().filter_map(|heard| heard.report.as_ref());
        let mut statuses =
            reports.filter(|(about, _)| *about == item).filter_map(|(_, one)| one.status_type);
        statuses.next().filter(|status| status.is_terminal())
    }

    /// The place of the first call that is so.
    pub(crate) fn position(&self, is_so: impl Fn(&Heard) -> bool) -> Option<usize> {
        self.heard.iter().position(is_so)
    }

    /// The calls around one, a line each; that one is marked. The names of their items follow.
    pub(crate) fn around(&self, at: usize) -> Vec<String> {
        const BEFORE: usize = 5;
        const AFTER: usize = 3;
        let last = self.heard.len().min(at + AFTER + 1);
        let line = |place: usize| {
            let mark = if place == at { ">" } else { " " };
            format!("{mark} {:>4}  {}", place + 1, self.heard[place].event)
        };
        let mut lines: Vec<_> = (at.saturating_sub(BEFORE)..last).map(line).collect();
        let named = self.report.items.iter().filter_map(|item| {
            let id = format!("{:.8}", item.id.to_string());
            let is_there = lines.iter().any(|line| line.contains(&id));
            is_there.then(|| format!("        ({id} is {:?})", item.name))
        });
        let named: Vec<_> = named.collect();
        lines.extend(named);
        lines
    }

    /// The last calls.
    pub(crate) fn end(&self) -> Vec<String> {
        match self.heard.len() {
            0 => Vec::new(),
            count => self.around(count - 1),
        }
    }
}

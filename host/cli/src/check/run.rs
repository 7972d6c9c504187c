//! Runs of a plugin that record its calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    Action, CancelHandle, ErrorCode, ErrorDetail, ErrorId, Item, ItemId, LogEntry, Plugin,
    ProgressItem, ProgressResponse, Question, RunReport, RunRequest, SessionOptions, Status,
};

use crate::check::error::CheckError;
use crate::check::event::Event;

/// A call of the plugin with its time.
#[derive(Clone, Debug)]
pub(crate) struct TimedEvent {
    pub(crate) at: Instant,
    pub(crate) event: Event,
    /// The item and the report, if the plugin itself reported.
    pub(crate) report: Option<(ItemId, ProgressItem)>,
    pub(crate) response: ProgressResponse,
}

/// Returns the answer to a report of an item. The last argument is the number of the report in the
/// run, from 1.
pub(crate) type Answer = Box<dyn FnMut(ItemId, &ProgressItem, usize) -> ProgressResponse + Send>;

/// Answers `continue` to every report.
pub(crate) fn continue_all() -> Answer {
    Box::new(|_, _, _| ProgressResponse::Continue)
}

/// The report and the calls of a run.
#[derive(Debug)]
pub(crate) struct RunOutput {
    pub(crate) report: RunReport,
    pub(crate) events: Vec<TimedEvent>,
    pub(crate) took: Duration,
}

struct State {
    events: Vec<TimedEvent>,
    /// The memory of the events, in bytes.
    bytes: u64,
    reports: usize,
    answer: Answer,
    choices: Choices,
}

/// The answers to questions, in order.
pub(crate) type Choices = Arc<Mutex<Vec<usize>>>;

#[derive(Clone)]
struct Recorder(Arc<Mutex<State>>);

impl Recorder {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, event: Event) {
        let response = ProgressResponse::Continue;
        self.lock().push(TimedEvent { at: Instant::now(), event, report: None, response });
    }
}

impl State {
    fn push(&mut self, call: TimedEvent) {
        // A report is stored twice: as an event and as a `ProgressItem`.
        let report = if call.report.is_some() { call.event.content_bytes() } else { 0 };
        self.bytes += size_of::<TimedEvent>() as u64 + call.event.content_bytes() + report;
        self.events.push(call);
    }
}

impl Sink for Recorder {
    fn started(&mut self, items: &[Item]) {
        self.record(Event::started(items));
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
        state.push(TimedEvent { at, event, report, response });
        response
    }

    fn recorded_bytes(&self) -> Option<u64> {
        Some(self.lock().bytes)
    }

    fn action(&mut self, item: ItemId, action: &Action) {
        self.record(Event::action(item, action));
    }

    fn log(&mut self, entry: &LogEntry) {
        self.record(Event::log(entry));
    }

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        self.record(Event::DeleteLogError { error_id: id.map(|id| id.to_string()) });
    }

    fn error_shown(&mut self, id: ErrorId, detail: &ErrorDetail) {
        self.record(Event::ErrorShown {
            error_id: id.to_string(),
            text: detail.text.clone(),
            retry: detail.retry.iter().map(ToString::to_string).collect(),
        });
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        let choices = Arc::clone(&self.lock().choices);
        let mut choices = choices.lock().unwrap_or_else(PoisonError::into_inner);
        let choice = (!choices.is_empty()).then(|| choices.remove(0));
        self.record(Event::question(question, choice));
        choice
    }

    fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        self.record(Event::EstablishConnection {
            connection: connection.map(str::to_owned),
            failure: None,
        });
        Ok(())
    }
}

/// Runs the plugin.
pub(crate) fn run(
    plugin: &Plugin,
    options: SessionOptions,
    request: &RunRequest,
    answer: Answer,
) -> Result<RunOutput, CheckError> {
    run_with(plugin, options, request, answer, |_| {})
}

/// Runs the plugin, and calls `at_first_report` on another thread at the first report. Its cancel
/// handle replaces the one of the options.
pub(crate) fn run_with(
    plugin: &Plugin,
    options: SessionOptions,
    request: &RunRequest,
    mut answer: Answer,
    at_first_report: impl FnOnce(&CancelHandle) + Send + 'static,
) -> Result<RunOutput, CheckError> {
    let cancel = CancelHandle::new();
    let options = options.cancel_with(cancel.clone());
    let mut at_first_report = Some(at_first_report);
    let answering: Answer = Box::new(move |item, reported, nth| {
        if let Some(act) = at_first_report.take() {
            let cancel = cancel.clone();
            // If the thread cannot be started, the check fails.
            let _ = std::thread::Builder::new().spawn(move || act(&cancel));
        }
        answer(item, reported, nth)
    });
    run_choosing(plugin, options, request, answering, Choices::default())
}

/// Runs the plugin with answers to questions.
pub(crate) fn run_choosing(
    plugin: &Plugin,
    options: SessionOptions,
    request: &RunRequest,
    answer: Answer,
    choices: Choices,
) -> Result<RunOutput, CheckError> {
    let state = State { events: Vec::new(), bytes: 0, reports: 0, answer, choices };
    let recorder = Recorder(Arc::new(Mutex::new(state)));
    let since = Instant::now();
    let report = plugin.run(options, recorder.clone(), request)?;
    let took = since.elapsed();
    let events = std::mem::take(&mut recorder.lock().events);
    Ok(RunOutput { report, events, took })
}

impl RunOutput {
    /// Returns the terminal status of an item, if the plugin itself reported it.
    pub(crate) fn own_end(&self, item: ItemId) -> Option<Status> {
        let reports = self.events.iter().rev().filter_map(|call| call.report.as_ref());
        let mut statuses =
            reports.filter(|(about, _)| *about == item).filter_map(|(_, one)| one.status_type);
        statuses.next().filter(|status| status.is_terminal())
    }

    /// Returns the index of the first call that satisfies a predicate.
    pub(crate) fn position(&self, predicate: impl Fn(&TimedEvent) -> bool) -> Option<usize> {
        self.events.iter().position(predicate)
    }

    /// Returns the calls around a marked one, a line each, and the names of their items.
    pub(crate) fn around(&self, at: usize) -> Vec<String> {
        const BEFORE: usize = 5;
        const AFTER: usize = 3;
        let last = self.events.len().min(at + AFTER + 1);
        let line = |index: usize| {
            let mark = if index == at { ">" } else { " " };
            format!("{mark} {:>4}  {}", index + 1, self.events[index].event)
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

    /// Returns the last calls, a line each.
    pub(crate) fn end(&self) -> Vec<String> {
        match self.events.len() {
            0 => Vec::new(),
            count => self.around(count - 1),
        }
    }
}

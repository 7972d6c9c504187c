use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syncmgr_host::http::{HttpAnswer, HttpExchange, HttpFailure, HttpObserver, HttpRequest};
use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    ErrorCode, ErrorId, Item, LogEntry, Plugin, ProgressResponse, Question, RunRequest, Selection,
    SessionError, full_message,
};

use crate::check::error::CheckError;
use crate::check::event::Event;
use crate::check::exchange::{Exchange, MAX_BODY_BYTES};
use crate::check::fixture::Fixture;
use crate::check::recording::Recording;
use crate::check::temp_fixture::TempFixture;

/// The first call that differs from the recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The number of the call in the recording, from 1.
    pub at: usize,
    /// The recorded call; `None`: the recording ends before it.
    pub recorded: Option<Event>,
    /// The actual call; `None`: the run ended before it.
    pub happened: Option<Event>,
    /// The preceding calls, a line each.
    pub before: Vec<String>,
}

impl Divergence {
    /// Returns the reason, if the calls do not show it.
    pub fn note(&self) -> Option<&'static str> {
        match (&self.recorded, &self.happened) {
            (Some(Event::Http(recorded)), _) if recorded.lacks_body() => Some(
                "the recording does not contain the body of this answer; record with \
                 `--record-files`, which keeps bodies of at most 1 MiB",
            ),
            (None, Some(Event::Http(_))) => Some("the recording does not contain this request"),
            (_, _) => None,
        }
    }
}

/// The result of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The number of calls that match the recording.
    pub calls: usize,
    /// The first call that differs.
    pub divergence: Option<Divergence>,
}

struct State {
    events: Vec<Event>,
    at: usize,
    http: HttpState,
    /// The number of calls that match the recording.
    calls: usize,
    divergence: Option<Divergence>,
}

impl State {
    fn new(events: Vec<Event>) -> Self {
        let http = HttpState::new(&events);
        Self { events, at: 0, http, calls: 0, divergence: None }
    }

    /// Skips requests and what follows from them, which may occur in another order, and reports of
    /// work in progress, which depend on time.
    fn skip(&mut self) {
        let is_skipped = |event: &Event| match event {
            Event::Http(_) | Event::HttpWarning { .. } => true,
            Event::Progress { .. } => event.is_work_in_progress() && event.continues(),
            Event::Started { .. }
            | Event::EndedByHost { .. }
            | Event::Action { .. }
            | Event::LogError { .. }
            | Event::DeleteLogError { .. }
            | Event::ErrorShown { .. }
            | Event::Question { .. }
            | Event::EstablishConnection { .. } => false,
        };
        while self.events.get(self.at).is_some_and(is_skipped) {
            self.at += 1;
        }
    }

    /// Returns the next call of the recording, if it matches apart from the answer.
    fn next(&mut self, happened: Event, is_same: impl Fn(&Event) -> bool) -> Option<Event> {
        if self.divergence.is_some() {
            return None;
        }
        self.skip();
        let recorded = self.events.get(self.at).cloned();
        let in_progress = happened.is_work_in_progress();
        let reached = |recorded: &Event| {
            in_progress && recorded.is_work_in_progress() && happened.has_reached(recorded)
        };
        if recorded.as_ref().is_some_and(|event| is_same(event) || reached(event)) {
            self.at += 1;
            self.calls += 1;
            return recorded;
        }
        if in_progress {
            return Some(happened);
        }
        self.diverge(self.at, recorded, Some(happened));
        None
    }

    /// Returns the recorded answer to a request.
    fn answer(&mut self, request: &HttpRequest) -> HttpAnswer {
        let unknown = HttpAnswer::Failure(HttpFailure::INTERNAL);
        let Some(at) = self.http.next(request) else {
            let happened = Event::Http(Box::new(Exchange::begun(request)));
            self.diverge(self.at, None, Some(happened));
            return unknown;
        };
        let Some(Event::Http(recorded)) = self.events.get(at) else { return unknown };
        let answer = recorded.answer().unwrap_or(unknown);
        if recorded.lacks_body() {
            let happened = Event::Http(Box::new(Exchange::begun(request)));
            self.diverge(at, self.events.get(at).cloned(), Some(happened));
        }
        self.calls += 1;
        answer
    }

    /// Compares a request with the recorded one.
    fn exchanged(&mut self, exchange: &Exchange) {
        let at = self.http.answered.remove(&exchange.number);
        let Some((at, Event::Http(recorded))) = at.and_then(|at| Some((at, self.events.get(at)?)))
        else {
            return;
        };
        if !recorded.is_same_request(exchange) {
            let happened = Event::Http(Box::new(exchange.clone()));
            self.diverge(at, self.events.get(at).cloned(), Some(happened));
        }
    }

    /// Returns the first call that did not occur, by its index.
    fn missing(&mut self) -> Option<usize> {
        self.skip();
        let call = (self.at < self.events.len()).then_some(self.at);
        call.into_iter().chain(self.http.first()).min()
    }

    /// Keeps the first difference.
    fn diverge(&mut self, at: usize, recorded: Option<Event>, happened: Option<Event>) {
        const BEFORE: usize = 5;
        if self.divergence.is_none() {
            let before = self.events[at.saturating_sub(BEFORE)..at].iter();
            let before = before.map(ToString::to_string).collect();
            self.divergence = Some(Divergence { at: at + 1, recorded, happened, before });
        }
    }
}

/// The recorded requests that were not answered yet.
struct HttpState {
    /// By method and URL, in the order in which the plugin sent them.
    left: HashMap<(String, String), VecDeque<usize>>,
    /// The requests whose answer is not complete, by their number in this run.
    answered: HashMap<u64, usize>,
}

impl HttpState {
    fn new(events: &[Event]) -> Self {
        let mut recorded: Vec<_> = events
            .iter()
            .enumerate()
            .filter_map(|(at, event)| match event {
                Event::Http(exchange) => Some((at, exchange)),
                Event::Started { .. }
                | Event::Progress { .. }
                | Event::EndedByHost { .. }
                | Event::Action { .. }
                | Event::LogError { .. }
                | Event::HttpWarning { .. }
                | Event::DeleteLogError { .. }
                | Event::ErrorShown { .. }
                | Event::Question { .. }
                | Event::EstablishConnection { .. } => None,
            })
            .collect();
        recorded.sort_by_key(|(_, exchange)| exchange.number);
        let mut left: HashMap<_, VecDeque<_>> = HashMap::new();
        for (at, exchange) in recorded {
            left.entry((exchange.method.clone(), exchange.url.clone())).or_default().push_back(at);
        }
        Self { left, answered: HashMap::new() }
    }

    /// Takes the next request with this method and URL, and returns its index.
    fn next(&mut self, request: &HttpRequest) -> Option<usize> {
        let key = (request.method.to_string(), request.url.clone());
        let at = self.left.get_mut(&key)?.pop_front()?;
        self.answered.insert(request.number, at);
        Some(at)
    }

    fn first(&self) -> Option<usize> {
        self.left.values().flatten().min().copied()
    }
}

/// Answers as recorded, until a call differs.
#[derive(Clone)]
struct Player(Arc<Mutex<State>>);

impl Player {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, event: Event) {
        let happened = event.clone();
        self.lock().next(happened, |recorded| *recorded == event);
    }
}

impl HttpObserver for Player {
    fn max_body_bytes(&self) -> usize {
        MAX_BODY_BYTES
    }

    fn answer(&self, request: &HttpRequest) -> Option<HttpAnswer> {
        Some(self.lock().answer(request))
    }

    fn exchanged(&self, exchange: &HttpExchange) {
        self.lock().exchanged(&Exchange::of(exchange));
    }
}

impl Sink for Player {
    fn started(&mut self, items: &[Item]) {
        self.expect(Event::started(items));
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let all =
            [ProgressResponse::Continue, ProgressResponse::CancelItem, ProgressResponse::CancelAll];
        let mut state = self.lock();
        let same = |recorded: &Event| {
            all.iter().any(|response| *recorded == Event::progress(progress, response.name()))
        };
        let happened = Event::progress(progress, progress.pending.name());
        match state.next(happened, same) {
            Some(Event::Progress { response, .. }) => {
                all.into_iter().find(|known| known.name() == response).unwrap_or_default()
            }
            Some(_) => ProgressResponse::Continue,
            // Later calls cannot be compared.
            None => ProgressResponse::CancelAll,
        }
    }

    fn log(&mut self, entry: &LogEntry) {
        self.expect(Event::log(entry));
    }

    /// The requests are compared.
    fn http_warning(&mut self, _entry: &LogEntry) {}

    fn log_deleted(&mut self, id: Option<ErrorId>) {
        self.expect(Event::DeleteLogError { error_id: id.map(|id| id.to_string()) });
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        let same = |recorded: &Event| {
            matches!(recorded, Event::Question { text, choices, .. }
                if *text == question.text && *choices == question.choices)
        };
        match self.lock().next(Event::question(question, None), same) {
            Some(Event::Question { choice, .. }) => choice,
            Some(_) | None => None,
        }
    }

    fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        let name = connection.map(str::to_owned);
        let happened = Event::EstablishConnection { connection: name.clone(), failure: None };
        let same = |recorded: &Event| matches!(recorded, Event::EstablishConnection { connection, .. } if *connection == name);
        match self.lock().next(happened, same) {
            Some(Event::EstablishConnection { failure: Some(failure), .. }) => {
                let known = ErrorCode::ALL.into_iter().find(|code| code.name() == failure);
                Err(known.unwrap_or(ErrorCode::Failed))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Runs a plugin against a recording, with its directories, or with copies of `directories` if it
/// has none.
///
/// # Errors
/// [`CheckError`]. A call that differs is not an error.
pub fn replay(
    plugin: &Plugin,
    recording: &Recording,
    directories: &BTreeMap<String, PathBuf>,
) -> Result<Replayed, CheckError> {
    let home = tempfile::tempdir().map_err(CheckError::file("create", std::env::temp_dir()))?;
    // A recording contains only entries that can be restored.
    let refuse = |message| CheckError::Recording { path: "the recording".into(), line: 1, message };
    let restored = recording.head.restore(home.path());
    let restored = restored.map_err(|error| refuse(full_message(&error)))?;
    let servers = recording.head.http().map_err(|error| refuse(error.to_string()))?;
    let allowed = syncmgr_host::Capability::ALL
        .iter()
        .filter(|one| recording.head.allowed.iter().any(|name| name == one.name()));
    let fixture = Fixture {
        directories: if restored.is_empty() { directories.clone() } else { restored },
        settings: recording.head.settings.clone(),
        capabilities: Some(allowed.copied().collect()),
        ids: recording.head.directory_ids.clone(),
        output_hook: None,
    };
    let temp = TempFixture::new(&fixture)?;
    let state = State::new(recording.events.clone());
    let player = Player(Arc::new(Mutex::new(state)));
    // The recording answers for the servers.
    let mut options = temp.without_servers(plugin)?.http_observer(Arc::new(player.clone()));
    for server in servers {
        options = options.http(server);
    }
    let mut request = RunRequest::default();
    request.trigger = recording.head.trigger();
    request.cookie.clone_from(&recording.head.cookie);
    if let Some(items) = &recording.head.selection {
        request.selection = Selection::Only(items.clone());
    }
    let report = plugin.run(options, player.clone(), &request)?;
    let mut state = player.lock();
    if state.divergence.is_none()
        && let Some(at) = state.missing()
    {
        let recorded = state.events.get(at).cloned();
        // A plugin that fails immediately makes no call.
        let happened = match report.error() {
            Some(error @ SessionError::Trap { .. }) => Some(Event::LogError {
                level: "error".to_owned(),
                text: error.to_string(),
                item: None,
                error_id: None,
                code: None,
            }),
            Some(_) | None => None,
        };
        state.diverge(at, recorded, happened);
    }
    Ok(Replayed { calls: state.calls, divergence: state.divergence.clone() })
}

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    ErrorCode, ErrorId, Item, LogEntry, Plugin, ProgressResponse, Question, RunRequest, Selection,
    SessionError, SessionOptions, full_message,
};

use crate::check::error::CheckError;
use crate::check::event::Event;
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
    divergence: Option<Divergence>,
}

impl State {
    /// Returns the next call of the recording, if it matches apart from the answer.
    fn next(&mut self, happened: Event, is_same: impl Fn(&Event) -> bool) -> Option<Event> {
        if self.divergence.is_some() {
            return None;
        }
        let recorded = self.events.get(self.at).cloned();
        if recorded.as_ref().is_some_and(is_same) {
            self.at += 1;
            return recorded;
        }
        self.diverge(recorded, Some(happened));
        None
    }

    fn diverge(&mut self, recorded: Option<Event>, happened: Option<Event>) {
        const BEFORE: usize = 5;
        let before = self.events[self.at.saturating_sub(BEFORE)..self.at].iter();
        let before = before.map(ToString::to_string).collect();
        self.divergence = Some(Divergence { at: self.at + 1, recorded, happened, before });
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
    let restored = recording.head.restore(home.path()).map_err(|error| CheckError::Recording {
        path: "the recording".into(),
        line: 1,
        message: full_message(&error),
    })?;
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
    let options: SessionOptions = temp.options(plugin)?;
    let mut request = RunRequest::default();
    request.trigger = recording.head.trigger();
    request.cookie.clone_from(&recording.head.cookie);
    if let Some(items) = &recording.head.selection {
        request.selection = Selection::Only(items.clone());
    }
    let state = State { events: recording.events.clone(), at: 0, divergence: None };
    let player = Player(Arc::new(Mutex::new(state)));
    let report = plugin.run(options, player.clone(), &request)?;
    let mut state = player.lock();
    if state.divergence.is_none() && state.at < state.events.len() {
        let recorded = state.events.get(state.at).cloned();
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
        state.diverge(recorded, happened);
    }
    Ok(Replayed { calls: state.at, divergence: state.divergence.clone() })
}

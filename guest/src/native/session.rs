//! The scripted sync manager of this thread.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::thread;

use crate::bindings::syncmgr::plugin::types as wit;
use crate::guid::ItemId;
use crate::native::answer::{Answer, refuse};
use crate::native::outcome::{LogEntry, Report, Run};
use crate::native::script::Script;

thread_local! {
    static SESSION: RefCell<Option<State>> = const { RefCell::new(None) };
}

pub(crate) struct State {
    pub(crate) script: Script,
    pub(crate) run: Run,
    /// The items of the run.
    started: HashSet<ItemId>,
    cancelled: HashSet<ItemId>,
    all_cancelled: bool,
    /// How often each function was called.
    calls: HashMap<String, usize>,
}

/// The run of this thread, which ends when this value is dropped.
pub(crate) struct Session(());

impl Session {
    pub(crate) fn open(script: Script) -> Self {
        SESSION.with_borrow_mut(|session| {
            *session = Some(State {
                script,
                run: Run::new(),
                started: HashSet::new(),
                cancelled: HashSet::new(),
                all_cancelled: false,
                calls: HashMap::new(),
            });
        });
        Self(())
    }

    pub(crate) fn close(self) -> Run {
        let state = SESSION.with_borrow_mut(Option::take);
        state.map_or_else(Run::new, |state| state.run)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A test that panicked leaves nothing for the next one on this thread.
        SESSION.with_borrow_mut(Option::take);
    }
}

/// Calls a function with the state of the current run.
///
/// # Panics
/// Panics if no run is in progress.
pub(crate) fn with<T>(act: impl FnOnce(&mut State) -> T) -> T {
    SESSION.with_borrow_mut(|session| match session {
        Some(state) => act(state),
        None => panic!(
            "no sync manager to call: natively, plugin code runs only within \
             `testing::SyncManager::run`, on the same thread"
        ),
    })
}

/// Calls a function with the state of the current run, if there is one.
pub(crate) fn try_with<T>(act: impl FnOnce(&mut State) -> T) -> Option<T> {
    SESSION.with_borrow_mut(|session| session.as_mut().map(act))
}

pub(crate) fn start(ids: &[wit::ItemId]) {
    with(|state| {
        state.started = ids.iter().copied().map(ItemId::from_wit).collect();
        state.run.begin();
    });
}

/// Counts a call, and applies the faults that the script has for it.
pub(crate) fn enter(call: &str) -> Answer<()> {
    let (delays, failure) = with(|state| {
        let count = state.calls.entry(call.to_owned()).or_default();
        *count += 1;
        let (nth, faults) = (*count, state.script.faults.iter());
        let mine: Vec<_> = faults.filter(|fault| fault.call == call).collect();
        let delays: std::time::Duration = mine.iter().map(|fault| fault.delay).sum();
        let failing = mine.iter().find(|fault| fault.nth == nth && fault.code.is_some());
        (delays, failing.and_then(|fault| fault.code))
    });
    thread::sleep(delays);
    match failure {
        Some(code) => refuse(code, format!("injected failure of `{call}`")),
        None => Ok(()),
    }
}

impl State {
    fn response(&self, item: Option<ItemId>) -> wit::ProgressResponse {
        match item {
            _ if self.all_cancelled => wit::ProgressResponse::CancelAll,
            Some(item) if self.cancelled.contains(&item) => wit::ProgressResponse::CancelItem,
            Some(_) | None => wit::ProgressResponse::Continue,
        }
    }

    pub(crate) fn is_cancelled(&self, item: Option<ItemId>) -> bool {
        self.response(item) != wit::ProgressResponse::Continue
    }

    pub(crate) fn progress(
        &mut self,
        item: ItemId,
        report: &wit::ProgressItem,
    ) -> wit::ProgressResponse {
        if !self.started.contains(&item) || self.run.has_ended(item) {
            return wit::ProgressResponse::CancelItem;
        }
        let (of_all, of_item) = (self.run.reports.len() + 1, self.run.reports_of(item).count() + 1);
        let answers = self.script.answers.iter().filter(|answer| match answer.item {
            None => answer.nth == of_all,
            Some(about) => about == item && answer.nth == of_item,
        });
        for answer in answers {
            match answer.response {
                wit::ProgressResponse::Continue => {}
                wit::ProgressResponse::CancelItem => {
                    self.cancelled.insert(item);
                }
                wit::ProgressResponse::CancelAll => self.all_cancelled = true,
            }
        }
        let response = self.response(Some(item));
        self.run.reports.push(Report {
            item,
            text: report.status_text.clone(),
            status: report.status_type,
            value: report.prog_value,
            max: report.max_value,
            response,
        });
        response
    }

    pub(crate) fn log(&mut self, line: LogEntry) -> Answer<()> {
        if let Some(item) = line.item.filter(|item| !self.started.contains(item)) {
            let message = format!("item {item} is not part of this run");
            return refuse(wit::ErrorCode::InvalidArgument, message);
        }
        self.run.log.push(line);
        Ok(())
    }
}

//! The made-up sync manager of this thread.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::thread;

use crate::bindings::syncmgr::plugin::types as wit;
use crate::guid::ItemId;
use crate::testing::{LogLine, Made, ProgressResponse, Run, SyncManager};

thread_local! {
    static DESK: RefCell<Option<State>> = const { RefCell::new(None) };
}

pub(super) struct State {
    pub(super) manager: SyncManager,
    pub(super) run: Run,
    /// The items of the run.
    started: HashSet<ItemId>,
    cancelled: HashSet<ItemId>,
    all_cancelled: bool,
    /// How often each function was called.
    calls: HashMap<String, usize>,
}

/// Ends with the run.
pub(super) struct Desk(());

impl Desk {
    pub(super) fn open(manager: SyncManager) -> Self {
        DESK.with_borrow_mut(|desk| {
            *desk = Some(State {
                manager,
                run: Run::new(),
                started: HashSet::new(),
                cancelled: HashSet::new(),
                all_cancelled: false,
                calls: HashMap::new(),
            });
        });
        Self(())
    }

    pub(super) fn close(self) -> Run {
        let state = DESK.with_borrow_mut(Option::take);
        state.map_or_else(Run::new, |state| state.run)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // A test that panicked leaves nothing for the next one on this thread.
        DESK.with_borrow_mut(Option::take);
    }
}

/// The state of the run that is going on.
///
/// # Panics
/// Outside of one.
pub(super) fn with<T>(act: impl FnOnce(&mut State) -> T) -> T {
    DESK.with_borrow_mut(|desk| match desk {
        Some(state) => act(state),
        None => panic!(
            "there is no sync manager to call: natively there is one in \
             `testing::SyncManager::run` only, on the same thread"
        ),
    })
}

/// The state, if a run is going on.
pub(super) fn try_with<T>(act: impl FnOnce(&mut State) -> T) -> Option<T> {
    DESK.with_borrow_mut(|desk| desk.as_mut().map(act))
}

pub(super) fn start(ids: &[wit::ItemId]) {
    with(|state| {
        state.started = ids.iter().copied().map(ItemId::from_wit).collect();
        state.run.begin();
    });
}

/// Begins a call that may be meant to fail.
pub(super) fn enter(call: &str) -> Result<(), wit::Error> {
    let (delays, failure) = with(|state| {
        let count = state.calls.entry(call.to_owned()).or_default();
        *count += 1;
        let (nth, faults) = (*count, state.manager.faults.iter());
        let mine: Vec<_> = faults.filter(|fault| fault.call == call).collect();
        let delays: std::time::Duration = mine.iter().map(|fault| fault.delay).sum();
        let failing = mine.iter().find(|fault| fault.nth == nth && fault.code.is_some());
        (delays, failing.and_then(|fault| fault.code))
    });
    thread::sleep(delays);
    match failure {
        Some(code) => Err(wit::Error { code, message: format!("{call} was told to fail") }),
        None => Ok(()),
    }
}

impl State {
    fn response(&self, item: Option<ItemId>) -> ProgressResponse {
        match item {
            _ if self.all_cancelled => ProgressResponse::CancelAll,
            Some(item) if self.cancelled.contains(&item) => ProgressResponse::CancelItem,
            Some(_) | None => ProgressResponse::Continue,
        }
    }

    pub(super) fn is_cancelled(&self, item: Option<ItemId>) -> bool {
        self.response(item) != ProgressResponse::Continue
    }

    pub(super) fn progress(
        &mut self,
        item: ItemId,
        report: &wit::ProgressItem,
    ) -> ProgressResponse {
        if !self.started.contains(&item) || self.run.has_ended(item) {
            return ProgressResponse::CancelItem;
        }
        let (of_all, of_item) = (self.run.reports.len() + 1, self.run.reports_of(item).count() + 1);
        let answers = self.manager.answers.iter().filter(|answer| match answer.item {
            None => answer.nth == of_all,
            Some(about) => about == item && answer.nth == of_item,
        });
        for answer in answers {
            match answer.response {
                ProgressResponse::Continue => {}
                ProgressResponse::CancelItem => {
                    self.cancelled.insert(item);
                }
                ProgressResponse::CancelAll => self.all_cancelled = true,
            }
        }
        let response = self.response(Some(item));
        self.run.reports.push(Made {
            item,
            text: report.status_text.clone(),
            status: report.status_type,
            value: report.prog_value,
            max: report.max_value,
            response,
        });
        response
    }

    pub(super) fn log(&mut self, line: LogLine) -> Result<(), wit::Error> {
        if let Some(item) = line.item.filter(|item| !self.started.contains(item)) {
            return Err(wit::Error {
                code: wit::ErrorCode::InvalidArgument,
                message: format!("{item} is no item of this run"),
            });
        }
        self.run.log.push(line);
        Ok(())
    }
}

//! Past runs in words, for the commands and for `syncmgr serve`. Texts of plugins are escaped.

use syncmgr_install::{HistoryAction, HistoryItem, HistoryRun, ItemRun, ItemState};

use crate::escape::escape;
use crate::exit::Exit;
use crate::output::{action_words, ago};

/// The number of digits of a run's id that are shown.
const ID_DIGITS: usize = 8;

/// Returns the first digits of a run's id.
pub(crate) fn short(id: &str) -> &str {
    id.get(..ID_DIGITS).unwrap_or(id)
}

/// Returns an action in words.
pub(crate) fn action(action: &HistoryAction) -> String {
    action_words(
        &action.kind,
        action.side.as_deref(),
        &action.path,
        action.size,
        action.detail.as_deref(),
    )
}

/// Returns the result of a run by its exit status; `None`: it has not ended.
pub(crate) fn result(exit_code: Option<u8>) -> &'static str {
    match exit_code {
        None => "not ended",
        Some(0) => "in sync",
        Some(1) => "conflicts or skipped entries",
        Some(2) => "invalid usage",
        Some(3) => "failed",
        Some(4) => "stopped for safety",
        Some(5) => "cancelled",
        Some(6) => "held by another run",
        Some(_) => "crashed",
    }
}

/// Returns the numbers of actions of an item, such as `2 created, 1 deleted`.
pub(crate) fn changes(item: &HistoryItem) -> String {
    let counts = item.actions.iter();
    let counts = counts.map(|(kind, count)| format!("{count} {}", escape(&kind.replace('-', " "))));
    counts.collect::<Vec<_>>().join(", ")
}

/// Returns each item of a run with its changes.
pub(crate) fn items(run: &HistoryRun) -> String {
    let items = run.items.iter().map(|item| {
        let changes = changes(item);
        match changes.is_empty() {
            true => escape(&item.name).into_owned(),
            false => format!("{}: {changes}", escape(&item.name)),
        }
    });
    items.collect::<Vec<_>>().join("; ")
}

/// The end of an item in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    ended: bool,
    status: Option<&'a str>,
    code: Option<&'a str>,
    exit_code: Option<u8>,
    conflicts: u64,
}

impl<'a> From<&'a ItemState> for End<'a> {
    fn from(item: &'a ItemState) -> Self {
        Self {
            ended: item.ended.is_some(),
            status: item.status.as_deref(),
            code: item.code.as_deref(),
            exit_code: item.exit_code,
            conflicts: item.conflicts,
        }
    }
}

impl<'a> From<&'a ItemRun> for End<'a> {
    fn from(run: &'a ItemRun) -> Self {
        Self {
            ended: run.ended.is_some(),
            status: run.status.as_deref(),
            code: run.code.as_deref(),
            exit_code: run.exit_code,
            conflicts: u64::from(run.exit_code == Some(1)),
        }
    }
}

impl End<'_> {
    /// Returns the state of the item in one word or a few, and its exit status.
    pub(crate) fn state(self) -> (&'static str, Exit) {
        let status = match (self.ended, self.status) {
            (false, _) | (true, None) => return ("not ended", Exit::Remaining),
            (true, Some(status)) => status,
        };
        match (status, self.code, self.exit_code) {
            ("succeeded" | "deleted", ..) if self.conflicts == 0 => ("in sync", Exit::InSync),
            ("succeeded" | "deleted", ..) => ("conflicts", Exit::Remaining),
            ("skipped" | "stopped", ..) => ("cancelled", Exit::Remaining),
            // Without a code, the failure is that of the run.
            (_, Some("safety-stop"), _) | (_, None, Some(4)) => {
                ("stopped for safety", Exit::SafetyStop)
            }
            (_, Some("busy"), _) | (_, None, Some(6)) => ("held by another run", Exit::Held),
            (..) => ("failed", Exit::Failed),
        }
    }
}

/// Returns the state of an item with the number of its conflicts, such as `2 conflicts`.
pub(crate) fn state_words(item: &ItemState) -> String {
    match (End::from(item).state().0, item.conflicts) {
        ("conflicts", 1) => "1 conflict".to_owned(),
        ("conflicts", more) => format!("{more} conflicts"),
        (state, _) => state.to_owned(),
    }
}

/// Returns when an item succeeded, such as `last success 2 hours ago`.
pub(crate) fn success_words(item: &ItemState) -> String {
    match (item.succeeded, End::from(item).state().1) {
        (_, Exit::InSync) => ago(item.ended.unwrap_or(item.started)),
        (Some(succeeded), _) => format!("last success {}", ago(succeeded)),
        (None, _) => "never succeeded".to_owned(),
    }
}

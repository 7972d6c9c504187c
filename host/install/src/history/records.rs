//! The answers of the history. Their texts are those of plugins.

use std::collections::BTreeMap;

/// A run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryRun {
    /// The id.
    pub id: String,
    /// The name of an installed or built-in plugin, or the path of a job file or of a component.
    pub job: String,
    /// The plugin's name.
    pub plugin: String,
    /// The event that started it, such as `manual`.
    pub trigger: String,
    /// The start, in ms since 1970.
    pub started: i64,
    /// The end, in ms since 1970; `None`: it is in progress, or was killed.
    pub ended: Option<i64>,
    /// The outcome, such as `completed`.
    pub outcome: Option<String>,
    /// The HRESULT.
    pub hresult: Option<u32>,
    /// The exit status of the program.
    pub exit_code: Option<u8>,
    /// The code and the message of the error that ended it.
    pub error: Option<(String, String)>,
    /// The peak memory of the plugin in bytes; 0 if it is unknown.
    pub peak_memory: u64,
    /// The bytes of the bodies that were sent.
    pub bytes_up: u64,
    /// The bytes of the bodies that were received.
    pub bytes_down: u64,
    /// The number of actions that are not in the history.
    pub dropped_actions: u64,
    /// Whether the plugin's name and the directories are sufficient to run it again in the same way.
    pub repeatable: bool,
    /// The granted directories: names and paths.
    pub directories: Vec<(String, String)>,
    /// The items.
    pub items: Vec<HistoryItem>,
}

/// An item of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryItem {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The final status, such as `succeeded`; `None`: it has none.
    pub status: Option<String>,
    /// The HRESULT.
    pub hresult: Option<u32>,
    /// The error code.
    pub code: Option<String>,
    /// The last text.
    pub text: String,
    /// The number of warnings.
    pub warnings: u64,
    /// The number of errors.
    pub errors: u64,
    /// The totals of the plugin, by name.
    pub counts: BTreeMap<String, u64>,
    /// The number of actions, by kind.
    pub actions: BTreeMap<String, u64>,
    /// The sizes of the files that were created or replaced, in bytes, where they are known.
    pub bytes: u64,
}

/// An action of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryAction {
    /// The id of the run.
    pub run: String,
    /// The start of the run, in ms since 1970.
    pub started: i64,
    /// What was run, see [`HistoryRun::job`].
    pub job: String,
    /// The name of the item.
    pub item: String,
    /// The kind, such as `deleted`.
    pub kind: String,
    /// The side; `None` if there is only one, or if the action concerns all of them.
    pub side: Option<String>,
    /// The path before the action.
    pub path: String,
    /// The size in bytes; `None` if it is unknown.
    pub size: Option<u64>,
    /// The new path, the path of the second version, or the reason.
    pub detail: Option<String>,
}

/// The state of an item after its last run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ItemState {
    /// What was run, see [`HistoryRun::job`].
    pub job: String,
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The id of the last run.
    pub run: String,
    /// The start of that run, in ms since 1970.
    pub started: i64,
    /// The end of that run, in ms since 1970; `None`: it is in progress, or was killed.
    pub ended: Option<i64>,
    /// The final status in that run.
    pub status: Option<String>,
    /// The error code in that run.
    pub code: Option<String>,
    /// The exit status of that run.
    pub exit_code: Option<u8>,
    /// The last text in that run.
    pub text: String,
    /// The end of the last run in which it succeeded, in ms since 1970.
    pub succeeded: Option<i64>,
    /// The number of open conflicts.
    pub conflicts: u64,
}

/// A conflict that is not settled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryConflict {
    /// What was run, see [`HistoryRun::job`].
    pub job: String,
    /// The id of the item.
    pub id: String,
    /// The name of the item.
    pub item: String,
    /// The path of the entry.
    pub path: String,
    /// The path of its second version.
    pub copy: String,
    /// The start of the run that found it, in ms since 1970; `None`: that run is no longer in the
    /// history.
    pub since: Option<i64>,
}

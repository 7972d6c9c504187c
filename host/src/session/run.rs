use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::error::SessionError;
use crate::id::{ErrorId, ItemId};
use crate::report::{Outcome, RunReport};
use crate::session::Session;
use crate::state::SyncMgrView;
use crate::types::{Item, LogEntry, Participation, PrepareOutcome, ProgressResponse, Trigger};

/// The maximum number of errors whose details are requested after each attempt.
const MAX_SHOWN: usize = 1_000;

/// The parameters of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunRequest {
    /// The reason for the run.
    pub trigger: Trigger,
    /// The cookie of an invoking program.
    pub cookie: Option<Vec<u8>>,
    /// The items that participate.
    pub selection: Selection,
    /// The maximum number of retries that the plugin requests in the details of its errors. The
    /// sync manager of Windows asks the user instead: 0.
    pub retries: u32,
    /// The policy for crashes of the plugin.
    pub restart_policy: RestartPolicy,
}

/// The policy for crashes of a plugin. A plugin that was killed, denied or cancelled is never
/// restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartPolicy {
    /// The run fails.
    #[default]
    Fail,
    /// The plugin is restarted for the unfinished items.
    Restart {
        /// The maximum number of restarts.
        attempts: u32,
        /// The delay before the first restart. It doubles each time.
        backoff: Duration,
    },
}

/// The items that participate in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// The items that the plugin marks as checked.
    Checked,
    /// The items with these ids or names.
    Only(Vec<String>),
}

impl Default for RunRequest {
    /// Returns the parameters of a run started by the user, who may be asked, with the checked
    /// items, no retries and no restarts.
    fn default() -> Self {
        Self {
            trigger: Trigger::MANUAL,
            cookie: None,
            selection: Selection::Checked,
            retries: 0,
            restart_policy: RestartPolicy::Fail,
        }
    }
}

impl<T: SyncMgrView> Session<T> {
    /// Makes all calls of a sync manager, from the first to the last. The report always contains
    /// every item.
    pub async fn run(&mut self, request: &RunRequest) -> RunReport {
        let outcome = match self.drive(request).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(error),
        };
        self.report(outcome)
    }

    async fn drive(&mut self, request: &RunRequest) -> Result<Outcome, SessionError> {
        match self.initialize(request.trigger, request.cookie.as_deref()).await? {
            Participation::Declines => return Ok(Outcome::Declined),
            Participation::Participates => {}
        }
        self.handler_info().await?;
        let list = self.enum_items().await?;
        let mut items = select(self.plugin(), &list.items, &request.selection)?;
        let mut retries = request.retries;
        while !items.is_empty() {
            match self.prepare_for_sync(&items).await? {
                PrepareOutcome::NeedsUser => return Ok(Outcome::NeedsUser),
                PrepareOutcome::Prepared => {}
            }
            self.synchronize().await?;
            if retries == 0 {
                return Ok(Outcome::Completed);
            }
            retries -= 1;
            items = self.retry_items().await?;
            if items.is_empty() {
                return Ok(Outcome::Completed);
            }
        }
        Ok(Outcome::NothingSelected)
    }

    /// Requests the details of each error that has some, and returns the items to retry.
    async fn retry_items(&mut self) -> Result<Vec<ItemId>, SessionError> {
        let errors = errors_to_show(self.log());
        let mut items = Vec::new();
        for error in errors {
            if self.cancel_handle().response(None) == ProgressResponse::CancelAll {
                return Ok(Vec::new());
            }
            match self.show_error(error).await {
                Ok(detail) => {
                    self.deliver_detail(error, &detail)?;
                    items.extend(detail.retry);
                }
                Err(SessionError::Plugin { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(items)
    }
}

/// Returns the errors that have details, each once.
pub(crate) fn errors_to_show(log: &[LogEntry]) -> Vec<ErrorId> {
    let mut seen = HashSet::new();
    let jumps = log.iter().filter_map(|entry| entry.jump);
    jumps.filter(|&error| seen.insert(error)).take(MAX_SHOWN).collect()
}

/// Returns the ids of the items that participate.
pub(crate) fn select(
    plugin: &str,
    items: &[Item],
    selection: &Selection,
) -> Result<Vec<ItemId>, SessionError> {
    let Selection::Only(keys) = selection else {
        return Ok(items.iter().filter(|item| item.checked).map(|item| item.id).collect());
    };
    let mut by_key: HashMap<String, Vec<ItemId>> = HashMap::new();
    for item in items {
        by_key.entry(item.id.to_string()).or_default().push(item.id);
        by_key.entry(item.name.clone()).or_default().push(item.id);
    }
    let mut selected = Vec::new();
    for key in keys {
        let found = by_key.get(key).or_else(|| by_key.get(&key.to_ascii_lowercase()));
        selected.extend(found.into_iter().flatten());
        if found.is_none() {
            return Err(SessionError::UnknownItem {
                plugin: plugin.to_owned(),
                item: key.clone(),
                items: items.iter().map(|item| item.name.clone()).collect(),
            });
        }
    }
    Ok(selected)
}

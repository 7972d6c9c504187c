use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

use crate::error::{Call, SessionError};
use crate::event::{Item, LogEntry, Participation, PrepareOutcome, ProgressResponse, Trigger};
use crate::id::{ErrorId, ItemId};
use crate::report::{Outcome, Report};
use crate::session::Session;

/// Errors that are asked about after each attempt, at most.
const MAX_SHOWN: usize = 1_000;

/// Threads that a session may have for what it began and does not wait for.
const BLOCKING_THREADS: usize = 4;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Why it is started.
    pub trigger: Trigger,
    /// What an invoking program passed on.
    pub cookie: Option<Vec<u8>>,
    /// Which items take part.
    pub selection: Selection,
    /// How often, at most, items are synchronized once more because the plugin, asked about its
    /// errors, wants that. The sync manager of Windows leaves it to the user: 0.
    pub retries: u32,
    /// What to do when the plugin dies.
    pub on_death: OnDeath,
}

/// What to do when a plugin dies. Being killed, denied or cancelled is final in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDeath {
    /// The run has failed.
    #[default]
    Fail,
    /// Starts it again, for the items that it had not ended.
    Restart {
        /// How often at most.
        attempts: u32,
        /// How long to wait before the first time; each time after that twice as long.
        backoff: Duration,
    },
    /// The run has failed, and the plugin is not started any more until
    /// [`Plugin::release`](crate::Plugin::release).
    Quarantine,
}

/// Which items take part in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those that the plugin checks.
    Checked,
    /// These, by id or by name.
    Only(Vec<String>),
}

impl Default for RunRequest {
    /// Started by the user, who may be asked; the items that the plugin checks; no retries
    /// and no restarts.
    fn default() -> Self {
        Self {
            trigger: Trigger::MANUAL,
            cookie: None,
            selection: Selection::Checked,
            retries: 0,
            on_death: OnDeath::Fail,
        }
    }
}

impl Session {
    /// Does what a sync manager does from the first call to the last. However it ends, the
    /// report tells about every item.
    pub async fn run(&mut self, request: &RunRequest) -> Report {
        let outcome = match self.drive(request).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(error),
        };
        self.report(outcome)
    }

    /// Drives calls of one's own choice on this thread, for callers without an async runtime.
    ///
    /// # Errors
    /// [`SessionError::Host`] where no runtime can be made, and those of the calls.
    pub fn block_on<T>(
        &mut self,
        calls: impl AsyncFnOnce(&mut Self) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        Runtime::new(self.plugin())?.block_on(calls(self))?
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

    /// Asks about each error that can tell more, and gathers what is to be done once more.
    async fn retry_items(&mut self) -> Result<Vec<ItemId>, SessionError> {
        let errors = errors_to_show(self.log());
        let mut items = Vec::new();
        for error in errors {
            if self.cancel_handle().response(None) == ProgressResponse::CancelAll {
                return Ok(Vec::new());
            }
            match self.show_error(error).await {
                Ok(detail) => {
                    self.tell_shown(error, &detail)?;
                    items.extend(detail.retry);
                }
                Err(SessionError::Plugin { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(items)
    }
}

/// The errors that can tell more, each once.
pub(crate) fn errors_to_show(log: &[LogEntry]) -> Vec<ErrorId> {
    let mut seen = HashSet::new();
    let jumps = log.iter().filter_map(|entry| entry.jump);
    jumps.filter(|&error| seen.insert(error)).take(MAX_SHOWN).collect()
}

/// The ids of the items that take part.
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

/// The runtime of a session on a thread of its own. Dropping it does not wait for a system call
/// that the plugin left behind.
#[derive(Debug)]
pub(crate) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(crate) fn new(plugin: &str) -> Result<Self, SessionError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            // Streams of files read on such threads: a plugin may begin any number of reads.
            .max_blocking_threads(BLOCKING_THREADS)
            .build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(|source| SessionError::Host {
            plugin: plugin.to_owned(),
            what: "make an async runtime",
            source: source.into(),
        })
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> Result<T, SessionError> {
        match &self.0 {
            Some(runtime) => Ok(runtime.block_on(work)),
            None => Err(SessionError::Dead { plugin: String::new(), call: Call::Initialize }),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

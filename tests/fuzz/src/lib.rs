//! Shared code of the fuzz targets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syncmgr_host::sink::{Progress, Sink};
use syncmgr_host::{
    ErrorCode, Item, ItemId, Limits, LogEntry, LogLevel, ProgressResponse, Question, Requests,
    RunReport, Status,
};

/// The limit for texts of progress, log entries and questions, in bytes.
pub const TEXT_BYTES: usize = 4096;
/// The limit for labels, descriptions and choices, in bytes.
pub const LABEL_BYTES: usize = 256;

/// The characters of secrets, which appear in no other text: of one to four bytes each.
pub const SECRET: [char; 5] = ['Q', 'Z', '\u{3a9}', '\u{20ac}', '\u{1f980}'];

/// All statuses.
pub const STATUSES: [Status; 10] = [
    Status::Stopped,
    Status::Skipped,
    Status::Pending,
    Status::Updating,
    Status::Succeeded,
    Status::Failed,
    Status::Paused,
    Status::Resuming,
    Status::UpdatingIndeterminate,
    Status::Deleted,
];

/// Returns the status of this number.
pub fn status(number: u8) -> Status {
    STATUSES[usize::from(number) % STATUSES.len()]
}

/// Returns whether a text contains no part of a secret.
pub fn is_masked(text: &str) -> bool {
    !text.contains(SECRET)
}

/// Returns whether a text is within its limit, and without secrets.
pub fn is_within(text: &str, bytes: usize) -> bool {
    text.len() <= bytes && is_masked(text)
}

/// The bounds of a plugin's requests.
pub fn check_requests(requests: &Requests) {
    let settings = requests.settings.iter().map(|setting| (&setting.name, &setting.why));
    let secrets = requests.secrets.iter().map(|secret| (&secret.name, &secret.why));
    let named = settings.chain(secrets);
    let servers = requests.http.iter().map(|request| (&request.name, &request.why));
    let directories = requests.directories.iter().map(|request| (&request.name, &request.why));
    let mut entries = requests.capabilities.len();
    for (name, why) in named.chain(servers).chain(directories) {
        assert!((1..=255).contains(&name.len()) && why.len() <= 1_000, "{name}: {why}");
        entries += 1;
    }
    for (capability, why) in &requests.capabilities {
        assert!(why.len() <= 1_000 && requests.capability(*capability), "{why}");
    }
    assert!(entries <= 1_000, "{entries}");
    assert_eq!(requests.is_empty(), entries == 0);
}

/// Checks the invariants of a report, whatever the outcome.
pub fn check_report(report: &RunReport, limits: &Limits) {
    let bytes: usize = report.log.iter().map(|entry| entry.text.len()).sum();
    assert!(report.log.len() as u64 <= limits.log_entries, "{report:?}");
    assert!(bytes as u64 <= limits.log_bytes, "{bytes} bytes");
    report.log.iter().for_each(check_entry);
    let kept = |level| report.log.iter().filter(|entry| entry.level == level).count() as u64;
    assert!(report.warnings >= kept(LogLevel::Warning));
    assert!(report.errors >= kept(LogLevel::Error));
    let left_out =
        report.warnings + report.errors - kept(LogLevel::Warning) - kept(LogLevel::Error);
    assert!(left_out <= report.dropped_log_entries, "{report:?}");
    assert!(report.merged_calls <= report.progress_calls, "{report:?}");
    assert!(report.progress_calls <= report.host_calls, "{report:?}");
    assert!(report.refused_calls <= report.host_calls, "{report:?}");
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    for item in &report.items {
        assert!(is_within(&item.text, TEXT_BYTES) && is_masked(&item.name), "{item:?}");
        assert!(item.counts.len() <= 64, "{item:?}");
        for name in item.counts.keys() {
            assert!((1..=64).contains(&name.len()) && name.chars().all(named), "{name}");
        }
    }
    let totals = report.totals();
    let total = totals.succeeded + totals.failed + totals.skipped + totals.stopped;
    assert_eq!(total, report.items.len());
}

fn check_entry(entry: &LogEntry) {
    assert!(is_within(&entry.text, TEXT_BYTES), "{entry:?}");
    assert!(entry.jump.is_none() || entry.jump == entry.id, "{entry:?}");
}

/// A sink that checks its events, and gives prepared answers.
#[derive(Debug)]
pub struct Listener {
    responses: Vec<u8>,
    heard: usize,
    items: HashMap<ItemId, Option<Status>>,
    cancelled: HashMap<Option<ItemId>, ProgressResponse>,
}

impl Listener {
    /// Creates a listener that repeats these answers.
    pub fn new(responses: Vec<u8>) -> Self {
        Self { responses, heard: 0, items: HashMap::new(), cancelled: HashMap::new() }
    }

    /// Returns the last reported status of an item.
    pub fn status(&self, item: ItemId) -> Option<Status> {
        *self.items.get(&item)?
    }

    /// Returns whether an item has a terminal status.
    pub fn has_ended(&self, item: ItemId) -> bool {
        self.status(item).is_some_and(Status::is_terminal)
    }

    /// Returns whether all items have a terminal status.
    pub fn have_all_ended(&self) -> bool {
        self.items.values().all(|status| status.is_some_and(Status::is_terminal))
    }

    /// Returns whether an answer cancelled the item, or everything.
    pub fn has_cancelled(&self, item: ItemId) -> bool {
        self.cancelled.contains_key(&Some(item)) || self.cancelled.contains_key(&None)
    }

    fn answer(&mut self) -> u8 {
        self.heard += 1;
        match self.responses.len() {
            0 => 0,
            count => self.responses[self.heard % count],
        }
    }
}

/// A [`Listener`] in a session.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Listener>>);

impl Shared {
    /// Creates a sink that repeats these answers.
    pub fn new(responses: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Listener::new(responses))))
    }

    /// Returns the recorded events.
    pub fn heard(&self) -> MutexGuard<'_, Listener> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Shared {
    fn started(&mut self, items: &[Item]) {
        self.heard().items.extend(items.iter().map(|item| (item.id, None)));
    }

    fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
        let mut listener = self.heard();
        let Progress { item, reported, current, pending, by_host, .. } = *progress;
        let before = *listener.items.get(&item).expect("a report is about an item of the run");
        assert!(reported.status_text.iter().all(|text| is_within(text, TEXT_BYTES)));
        let values = reported.prog_value.into_iter().chain(reported.max_value);
        assert!(values.into_iter().all(|value| value >= 0), "{reported:?}");
        assert!(is_within(&current.status_text, TEXT_BYTES));
        assert!(current.prog_value >= 0 && current.max_value >= 0, "{current:?}");
        assert!(current.max_value == 0 || current.prog_value <= current.max_value, "{current:?}");
        if before.is_some_and(Status::is_terminal) {
            assert_eq!(current.status_type, Some(Status::Failed), "{before:?} was final");
        }
        assert!(!by_host || current.status_type.is_some_and(Status::is_terminal));
        listener.items.insert(item, current.status_type);
        let response = match listener.answer() % 8 {
            1 => ProgressResponse::CancelItem,
            2 => ProgressResponse::CancelAll,
            _ => ProgressResponse::Continue,
        };
        assert!(pending != ProgressResponse::Continue || !listener.has_cancelled(item));
        match response {
            ProgressResponse::Continue => {}
            ProgressResponse::CancelItem => {
                listener.cancelled.insert(Some(item), response);
            }
            ProgressResponse::CancelAll => {
                listener.cancelled.insert(None, response);
            }
        }
        response
    }

    fn log(&mut self, entry: &LogEntry) {
        check_entry(entry);
    }

    fn question(&mut self, question: &Question) -> Option<usize> {
        assert!(is_within(&question.text, TEXT_BYTES), "{question:?}");
        assert!((1..=16).contains(&question.choices.len()), "{question:?}");
        assert!(question.choices.iter().all(|choice| is_within(choice, LABEL_BYTES)));
        assert!(question.default_choice < question.choices.len(), "{question:?}");
        match self.heard().answer() {
            0..128 => None,
            choice => Some(usize::from(choice - 128)),
        }
    }

    fn establish_connection(&mut self, connection: Option<&str>) -> Result<(), ErrorCode> {
        assert!(connection.is_none_or(|name| is_within(name, TEXT_BYTES)));
        match self.heard().answer() % 2 {
            0 => Ok(()),
            _ => Err(ErrorCode::NotConnected),
        }
    }
}

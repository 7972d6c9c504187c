use std::fmt;

use serde::{Deserialize, Serialize};
use syncmgr_host::sink::Progress;
use syncmgr_host::{Action, Item, ItemId, LogEntry, ProgressResponse, Question, Status};

use crate::check::exchange::Exchange;

/// A call of a plugin with its answer, or an action of the sync manager. Names are those of the
/// WIT.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// The sync manager prepares and synchronizes items.
    Started {
        /// Their ids.
        items: Vec<String>,
    },
    /// `progress`
    Progress {
        /// The item.
        item: String,
        /// `status-text`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status_text: Option<String>,
        /// `status-type`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status_type: Option<String>,
        /// `prog-value`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prog_value: Option<i32>,
        /// `max-value`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_value: Option<i32>,
        /// The answer.
        response: String,
    },
    /// The host set the terminal status of an item, because the plugin did not.
    EndedByHost {
        /// The item.
        item: String,
        /// The status.
        status_type: String,
    },
    /// An action of `report-actions`. It is not part of a recording: it depends on the time which
    /// ones a plugin reports together.
    Action {
        /// The item.
        item: String,
        /// `kind`
        kind: String,
        /// `side`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        side: Option<String>,
        /// `path`
        path: String,
        /// `size`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        /// `detail`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// `log-error`
    LogError {
        /// `level`
        level: String,
        /// `text`
        text: String,
        /// The item.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<String>,
        /// The id for the details.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error_id: Option<String>,
        /// The code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    /// A warning of the host about an HTTP request. It follows from the request.
    HttpWarning {
        /// The text.
        text: String,
    },
    /// `delete-log-error`
    DeleteLogError {
        /// The error; absent: all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error_id: Option<String>,
    },
    /// The answer of `show-error`.
    ErrorShown {
        /// The error.
        error_id: String,
        /// The text.
        text: String,
        /// The items to retry.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        retry: Vec<String>,
    },
    /// `question`
    Question {
        /// The text.
        text: String,
        /// The choices.
        choices: Vec<String>,
        /// The answer; absent: the default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        choice: Option<usize>,
    },
    /// `establish-connection`
    EstablishConnection {
        /// The name of the connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
        /// The error code; absent: the connection is established.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// An HTTP request.
    Http(Box<Exchange>),
}

impl Event {
    pub(crate) fn started(items: &[Item]) -> Self {
        Self::Started { items: items.iter().map(|item| item.id.to_string()).collect() }
    }

    pub(crate) fn progress(progress: &Progress<'_>, response: &str) -> Self {
        let item = progress.item.to_string();
        let status = progress.reported.status_type.map(|status| status.name().to_owned());
        if progress.by_host {
            return Self::EndedByHost { item, status_type: status.unwrap_or_default() };
        }
        Self::Progress {
            item,
            status_text: progress.reported.status_text.clone(),
            status_type: status,
            prog_value: progress.reported.prog_value,
            max_value: progress.reported.max_value,
            response: response.to_owned(),
        }
    }

    pub(crate) fn action(item: ItemId, action: &Action) -> Self {
        let Action { kind, side, path, size, detail } = action.clone();
        let (item, kind) = (item.to_string(), kind.name().to_owned());
        Self::Action { item, kind, side, path, size, detail }
    }

    pub(crate) fn log(entry: &LogEntry) -> Self {
        Self::LogError {
            level: entry.level.name().to_owned(),
            text: entry.text.clone(),
            item: entry.item.map(|item| item.to_string()),
            error_id: entry.id.map(|id| id.to_string()),
            code: entry.code.map(|code| code.name().to_owned()),
        }
    }

    /// Returns the size of the texts in memory, in bytes.
    pub(crate) fn content_bytes(&self) -> u64 {
        let one = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let all = |texts: &[String]| {
            texts.iter().map(|text| size_of::<String>() + text.len()).sum::<usize>()
        };
        let bytes = match self {
            Self::Started { items } => all(items),
            Self::Progress { item, status_text, status_type, response, .. } => {
                item.len() + one(status_text) + one(status_type) + response.len()
            }
            Self::EndedByHost { item, status_type } => item.len() + status_type.len(),
            Self::Action { item, kind, side, path, detail, .. } => {
                item.len() + kind.len() + one(side) + path.len() + one(detail)
            }
            Self::LogError { level, text, item, error_id, code } => {
                level.len() + text.len() + one(item) + one(error_id) + one(code)
            }
            Self::ErrorShown { error_id, text, retry } => error_id.len() + text.len() + all(retry),
            Self::DeleteLogError { error_id } => one(error_id),
            Self::Question { text, choices, .. } => text.len() + all(choices),
            Self::HttpWarning { text } => text.len(),
            Self::Http(exchange) => size_of::<Exchange>() + exchange.content_bytes(),
            Self::EstablishConnection { connection, failure } => one(connection) + one(failure),
        };
        bytes as u64
    }

    /// Returns whether this reports work in progress: without a status, or with
    /// `updating-indeterminate`. The SDK makes such reports at intervals of time.
    pub(crate) fn is_work_in_progress(&self) -> bool {
        let indeterminate = Status::UpdatingIndeterminate.name();
        matches!(self, Self::Progress { status_type, .. }
            if status_type.as_deref().is_none_or(|status| status == indeterminate))
    }

    /// Returns whether the answer is to continue.
    pub(crate) fn continues(&self) -> bool {
        matches!(self, Self::Progress { response, .. }
            if response == ProgressResponse::Continue.name())
    }

    /// Returns whether this is a report of the same item with the same progress or more.
    pub(crate) fn has_reached(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Progress { item, prog_value: Some(value), .. },
                Self::Progress { item: other_item, prog_value: Some(other_value), .. },
            ) => item == other_item && value >= other_value,
            (_, _) => false,
        }
    }

    pub(crate) fn question(question: &Question, choice: Option<usize>) -> Self {
        Self::Question { text: question.text.clone(), choices: question.choices.clone(), choice }
    }
}

impl fmt::Display for Event {
    /// Writes a line for users. Texts are quoted, so that control characters are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { items } => write!(f, "started {}", items.join(" ")),
            Self::Progress { item, status_text, status_type, prog_value, max_value, response } => {
                write!(f, "progress {item:.8}")?;
                if let Some(status) = status_type {
                    write!(f, " {status}")?;
                }
                if let Some(value) = prog_value {
                    write!(f, " value={value}")?;
                }
                if let Some(max) = max_value {
                    write!(f, " max={max}")?;
                }
                if let Some(text) = status_text {
                    write!(f, " {text:?}")?;
                }
                write!(f, " -> {response}")
            }
            Self::EndedByHost { item, status_type } => {
                write!(f, "ended by the host: {item:.8} {status_type}")
            }
            Self::Action { item, kind, side, path, detail, .. } => {
                write!(f, "action {item:.8} {kind}")?;
                if let Some(side) = side {
                    write!(f, " {side:?}")?;
                }
                write!(f, " {path:?}")?;
                match detail {
                    Some(detail) => write!(f, " {detail:?}"),
                    None => Ok(()),
                }
            }
            Self::LogError { level, text, item, error_id, code } => {
                write!(f, "log-error {level}")?;
                if let Some(item) = item {
                    write!(f, " {item:.8}")?;
                }
                if let Some(id) = error_id {
                    write!(f, " error {id:.8}")?;
                }
                if let Some(code) = code {
                    write!(f, " {code}")?;
                }
                write!(f, " {text:?}")
            }
            Self::HttpWarning { text } => write!(f, "http-warning {text:?}"),
            Self::Http(exchange) => exchange.fmt(f),
            Self::DeleteLogError { error_id } => {
                write!(f, "delete-log-error {}", error_id.as_deref().unwrap_or("all"))
            }
            Self::ErrorShown { error_id, text, .. } => {
                write!(f, "show-error {error_id:.8} {text:?}")
            }
            Self::Question { text, choice, .. } => match choice {
                Some(choice) => write!(f, "question {text:?} -> {choice}"),
                None => write!(f, "question {text:?} -> default"),
            },
            Self::EstablishConnection { connection, failure } => {
                let answer = failure.as_deref().unwrap_or("ok");
                write!(f, "establish-connection {connection:?} -> {answer}")
            }
        }
    }
}

//! Entry points for `tests/fuzz`: the calls and answers of a plugin, without a plugin. Not a public
//! API.
//!
//! The data is given in the library's types, which can exceed the bounds.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use wasmtime_wasi::WasiCtx;

use crate::bindings::statistics::Host as _;
use crate::bindings::synchronize_callback::Host as _;
use crate::bindings::{exports, statistics, synchronize_callback as callback, types as wit};
use crate::cancel::CancelHandle;
use crate::component::description::Description;
use crate::convert::{self, Refusal};
use crate::http::client::HttpClient;
use crate::http::hooks::HttpHooks;
use crate::http::network::Network;
use crate::http::{HttpAuth, HttpPolicy};
use crate::id::{ErrorId, ItemId};
use crate::limits::Limits;
use crate::limits::clock::CoarseClock;
use crate::limits::monitor::Monitor;
use crate::output::OutputTail;
use crate::redact::Secrets;
use crate::report::{Outcome, RunReport};
use crate::sink::Sink;
use crate::state::{CtxInit, SyncMgrCtx};
use crate::sync_manager::SyncManager;
use crate::types::ErrorCode;
use crate::types::{
    ErrorDetail, HandlerInfo, Item, ItemList, LogEntry, LogLevel, ProgressItem, ProgressResponse,
    Property, PropertyField, Question,
};

/// The imports of a session, callable without a plugin. The clock is stopped.
pub struct Callbacks(SyncMgrCtx);

impl Callbacks {
    /// Creates the imports of a session with these secrets and limits.
    pub fn new(
        sink: Box<dyn Sink>,
        secrets: &[String],
        limits: &Limits,
        may_ask: bool,
        cancel: CancelHandle,
    ) -> Self {
        let monitor = Arc::new(Monitor::new(cancel, Arc::new(CoarseClock::new()), limits));
        let description = Description {
            size_bytes: 0,
            contract_version: String::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            producers: Vec::new(),
            sdk: None,
            requests: crate::Requests::default(),
            largest_function_bytes: 0,
            largest_function_joins: 0,
            joins: 0,
            expansion: 0,
        };
        let client = HttpClient::new(
            HttpPolicy::default(),
            Vec::new(),
            Secrets::default(),
            Network::new(Vec::new(), None),
            Arc::clone(&monitor),
            limits,
        );
        let mut state = SyncMgrCtx::new(
            CtxInit {
                fence: crate::fs::fence::Fence::default(),
                plugin: "fuzz".into(),
                description: Arc::new(description),
                wasi: WasiCtx::builder().build(),
                http: HttpHooks { client: Arc::new(client), observed: None },
                stderr: OutputTail::new(0, hiding(secrets), None),
                capabilities: Vec::new(),
                monitor: Arc::clone(&monitor),
                manager: SyncManager::with_monitor("fuzz", sink, monitor, limits),
                grants: Vec::new(),
                storage: None,
                secrets: hiding(secrets),
                hook: None,
            },
            limits,
        );
        state.may_ask = may_ask;
        Self(state)
    }

    fn manager(&mut self) -> &mut SyncManager {
        done(self.0.manager())
    }

    /// Records that the items were prepared.
    pub fn start(&mut self, items: &[Item]) {
        self.manager().start(items);
    }

    /// Ends the run.
    pub fn end_items(&mut self) {
        self.manager().end_items(None);
    }

    /// Skips the items.
    pub fn skip_items(&mut self) {
        self.manager().skip_items();
    }

    /// Returns the current report.
    pub fn report(&self) -> Option<RunReport> {
        let manager = self.0.manager_ref()?;
        Some(manager.run_report(Outcome::Completed, None, 0, self.0.host_calls))
    }

    /// Calls `progress`.
    pub fn progress(&mut self, item: ItemId, report: &ProgressItem) -> ProgressResponse {
        let report = wit::ProgressItem {
            status_text: report.status_text.clone(),
            status_type: report.status_type.map(convert::wit_status),
            prog_value: report.prog_value,
            max_value: report.max_value,
        };
        match done(self.0.progress(convert::guid(item.as_uuid()), report)) {
            wit::ProgressResponse::Continue => ProgressResponse::Continue,
            wit::ProgressResponse::CancelItem => ProgressResponse::CancelItem,
            wit::ProgressResponse::CancelAll => ProgressResponse::CancelAll,
        }
    }

    /// Calls `log-error`. Returns whether the entry was accepted.
    pub fn log_error(&mut self, entry: &LogEntry) -> bool {
        let level = match entry.level {
            LogLevel::Information => wit::LogLevel::Information,
            LogLevel::Warning => wit::LogLevel::Warning,
            LogLevel::Error => wit::LogLevel::Error,
        };
        let info = wit::LogErrorInfo {
            error_flags: entry.jump.map(|_| wit::ErrorFlags::ENABLE_JUMP_TEXT),
            error_id: entry.id.map(|id| convert::guid(id.as_uuid())),
            item_id: entry.item.map(|id| convert::guid(id.as_uuid())),
            code: entry.code.map(convert::wit_error_code),
        };
        done(self.0.log_error(level, entry.text.clone(), info)).is_ok()
    }

    /// Calls `delete-log-error`.
    pub fn delete_log_error(&mut self, id: Option<ErrorId>) {
        done(self.0.delete_log_error(id.map(|id| convert::guid(id.as_uuid()))));
    }

    /// Calls `question`. Returns the problem if the question is invalid.
    pub fn question(&mut self, question: &Question) -> Result<u32, String> {
        let question = callback::UserQuestion {
            item_id: question.item.map(|id| convert::guid(id.as_uuid())),
            text: question.text.clone(),
            choices: question.choices.clone(),
            default_choice: number(question.default_choice),
        };
        let mut answer = pin!(self.0.question(question));
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => done(answer).map_err(|error| error.message),
            Poll::Pending => panic!("a question waits only for the sink"),
        }
    }

    /// Calls `establish-connection`. Returns the message of an error.
    pub fn establish_connection(&mut self, connection: Option<String>) -> Result<(), String> {
        done(self.0.establish_connection(connection)).map_err(|error| error.message)
    }

    /// Calls `is-cancelled`.
    pub fn is_cancelled(&mut self, item: Option<ItemId>) -> bool {
        done(self.0.is_cancelled(item.map(|id| convert::guid(id.as_uuid()))))
    }

    /// Calls `set-bytes-per-step`.
    pub fn set_bytes_per_step(&mut self, item: ItemId, bytes: u64) {
        done(self.0.set_bytes_per_step(convert::guid(item.as_uuid()), bytes));
    }

    /// Calls `report-actions` with one action.
    pub fn report_action(&mut self, item: ItemId, kind: u8, path: String, detail: Option<String>) {
        let kinds = [
            statistics::ActionKind::Created,
            statistics::ActionKind::Replaced,
            statistics::ActionKind::AttributesSet,
            statistics::ActionKind::Moved,
            statistics::ActionKind::Deleted,
            statistics::ActionKind::ConflictKept,
            statistics::ActionKind::ConflictStanding,
            statistics::ActionKind::Skipped,
        ];
        let kind = kinds[usize::from(kind) % kinds.len()];
        let action =
            statistics::Action { kind, side: Some(path.clone()), path, size: None, detail };
        done(self.0.report_actions(convert::guid(item.as_uuid()), vec![action]));
    }

    /// Calls `set-count`.
    pub fn set_count(&mut self, item: ItemId, name: String, value: u64) {
        done(self.0.set_count(convert::guid(item.as_uuid()), name, value));
    }
}

/// Unwraps the result of a call, which cannot fail because nothing terminates these sessions.
fn done<T>(outcome: wasmtime::Result<T>) -> T {
    outcome.unwrap_or_else(|error| panic!("{error:?}"))
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn hiding(secrets: &[String]) -> Secrets {
    Secrets::new(secrets.iter().cloned())
}

/// Converts the answer to `get-handler-info`.
pub fn handler_info(info: HandlerInfo, secrets: &[String]) -> Result<HandlerInfo, Refusal> {
    let flags = [
        (1, wit::HandlerFlags::HAS_PROPERTIES),
        (2, wit::HandlerFlags::MAY_ESTABLISH_CONNECTION),
        (4, wit::HandlerFlags::ALWAYS_LIST_HANDLER),
        (8, wit::HandlerFlags::HIDDEN),
    ]
    .into_iter()
    .filter(|(bit, _)| info.flags & bit != 0)
    .fold(wit::HandlerFlags::empty(), |flags, (_, flag)| flags | flag);
    convert::handler_info(wit::HandlerInfo { name: info.name, flags }, &hiding(secrets))
}

/// Converts the answer to `enum-items`.
pub fn item_list(list: ItemList, max_items: u64, secrets: &[String]) -> Result<ItemList, Refusal> {
    let item = |item: Item| wit::Item {
        id: convert::guid(item.id.as_uuid()),
        name: item.name,
        flags: [
            (1, wit::ItemFlags::HAS_PROPERTIES),
            (2, wit::ItemFlags::TEMPORARY),
            (4, wit::ItemFlags::ROAMING_USER),
            (0x10, wit::ItemFlags::MAY_DELETE_ITEM),
            (0x20, wit::ItemFlags::HIDDEN),
        ]
        .into_iter()
        .filter(|(bit, _)| item.flags & bit != 0)
        .fold(wit::ItemFlags::empty(), |flags, (_, flag)| flags | flag),
        state: match item.checked {
            true => wit::ItemState::Checked,
            false => wit::ItemState::Unchecked,
        },
        last_update_time: item.last_update_time,
    };
    let items = list.items.into_iter().map(item).collect();
    let list = exports::ItemList { items, missing_items: list.missing_items };
    convert::item_list(list, max_items, &hiding(secrets))
}

/// Converts the answer to `show-error`.
pub fn error_detail(
    detail: ErrorDetail,
    known: &[ItemId],
    secrets: &[String],
) -> Result<ErrorDetail, Refusal> {
    let retry = detail.retry.iter().map(|id| convert::guid(id.as_uuid())).collect();
    let detail = exports::ErrorDetail { text: detail.text, retry };
    convert::error_detail(detail, |id| known.contains(&id), &hiding(secrets))
}

/// Converts the answer to `get-properties`.
pub fn properties(properties: Vec<Property>, secrets: &[String]) -> Result<Vec<Property>, Refusal> {
    let property = |property: Property| exports::Property {
        name: property.name,
        label: property.label,
        description: property.description,
        field: match property.field {
            PropertyField::Boolean(value) => exports::PropertyField::Boolean(value),
            PropertyField::Integer(value) => exports::PropertyField::Integer(value),
            PropertyField::Text(value) => exports::PropertyField::Text(value),
            PropertyField::Choice { options, selected } => {
                let selected = number(selected);
                exports::PropertyField::Choice(exports::PropertyChoice { options, selected })
            }
        },
        read_only: property.read_only,
    };
    convert::properties(properties.into_iter().map(property).collect(), &hiding(secrets))
}

/// Returns the kept output of a plugin that prints these pieces.
pub fn printed(pieces: &[Vec<u8>], limit: usize, secrets: &[String]) -> String {
    let tail = OutputTail::new(limit, hiding(secrets), None);
    pieces.iter().for_each(|piece| tail.push(piece));
    tail.text()
}

/// Converts an error code to the contract's type and back.
pub const fn there_and_back(code: ErrorCode) -> ErrorCode {
    convert::error_code(convert::wit_error_code(code))
}

/// Decides about a request of a plugin as the client does, with the credentials of the grant
/// `server`. Returns the URL to send it to, and its headers.
pub fn admit(
    policy: &HttpPolicy,
    auth: &HttpAuth,
    method: &str,
    url: &str,
    mut headers: http::HeaderMap,
) -> Option<(String, http::HeaderMap)> {
    let policy = policy.clone().with_auth([("server", auth)]);
    let allowed = policy.check(method, url).ok()?;
    crate::http::check_headers(&policy, &allowed, &mut headers).ok()?;
    let mut url = allowed.url().clone();
    if allowed.grant().name() == "server" {
        auth.add(method, &mut headers, &mut url);
    }
    Some((url.to_string(), headers))
}

/// Returns the content of a token file after an answer of its token endpoint, or the problem.
pub fn renewed(file: &[u8], status: u16, answer: &[u8]) -> Result<Vec<u8>, String> {
    crate::http::renewed(file, status, answer)
}

use std::sync::Arc;

use wasmtime::component::ResourceTableError;
use wasmtime::{Store, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::bindings::{Handler, HandlerPre, types};
use crate::cancel::CancelHandle;
use crate::convert::{self, Refusal};
use crate::error::{Call, SessionError, StopReason};
use crate::event::{
    ErrorDetail, HandlerInfo, Item, ItemList, LogEntry, LogLevel, Participation, PrepareOutcome,
    ProgressItem, ProgressResponse, PropertiesOutcome, Property, PropertyValue, Status, Trigger,
};
use crate::hresult::Hresult;
use crate::id::{ErrorId, ItemId};
use crate::ledger::Ledger;
use crate::output::OutputTail;
use crate::report::{ItemReport, Outcome, Report};
use crate::state::{EndedByHost, State};

/// One run of a handler, call by call: what a sync manager does with an object that implements
/// `ISyncMgrSynchronize`. [`Session::run`](crate::Session::run) makes all the calls of an
/// ordinary run.
///
/// The order is `initialize` first, then any of `handler_info`, `enum_items`, `properties` and
/// `set_properties`; `prepare_for_sync`, then `synchronize`, then `show_error`, and where that
/// asks for it `prepare_for_sync` once more.
pub struct Session {
    plugin: Arc<str>,
    store: Store<State>,
    world: Handler,
    cancel: CancelHandle,
    stderr: OutputTail,
    phase: Phase,
    trigger: Trigger,
    listed: Vec<Item>,
    /// Set once the plugin died; nothing may enter the store then.
    died: Option<Hresult>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Created,
    Declined,
    Initialized,
    Prepared,
    Synchronized,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("plugin", &self.plugin)
            .field("phase", &self.phase)
            .field("died", &self.died)
            .finish_non_exhaustive()
    }
}

/// Calls an export, unless the session is dead, and gives up on it as soon as it is to end.
macro_rules! call {
    ($self:ident, $call:expr, $function:ident $(, $argument:expr)*) => {{
        if $self.died.is_some() {
            return Err(SessionError::Dead { plugin: $self.plugin.to_string(), call: $call });
        }
        let cancel = $self.cancel.clone();
        let guest = $self.world.syncmgr_plugin_synchronize();
        let outcome = tokio::select! {
            biased;
            outcome = guest.$function(&mut $self.store $(, $argument)*) => outcome,
            _reason = cancel.wait_ended() => Err(EndedByHost.into()),
        };
        $self.settle($call, outcome)
    }};
}

impl Session {
    pub(crate) async fn start(
        plugin: Arc<str>,
        pre: &HandlerPre<State>,
        mut store: Store<State>,
        cancel: CancelHandle,
        stderr: OutputTail,
    ) -> Result<Self, SessionError> {
        match pre.instantiate_async(&mut store).await {
            Ok(world) => Ok(Self {
                plugin,
                store,
                world,
                cancel,
                stderr,
                phase: Phase::Created,
                trigger: Trigger::MANUAL,
                listed: Vec::new(),
                died: None,
            }),
            Err(error) => Err(death(&plugin, Call::Initialize, &cancel, &stderr, error)),
        }
    }

    /// Cancels what this session does, from any thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// The plugin's name.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// `Initialize`. Once, and first.
    ///
    /// # Errors
    /// [`SessionError`], as of every call.
    pub async fn initialize(
        &mut self,
        trigger: Trigger,
        cookie: Option<&[u8]>,
    ) -> Result<Participation, SessionError> {
        const CALL: Call = Call::Initialize;
        if self.phase != Phase::Created {
            return Err(self.out_of_order(CALL, "twice"));
        }
        self.trigger = trigger;
        self.store.data_mut().may_ask = trigger.may_bother_user;
        let cookie = cookie.map(<[u8]>::to_vec);
        let trigger = convert::trigger(trigger);
        let answer = call!(self, CALL, call_initialize, trigger, cookie.as_deref())?;
        let participation = convert::participation(answer);
        self.phase = match participation {
            Participation::Participates => Phase::Initialized,
            Participation::Declines => Phase::Declined,
        };
        Ok(participation)
    }

    /// `GetHandlerInfo`.
    ///
    /// # Errors
    /// [`SessionError`], as of every call.
    pub async fn handler_info(&mut self) -> Result<HandlerInfo, SessionError> {
        const CALL: Call = Call::GetHandlerInfo;
        self.check_initialized(CALL)?;
        let info = call!(self, CALL, call_get_handler_info)?;
        self.accept(CALL, convert::handler_info(info))
    }

    /// `EnumSyncMgrItems` and its enumerator.
    ///
    /// # Errors
    /// [`SessionError`], as of every call.
    pub async fn enum_items(&mut self) -> Result<ItemList, SessionError> {
        const CALL: Call = Call::EnumItems;
        self.check_initialized(CALL)?;
        let list = call!(self, CALL, call_enum_items)?;
        let list = self.accept(CALL, convert::item_list(list))?;
        self.listed.clone_from(&list.items);
        Ok(list)
    }

    /// `PrepareForSync` and its completion, for one item or more. Repeated ids count once.
    ///
    /// # Errors
    /// [`SessionError`], as of every call.
    pub async fn prepare_for_sync(
        &mut self,
        items: &[ItemId],
    ) -> Result<PrepareOutcome, SessionError> {
        const CALL: Call = Call::PrepareForSync;
        self.check_initialized(CALL)?;
        if self.trigger.settings {
            return Err(self.out_of_order(CALL, "in a run for settings only"));
        }
        if items.is_empty() {
            return Err(self.out_of_order(CALL, "without items"));
        }
        let mut chosen: Vec<Item> = Vec::with_capacity(items.len());
        let mut seen = std::collections::HashSet::with_capacity(items.len());
        for &id in items.iter().filter(|&&id| seen.insert(id)) {
            let listed = self.listed.iter().find(|item| item.id == id).cloned();
            // The instance that lists the items need not be the one that synchronizes them.
            chosen.push(listed.unwrap_or_else(|| Item {
                id,
                name: id.to_string(),
                flags: 0,
                checked: true,
                last_update_time: None,
            }));
        }
        let ids: Vec<_> = chosen.iter().map(|item| convert::guid(item.id.as_uuid())).collect();
        let state = self.store.data_mut();
        state.ledger.start(&chosen);
        state.sink.started(&chosen);
        let answer = match call!(self, CALL, call_prepare_for_sync, &ids) {
            Ok(answer) => answer,
            Err(error) => {
                self.end_items(Some(error.hresult()));
                return Err(error);
            }
        };
        let outcome = convert::prepare_outcome(answer);
        match outcome {
            PrepareOutcome::Prepared => self.phase = Phase::Prepared,
            PrepareOutcome::NeedsUser => self.skip_items(),
        }
        Ok(outcome)
    }

    /// `Synchronize` and its completion, for the items that were prepared. Whatever happens,
    /// every one of them has a terminal status afterwards.
    ///
    /// # Errors
    /// [`SessionError`], as of every call.
    pub async fn synchronize(&mut self) -> Result<(), SessionError> {
        const CALL: Call = Call::Synchronize;
        if self.phase != Phase::Prepared {
            return Err(self.out_of_order(CALL, "before prepare-for-sync"));
        }
        self.phase = Phase::Synchronized;
        let result = match self.deliver_pushes().await {
            Ok(()) => call!(self, CALL, call_synchronize),
            Err(error) => Err(error),
        };
        self.end_items(result.as_ref().err().map(SessionError::hresult));
        result
    }

    /// Tells the plugin what was pushed since the last time: `SetItemStatus`.
    async fn deliver_pushes(&mut self) -> Result<(), SessionError> {
        const CALL: Call = Call::SetItemStatus;
        for (item, status) in self.cancel.take_pushes() {
            let guid = item.map(|item| convert::guid(item.as_uuid()));
            match call!(self, CALL, call_set_item_status, guid, convert::wit_status(status)) {
                Ok(()) => {}
                Err(SessionError::Plugin { code, message, .. }) => {
                    let state = self.store.data_mut();
                    let entry = LogEntry {
                        level: LogLevel::Warning,
                        text: format!("set-item-status failed: {message}"),
                        item: item.filter(|&item| state.ledger.contains(item)),
                        jump: None,
                        id: None,
                        code: Some(code),
                    };
                    state.sink.log(&entry);
                    state.ledger.log(entry);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// `ShowError` and its completion.
    ///
    /// # Errors
    /// [`SessionError`], as of every call.
    pub async fn show_error(&mut self, error: ErrorId) -> Result<ErrorDetail, SessionError> {
        const CALL: Call = Call::ShowError;
        self.check_initialized(CALL)?;
        // The user is there: the native method may always ask.
        self.store.data_mut().may_ask = true;
        let answer = call!(self, CALL, call_show_error, convert::guid(error.as_uuid()));
        self.store.data_mut().may_ask = self.trigger.may_bother_user;
        let ledger = &self.store.data().ledger;
        let detail = convert::error_detail(answer?, |id| ledger.contains(id));
        self.accept(CALL, detail)
    }

    /// The first half of `ShowProperties`: what there is to show of an item, or (`None`) of the
    /// handler.
    ///
    /// # Errors
    /// [`SessionError`], as of every call.
    pub async fn properties(
        &mut self,
        item: Option<ItemId>,
    ) -> Result<Vec<Property>, SessionError> {
        const CALL: Call = Call::GetProperties;
        self.check_initialized(CALL)?;
        let item = item.map(|item| convert::guid(item.as_uuid()));
        let properties = call!(self, CALL, call_get_properties, item)?;
        self.accept(CALL, convert::properties(properties))
    }

    /// The second half of `ShowProperties`, and its completion.
    ///
    /// # Errors
    /// [`SessionError`], as of every call.
    pub async fn set_properties(
        &mut self,
        item: Option<ItemId>,
        changes: &[(&str, PropertyValue)],
    ) -> Result<PropertiesOutcome, SessionError> {
        const CALL: Call = Call::SetProperties;
        self.check_initialized(CALL)?;
        let item = item.map(|item| convert::guid(item.as_uuid()));
        let changes: Vec<_> =
            changes.iter().map(|(name, value)| convert::property_change(name, value)).collect();
        let outcome = call!(self, CALL, call_set_properties, item, &changes)?;
        Ok(convert::properties_outcome(outcome))
    }

    /// What is remembered about the run so far, with this outcome.
    pub fn report(&self, outcome: Outcome) -> Report {
        let state = self.store.data();
        let ledger = &state.ledger;
        Report {
            plugin: self.plugin.to_string(),
            outcome,
            items: ledger.rows().iter().map(|row| item_report(ledger, row, self.died)).collect(),
            log: ledger.entries().to_vec(),
            warnings: count(ledger, LogLevel::Warning),
            errors: count(ledger, LogLevel::Error),
            progress_calls: ledger.progress_calls,
            refused_calls: ledger.refused_calls,
            peak_memory_bytes: state.limiter.peak_memory_bytes,
        }
    }

    /// The log entries that stand.
    pub fn log(&self) -> &[LogEntry] {
        self.store.data().ledger.entries()
    }

    /// Gives every item that has not ended its end.
    fn end_items(&mut self, failure: Option<Hresult>) {
        let killed = self.cancel.ended() == Some(StopReason::Killed);
        for item in self.unended() {
            let status = match self.cancel.response(Some(item)) {
                // A plugin that died of itself failed, whatever was asked of it before.
                _ if failure.is_some() && !killed => Status::Failed,
                ProgressResponse::Continue => Status::Failed,
                ProgressResponse::CancelItem => Status::Skipped,
                ProgressResponse::CancelAll => Status::Stopped,
            };
            let text = match (status, failure) {
                (Status::Failed, None) => Some("ended without a result".to_owned()),
                (Status::Failed, Some(_)) => Some("not finished".to_owned()),
                (_, _) => None,
            };
            self.end_item(item, status, text);
        }
    }

    /// Ends every item as skipped: they were not begun.
    fn skip_items(&mut self) {
        for item in self.unended() {
            self.end_item(item, Status::Skipped, Some("needs the user".to_owned()));
        }
    }

    fn unended(&self) -> Vec<ItemId> {
        let ended = |status: Option<Status>| status.is_some_and(Status::is_terminal);
        let rows = self.store.data().ledger.rows().iter();
        rows.filter(|row| !ended(row.standing.status_type)).map(|row| row.item.id).collect()
    }

    fn end_item(&mut self, item: ItemId, status: Status, status_text: Option<String>) {
        let end =
            ProgressItem { status_text, status_type: Some(status), ..ProgressItem::default() };
        let state = self.store.data_mut();
        let _ = state.report(item, &end, true);
        // It is the host that reported.
        state.ledger.progress_calls -= 1;
    }

    fn check_initialized(&self, call: Call) -> Result<(), SessionError> {
        match self.phase {
            Phase::Created => Err(self.out_of_order(call, "before initialize")),
            Phase::Declined => Err(self.out_of_order(call, "after the handler declined to run")),
            Phase::Initialized | Phase::Prepared | Phase::Synchronized => Ok(()),
        }
    }

    fn out_of_order(&self, call: Call, when: &'static str) -> SessionError {
        SessionError::OutOfOrder { plugin: self.plugin.to_string(), call, when }
    }

    fn accept<T>(&self, call: Call, answer: Result<T, Refusal>) -> Result<T, SessionError> {
        let plugin = || self.plugin.to_string();
        answer.map_err(|what| SessionError::BadData { plugin: plugin(), call, what })
    }

    fn settle<T>(
        &mut self,
        call: Call,
        outcome: wasmtime::Result<Result<T, types::Error>>,
    ) -> Result<T, SessionError> {
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let message = convert::cut(error.message, convert::TEXT_BYTES);
                let code = convert::error_code(error.code);
                let message = if message.is_empty() { code.name().to_owned() } else { message };
                Err(SessionError::Plugin { plugin: self.plugin.to_string(), call, code, message })
            }
            Err(error) => {
                let error = death(&self.plugin, call, &self.cancel, &self.stderr, error);
                self.died = Some(error.hresult());
                Err(error)
            }
        }
    }
}

fn count(ledger: &Ledger, level: LogLevel) -> u64 {
    let count = ledger.entries().iter().filter(|entry| entry.level == level).count();
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn item_report(ledger: &Ledger, row: &crate::ledger::Row, died: Option<Hresult>) -> ItemReport {
    let code = ledger.code(row.item.id);
    ItemReport {
        id: row.item.id,
        name: row.item.name.clone(),
        status: row.standing.status_type.unwrap_or(Status::Failed),
        code,
        text: row.standing.status_text.clone(),
        counts: row.counts.clone(),
        warnings: ledger.count_entries(Some(row.item.id), LogLevel::Warning),
        errors: ledger.count_entries(Some(row.item.id), LogLevel::Error),
        // An item with an error of its own failed before the plugin died.
        ended_by: died.filter(|_| code.is_none()),
    }
}

/// What a call that did not return means.
fn death(
    plugin: &str,
    call: Call,
    cancel: &CancelHandle,
    stderr: &OutputTail,
    error: wasmtime::Error,
) -> SessionError {
    let plugin = plugin.to_owned();
    if let Some(I32Exit(status)) = error.downcast_ref() {
        return SessionError::Exit { plugin, call, status: *status };
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        cancel.end(StopReason::Handles);
    }
    if let Some(reason) = cancel.ended() {
        return SessionError::Ended { plugin, call, reason };
    }
    let stderr = stderr.text();
    SessionError::Trap {
        plugin,
        call,
        message: last_words(&stderr).unwrap_or_else(|| error.root_cause().to_string()),
        backtrace: error.downcast_ref::<WasmBacktrace>().map(backtrace).unwrap_or_default(),
        stderr,
    }
}

/// The panic message in what a plugin wrote, if its language writes one as Rust does: place and
/// message on one line.
fn last_words(stderr: &str) -> Option<String> {
    let at = stderr.rfind("panicked at ")?;
    let mut lines = stderr[at..].lines();
    let place = lines.next()?.trim_end_matches(':');
    let message: Vec<_> = lines.take_while(|line| !line.starts_with("note: ")).collect();
    Some(format!("{place}: {}", message.join(" ").trim()))
}

/// The frames with a name, innermost first.
fn backtrace(backtrace: &WasmBacktrace) -> String {
    let mut text = String::new();
    for (number, frame) in backtrace.frames().iter().enumerate() {
        let name = frame.func_name().map(rustc_demangle::demangle);
        let name = name.map_or_else(|| "?".to_owned(), |name| format!("{name:#}"));
        text.push_str(&format!("{number:>3}: {name}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_message_is_found_on_stderr() {
        for (stderr, expected) in [
            ("", None),
            ("only a line", None),
            (
                "\nthread 'main' (1) panicked at src/lib.rs:5:9:\nno more\nlemons\nnote: run with\n",
                Some("panicked at src/lib.rs:5:9: no more lemons"),
            ),
        ] {
            assert_eq!(last_words(stderr).as_deref(), expected);
        }
    }
}

mod death;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use wasmtime::{PoolConcurrencyLimitError, Store};

use crate::bindings::{Handler, types};
use crate::cancel::CancelHandle;
use crate::convert::{self, Refusal};
use crate::error::{Call, SessionError, StopReason};
use crate::event::{
    ErrorDetail, HandlerInfo, Item, ItemList, LogEntry, LogLevel, Participation, PrepareOutcome,
    PropertiesOutcome, Property, PropertyValue, Trigger,
};
use crate::hresult::Hresult;
use crate::id::{ErrorId, ItemId};
use crate::journal::Journal;
use crate::output::OutputTail;
use crate::plugin::Prepared;
use crate::report::{Outcome, Report};
use crate::sink::Sink;
use crate::state::{EndedByHost, State};
use crate::watch::Watch;
use death::death;

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
    watch: Arc<Watch>,
    max_items: u64,
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
        $self.check_alive($call)?;
        let guest = $self.world.syncmgr_plugin_synchronize();
        let call = guest.$function(&mut $self.store $(, $argument)*);
        let outcome = watched(&$self.watch, $call, call).await;
        $self.settle($call, outcome)
    }};
}

/// Drives a call of the guest, measures what it computes, and drops it as soon as it is to end.
async fn watched<T>(
    watch: &Watch,
    name: Call,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let mut call = pin!(call);
    let measured = poll_fn(|context| {
        watch.start_running();
        let polled = call.as_mut().poll(context);
        watch.stop_running();
        polled
    });
    watch.begin_call(name);
    // Whoever drops this future before it is done leaves half a call behind: nothing may enter
    // the instance after that.
    let unfinished = Unfinished(watch);
    let outcome = tokio::select! {
        biased;
        outcome = measured => outcome,
        _reason = watch.wait_ended() => Err(EndedByHost.into()),
    };
    std::mem::forget(unfinished);
    watch.end_call();
    outcome
}

/// Ends the plugin if a call of it is abandoned.
struct Unfinished<'a>(&'a Watch);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.end(StopReason::Killed);
        self.0.end_call();
    }
}

impl Session {
    /// Instantiates the plugin. The sink comes back if that fails.
    pub(crate) async fn start(
        prepared: Prepared,
    ) -> Result<Self, (SessionError, Option<Box<dyn Sink>>)> {
        let Prepared { plugin, pre, mut store, watch, stderr, max_items, parked: _, locks: _ } =
            prepared;
        let instantiated =
            watched(&watch, Call::Initialize, pre.instantiate_async(&mut store)).await;
        match instantiated {
            Ok(world) => Ok(Self {
                plugin,
                store,
                world,
                watch,
                max_items,
                stderr,
                phase: Phase::Created,
                trigger: Trigger::MANUAL,
                listed: Vec::new(),
                died: None,
            }),
            Err(error) => {
                let error = match error.is::<PoolConcurrencyLimitError>() {
                    true => SessionError::Host {
                        plugin: plugin.to_string(),
                        what: "find room for one more session in its pool",
                        source: error,
                    },
                    false => death(&plugin, Call::Initialize, &watch, &stderr, error),
                };
                Err((error, store.data_mut().take_journal().map(|journal| journal.sink)))
            }
        }
    }

    /// Gives the sink back. The session can do nothing more then.
    pub(crate) fn take_sink(&mut self) -> Option<Box<dyn Sink>> {
        self.store.data_mut().take_journal().map(|journal| journal.sink)
    }

    fn journal(&mut self) -> Result<&mut Journal, SessionError> {
        let plugin = &self.plugin;
        self.store.data_mut().journal().map_err(|source| SessionError::Host {
            plugin: plugin.to_string(),
            what: "find the journal of the session",
            source,
        })
    }

    /// Cancels what this session does, from any thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.watch.cancel.clone()
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
        self.check_alive(CALL)?;
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
        let info = convert::handler_info(info, &self.store.data().secrets);
        self.accept(CALL, info)
    }

    /// `EnumSyncMgrItems` and its enumerator.
    ///
    /// # Errors
    /// [`SessionError`], as of every call.
    pub async fn enum_items(&mut self) -> Result<ItemList, SessionError> {
        const CALL: Call = Call::EnumItems;
        self.check_initialized(CALL)?;
        let list = call!(self, CALL, call_enum_items)?;
        let list = convert::item_list(list, self.max_items, &self.store.data().secrets);
        let list = self.accept(CALL, list)?;
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
        self.journal()?.start(&chosen);
        let answer = match self.call_prepare(&ids).await {
            Ok(answer) => answer,
            Err(error) => {
                self.journal()?.end_items(Some(error.hresult()));
                return Err(error);
            }
        };
        let outcome = convert::prepare_outcome(answer);
        match outcome {
            PrepareOutcome::Prepared => self.phase = Phase::Prepared,
            PrepareOutcome::NeedsUser => self.journal()?.skip_items(),
        }
        Ok(outcome)
    }

    async fn call_prepare(
        &mut self,
        ids: &[types::Guid],
    ) -> Result<crate::bindings::exports::PrepareOutcome, SessionError> {
        call!(self, Call::PrepareForSync, call_prepare_for_sync, ids)
    }

    /// `Synchronize` and its completion, for the items that were prepared. Whatever happens,
    /// every one of them has a terminal status afterwards.
    ///
    /// # Errors
    /// [`SessionError`], as of every call.
    pub async fn synchronize(&mut self) -> Result<(), SessionError> {
        const CALL: Call = Call::Synchronize;
        if self.phase != Phase::Prepared {
            self.check_alive(CALL)?;
            return Err(self.out_of_order(CALL, "before prepare-for-sync"));
        }
        self.phase = Phase::Synchronized;
        let result = match self.deliver_pushes().await {
            Ok(()) => self.call_synchronize().await,
            Err(error) => Err(error),
        };
        self.journal()?.end_items(result.as_ref().err().map(SessionError::hresult));
        result
    }

    async fn call_synchronize(&mut self) -> Result<(), SessionError> {
        call!(self, Call::Synchronize, call_synchronize)
    }

    /// Tells the plugin what was pushed since the last time: `SetItemStatus`.
    async fn deliver_pushes(&mut self) -> Result<(), SessionError> {
        const CALL: Call = Call::SetItemStatus;
        for (item, status) in self.watch.cancel.take_pushes() {
            let guid = item.map(|item| convert::guid(item.as_uuid()));
            match call!(self, CALL, call_set_item_status, guid, convert::wit_status(status)) {
                Ok(()) => {}
                Err(SessionError::Plugin { code, message, .. }) => {
                    let journal = self.journal()?;
                    journal.log(&LogEntry {
                        level: LogLevel::Warning,
                        text: convert::cut(
                            format!("set-item-status failed: {message}"),
                            convert::TEXT_BYTES,
                        ),
                        item: item.filter(|&item| journal.ledger.contains(item)),
                        jump: None,
                        id: None,
                        code: Some(code),
                    });
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
        let secrets = self.store.data().secrets.clone();
        let answer = answer?;
        let ledger = &self.journal()?.ledger;
        let detail = convert::error_detail(answer, |id| ledger.contains(id), &secrets);
        self.accept(CALL, detail)
    }

    /// Passes the details of an error on to the sink.
    pub(crate) fn tell_shown(
        &mut self,
        error: ErrorId,
        detail: &ErrorDetail,
    ) -> Result<(), SessionError> {
        self.journal()?.sink.error_shown(error, detail);
        Ok(())
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
        let properties = convert::properties(properties, &self.store.data().secrets);
        self.accept(CALL, properties)
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
        let (peak, calls) = (state.limiter.peak_memory_bytes, state.host_calls);
        match state.journal_ref() {
            Some(journal) => journal.outcome(&self.plugin, outcome, self.died, peak, calls),
            None => Report::without_items(&self.plugin, outcome),
        }
    }

    /// The log entries that stand.
    pub fn log(&self) -> &[LogEntry] {
        self.store.data().journal_ref().map_or(&[], |journal| journal.ledger.entries())
    }

    /// Whether the plugin is gone comes before whether a call belongs here.
    fn check_alive(&self, call: Call) -> Result<(), SessionError> {
        match self.died {
            None => Ok(()),
            Some(_) => Err(SessionError::Dead { plugin: self.plugin.to_string(), call }),
        }
    }

    fn check_initialized(&self, call: Call) -> Result<(), SessionError> {
        self.check_alive(call)?;
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
        if let Ok(journal) = self.store.data_mut().journal() {
            journal.flush();
        }
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let message = self.store.data().secrets.hide(error.message);
                let message = convert::cut(message, convert::TEXT_BYTES);
                let code = convert::error_code(error.code);
                let message = if message.is_empty() { code.name().to_owned() } else { message };
                Err(SessionError::Plugin { plugin: self.plugin.to_string(), call, code, message })
            }
            Err(error) => {
                let error = death(&self.plugin, call, &self.watch, &self.stderr, error);
                self.died = Some(error.hresult());
                Err(error)
            }
        }
    }
}

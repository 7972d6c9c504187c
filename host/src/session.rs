mod checks;
pub(crate) mod crash;
mod monitored;
pub(crate) mod prepared;
pub(crate) mod restart;
pub(crate) mod run;
pub(crate) mod runtime;
mod start;
pub(crate) mod thread;

use std::sync::Arc;

use wasmtime::{PoolConcurrencyLimitError, Store};

use crate::bindings::{Handler, types};
use crate::cancel::CancelHandle;
use crate::convert;
use crate::error::{Call, SessionError};
use crate::hresult::Hresult;
use crate::id::{ErrorId, ItemId};
use crate::limits::monitor::Monitor;
use crate::report::{Outcome, RunReport};
use crate::sink::Sink;
use crate::state::{SyncMgrCtx, SyncMgrView};
use crate::sync_manager::SyncManager;
use crate::types::{
    ErrorDetail, HandlerInfo, Item, ItemList, LogEntry, LogLevel, Participation, PrepareOutcome,
    PropertiesOutcome, Property, PropertyValue, Trigger,
};
use crash::crash;
use monitored::monitored;
use prepared::Prepared;

/// One run of a handler, call by call, like a sync manager with an object that implements
/// `ISyncMgrSynchronize`. [`Session::run`](crate::Session::run) makes all the calls of an ordinary
/// run.
///
/// `initialize` comes first, followed by any of `handler_info`, `enum_items`, `properties` and
/// `set_properties`; then `prepare_for_sync`, `synchronize`, `show_error`, and `prepare_for_sync`
/// again to retry items.
pub struct Session<T: SyncMgrView = SyncMgrCtx> {
    plugin: Arc<str>,
    store: Store<T>,
    world: Handler,
    monitor: Arc<Monitor>,
    phase: Phase,
    trigger: Trigger,
    listed: Vec<Item>,
    /// The HRESULT of the crash, if the plugin crashed. The store must not be entered afterwards.
    crash: Option<Hresult>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Created,
    Declined,
    Initialized,
    Prepared,
    Synchronized,
}

impl<T: SyncMgrView> std::fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("plugin", &self.plugin)
            .field("phase", &self.phase)
            .field("crash", &self.crash)
            .finish_non_exhaustive()
    }
}

/// Calls an export unless the session is over, and abandons the call as soon as the session must
/// terminate.
macro_rules! call {
    ($self:ident, $call:expr, $function:ident $(, $argument:expr)*) => {{
        $self.check_alive($call)?;
        let guest = $self.world.syncmgr_plugin_synchronize();
        let call = guest.$function(&mut $self.store $(, $argument)*);
        let outcome = monitored(&$self.monitor, $call, call).await;
        $self.settle($call, outcome)
    }};
}

impl<T: SyncMgrView> Session<T> {
    /// Instantiates the plugin. Returns the sink if that fails.
    pub(crate) async fn start(
        prepared: Prepared<T>,
    ) -> Result<Self, (SessionError, Option<Box<dyn Sink>>)> {
        let Prepared { pre, mut store } = prepared;
        let context = store.data_mut().syncmgr();
        let (plugin, monitor) = (Arc::clone(&context.plugin), Arc::clone(&context.monitor));
        let instantiated =
            monitored(&monitor, Call::Initialize, pre.instantiate_async(&mut store)).await;
        match instantiated {
            Ok(world) => Ok(Self {
                plugin,
                store,
                world,
                monitor,
                phase: Phase::Created,
                trigger: Trigger::MANUAL,
                listed: Vec::new(),
                crash: None,
            }),
            Err(error) => {
                let context = store.data_mut().syncmgr();
                let error = match error.is::<PoolConcurrencyLimitError>() {
                    true => {
                        let what = "find room for one more session in its pool";
                        SessionError::host(&plugin, what, error)
                    }
                    false => crash(&plugin, Call::Initialize, &monitor, &context.stderr, error),
                };
                Err((error, context.take_manager().map(|manager| manager.sink)))
            }
        }
    }

    /// Returns the sink. The session is unusable afterwards.
    pub(crate) fn take_sink(&mut self) -> Option<Box<dyn Sink>> {
        self.context().take_manager().map(|manager| manager.sink)
    }

    /// Returns the store of the session. Between two calls, its data can be changed.
    pub fn store_mut(&mut self) -> &mut Store<T> {
        &mut self.store
    }

    fn context(&mut self) -> &mut SyncMgrCtx {
        self.store.data_mut().syncmgr()
    }

    fn manager(&mut self) -> Result<&mut SyncManager, SessionError> {
        let plugin = &self.plugin;
        let manager = self.store.data_mut().syncmgr().manager();
        manager.map_err(|source| {
            SessionError::host(plugin, "find the sync manager of the session", source)
        })
    }

    /// Returns the handle that cancels this session from any thread.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.monitor.cancel.clone()
    }

    /// Returns the plugin's name.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Calls `Initialize`. This must be the first call, and is made once.
    ///
    /// # Errors
    /// Returns a [`SessionError`], like every call.
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
        self.context().may_ask = trigger.may_bother_user;
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

    /// Calls `GetHandlerInfo`.
    ///
    /// # Errors
    /// Returns a [`SessionError`], like every call.
    pub async fn handler_info(&mut self) -> Result<HandlerInfo, SessionError> {
        const CALL: Call = Call::GetHandlerInfo;
        self.check_initialized(CALL)?;
        let info = call!(self, CALL, call_get_handler_info)?;
        let info = convert::handler_info(info, &self.context().secrets);
        self.accept(CALL, info)
    }

    /// Calls `EnumSyncMgrItems` and reads its enumerator.
    ///
    /// # Errors
    /// Returns a [`SessionError`], like every call.
    pub async fn enum_items(&mut self) -> Result<ItemList, SessionError> {
        const CALL: Call = Call::EnumItems;
        self.check_initialized(CALL)?;
        let list = call!(self, CALL, call_enum_items)?;
        let context = self.context();
        let list = convert::item_list(list, context.limits.items, &context.secrets);
        let list = self.accept(CALL, list)?;
        self.listed.clone_from(&list.items);
        Ok(list)
    }

    /// Calls `PrepareForSync` for one or more items, and waits for its completion. Repeated ids
    /// count once.
    ///
    /// # Errors
    /// Returns a [`SessionError`], like every call.
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
            // The instance that lists the items may differ from the one that synchronizes them.
            chosen.push(listed.unwrap_or_else(|| Item {
                id,
                name: id.to_string(),
                flags: 0,
                checked: true,
                last_update_time: None,
            }));
        }
        let ids: Vec<_> = chosen.iter().map(|item| convert::guid(item.id.as_uuid())).collect();
        self.manager()?.start(&chosen);
        let answer = match self.call_prepare(&ids).await {
            Ok(answer) => answer,
            Err(error) => {
                self.manager()?.end_items(Some(error.hresult()));
                return Err(error);
            }
        };
        let outcome = convert::prepare_outcome(answer);
        match outcome {
            PrepareOutcome::Prepared => self.phase = Phase::Prepared,
            PrepareOutcome::NeedsUser => self.manager()?.skip_items(),
        }
        Ok(outcome)
    }

    async fn call_prepare(
        &mut self,
        ids: &[types::Guid],
    ) -> Result<crate::bindings::exports::PrepareOutcome, SessionError> {
        call!(self, Call::PrepareForSync, call_prepare_for_sync, ids)
    }

    /// Calls `Synchronize` for the prepared items, and waits for its completion. Every item has a
    /// terminal status afterwards, whatever the result.
    ///
    /// # Errors
    /// Returns a [`SessionError`], like every call.
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
        self.manager()?.end_items(result.as_ref().err().map(SessionError::hresult));
        result
    }

    async fn call_synchronize(&mut self) -> Result<(), SessionError> {
        call!(self, Call::Synchronize, call_synchronize)
    }

    /// Forwards the cancellations since the last call to the plugin, as `SetItemStatus`.
    async fn deliver_pushes(&mut self) -> Result<(), SessionError> {
        const CALL: Call = Call::SetItemStatus;
        for (item, status) in self.monitor.cancel.take_pushes() {
            let guid = item.map(|item| convert::guid(item.as_uuid()));
            match call!(self, CALL, call_set_item_status, guid, convert::wit_status(status)) {
                Ok(()) => {}
                Err(SessionError::Plugin { code, message, .. }) => {
                    let manager = self.manager()?;
                    manager.log(&LogEntry {
                        level: LogLevel::Warning,
                        text: convert::cut(
                            format!("set-item-status failed: {message}"),
                            convert::TEXT_BYTES,
                        ),
                        item: item.filter(|&item| manager.items.contains(item)),
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

    /// Calls `ShowError`, and waits for its completion.
    ///
    /// # Errors
    /// Returns a [`SessionError`], like every call.
    pub async fn show_error(&mut self, error: ErrorId) -> Result<ErrorDetail, SessionError> {
        const CALL: Call = Call::ShowError;
        self.check_initialized(CALL)?;
        // The user is present: the native method may always ask.
        self.context().may_ask = true;
        let answer = call!(self, CALL, call_show_error, convert::guid(error.as_uuid()));
        self.context().may_ask = self.trigger.may_bother_user;
        let secrets = self.context().secrets.clone();
        let answer = answer?;
        let items = &self.manager()?.items;
        let detail = convert::error_detail(answer, |id| items.contains(id), &secrets);
        self.accept(CALL, detail)
    }

    /// Passes the details of an error to the sink.
    pub(crate) fn deliver_detail(
        &mut self,
        error: ErrorId,
        detail: &ErrorDetail,
    ) -> Result<(), SessionError> {
        self.manager()?.sink.error_shown(error, detail);
        Ok(())
    }

    /// Makes the first half of `ShowProperties`: returns the properties of an item, or (`None`) of
    /// the handler.
    ///
    /// # Errors
    /// Returns a [`SessionError`], like every call.
    pub async fn properties(
        &mut self,
        item: Option<ItemId>,
    ) -> Result<Vec<Property>, SessionError> {
        const CALL: Call = Call::GetProperties;
        self.check_initialized(CALL)?;
        let item = item.map(|item| convert::guid(item.as_uuid()));
        let properties = call!(self, CALL, call_get_properties, item)?;
        let properties = convert::properties(properties, &self.context().secrets);
        self.accept(CALL, properties)
    }

    /// Makes the second half of `ShowProperties`: changes the properties, and waits for the
    /// completion.
    ///
    /// # Errors
    /// Returns a [`SessionError`], like every call.
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

    /// Returns the report of the run so far, with this outcome.
    pub fn report(&mut self, outcome: Outcome) -> RunReport {
        let crash = self.crash;
        let context = self.context();
        context.http_hooks.client.settle();
        context.log_http();
        let (peak, calls) = (context.limiter.peak_memory_bytes, context.host_calls);
        let http = context.http_hooks.client.usage();
        let report = match context.manager_ref() {
            Some(manager) => manager.run_report(outcome, crash, peak, calls),
            None => RunReport::without_items(&self.plugin, outcome),
        };
        RunReport { http, ..report }
    }

    /// Returns the log entries that were not deleted.
    pub fn log(&mut self) -> &[LogEntry] {
        self.context().manager_ref().map_or(&[], |manager| manager.items.log_entries())
    }
}

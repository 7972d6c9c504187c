//! The handler: a plugin as `ISyncMgrSynchronize`.
//!
//! Each object is one run, with a thread that drives the plugin's session. Methods whose answer is
//! known are answered directly. `PrepareForSync`, `Synchronize`, `ShowError` and `ShowProperties`
//! return before their work is done, and complete through the callback.

#![allow(unsafe_code, reason = "what `implement` writes")]

mod methods;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};

use syncmgr_host::{
    CancelHandle, ErrorDetail, HandlerInfo, Hresult, ItemId, Outcome, Participation, Plugin,
    PrepareOutcome, PropertyValue, RunReport, Session, SessionOptions, SessionThread, hresult,
};
use windows_core::{GUID, implement};

use crate::callback::{Callback, CallbackSlot};
use crate::callback_sink::CallbackSink;
use crate::convert;
use crate::handler_thread::{self, Completion, HandlerThread};
use crate::interfaces::ISyncMgrSynchronize;
use crate::object::Counted;
use crate::run_state::{Phase, RunState, State};
use crate::user_interface::{Parent, UserInterface};

/// The state shared by all objects of one class.
pub struct Class {
    /// The plugin.
    pub plugin: Plugin,
    /// Returns the options of a session; called for each session.
    pub options: Box<dyn Fn() -> Result<SessionOptions, Hresult> + Send + Sync>,
    /// Shows dialogs.
    pub interface: Arc<dyn UserInterface>,
    /// The file for the report of the last run, if it is kept.
    pub report: Option<PathBuf>,
}

impl std::fmt::Debug for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Class").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

/// The handler object.
#[implement(ISyncMgrSynchronize)]
pub(crate) struct Handler {
    class: Arc<Class>,
    shared: Arc<RunState>,
    thread: Mutex<Option<Arc<HandlerThread>>>,
    _counted: Counted,
}

/// COM passes objects from thread to thread without checking.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    any_thread::<Handler>();
};

/// Creates a handler for one run.
pub fn create(class: Arc<Class>) -> ISyncMgrSynchronize {
    let shared = RunState {
        callback: CallbackSlot::new(),
        interface: Arc::clone(&class.interface),
        plugin: class.plugin.name().to_owned(),
        cancel: CancelHandle::new(),
        state: Mutex::new(State {
            phase: Phase::Created,
            parent: Parent::default(),
            prepared: Vec::new(),
            info: None,
        }),
        outside: AtomicUsize::new(0),
        in_sink: AtomicBool::new(false),
    };
    Handler { class, shared: Arc::new(shared), thread: Mutex::default(), _counted: Counted::new() }
        .into()
}

impl Handler {
    /// Returns the thread, if it has been started.
    fn thread(&self) -> Result<Arc<HandlerThread>, Hresult> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.clone().ok_or(Hresult::E_UNEXPECTED)
    }

    fn initialize(&self, flags: u32, cookie: Option<Vec<u8>>) -> Result<Hresult, Hresult> {
        {
            let mut state = self.shared.lock();
            if state.phase != Phase::Created {
                return Err(Hresult::E_UNEXPECTED);
            }
            state.phase = Phase::Initializing;
        }
        let initialized = self.start(flags, cookie);
        self.shared.enter(match initialized {
            Ok(Participation::Participates) => Phase::Initialized,
            Ok(Participation::Declines) | Err(_) => Phase::Over,
        });
        initialized.map(hresult::from_participation)
    }

    fn start(&self, flags: u32, cookie: Option<Vec<u8>>) -> Result<Participation, Hresult> {
        let trigger = convert::trigger(flags);
        let options = (self.class.options)()?.cancel_with(self.shared.cancel.clone());
        let sink = CallbackSink::new(Arc::clone(&self.shared));
        let plugin = self.class.plugin.clone();
        let thread = HandlerThread::start(move || plugin.start_on_thread(&options, sink))?;
        let participation = thread.ask(async move |session: &mut Session| {
            session.initialize(trigger, cookie.as_deref()).await
        })?;
        let thread = Some(Arc::new(thread));
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = thread;
        Ok(participation)
    }

    fn handler_info(&self) -> Result<HandlerInfo, Hresult> {
        let (known, busy) = {
            let state = self.shared.lock();
            (state.info.clone(), self.shared.is_busy(&state))
        };
        match known {
            Some(info) => Ok(info),
            // The plugin cannot answer before its current call returns.
            None if busy => Err(Hresult::HRESULT_ERROR_BUSY),
            None => {
                let info = self
                    .thread()?
                    .ask(async |session: &mut Session| session.handler_info().await)?;
                self.shared.lock().info = Some(info.clone());
                Ok(info)
            }
        }
    }

    fn prepare(&self, items: Vec<ItemId>, parent: Parent) -> Result<Hresult, Hresult> {
        let thread = self.thread()?;
        if !self.shared.callback.is_set() {
            return Err(Hresult::E_UNEXPECTED);
        }
        {
            let mut state = self.shared.lock();
            match state.phase {
                Phase::Initialized | Phase::Prepared => {}
                Phase::Created
                | Phase::Initializing
                | Phase::Over
                | Phase::Preparing
                | Phase::Synchronizing => return Err(Hresult::E_UNEXPECTED),
            }
            self.shared.renew(&state);
            state.phase = Phase::Preparing;
            state.parent = parent;
            state.prepared.clone_from(&items);
        }
        let shared = Arc::clone(&self.shared);
        self.post(&thread, Callback::prepare_for_sync_completed, move |session| {
            let prepared = handler_thread::call(session, async move |session: &mut Session| {
                session.prepare_for_sync(&items).await
            });
            shared.enter(match prepared {
                Ok(PrepareOutcome::Prepared) => Phase::Prepared,
                Ok(PrepareOutcome::NeedsUser) | Err(_) => Phase::Initialized,
            });
            let outcome = prepared.map(hresult::from_prepare_outcome);
            let outcome = outcome.unwrap_or_else(|failure| failure);
            Box::new(move || {
                shared.complete(|callback| callback.prepare_for_sync_completed(outcome));
            })
        })
    }

    fn synchronize(&self, parent: Parent) -> Result<Hresult, Hresult> {
        let thread = self.thread()?;
        {
            let mut state = self.shared.lock();
            if state.phase != Phase::Prepared || !self.shared.callback.is_set() {
                return Err(Hresult::E_UNEXPECTED);
            }
            state.phase = Phase::Synchronizing;
            state.parent = parent;
        }
        let shared = Arc::clone(&self.shared);
        let keep = self.class.report.clone();
        self.post(&thread, Callback::synchronize_completed, move |session| {
            let synchronized =
                session.call(async |session: &mut Session| session.synchronize().await);
            let outcome = match synchronized {
                Ok(Ok(())) => Outcome::Completed,
                Ok(Err(error)) | Err(error) => Outcome::Failed(error),
            };
            let mut report = session.report(outcome);
            if let Some(file) = keep {
                keep_report(&file, &report);
            }
            // Items of an earlier attempt are not part of this one.
            let prepared: HashSet<_> = {
                let mut state = shared.lock();
                state.phase = Phase::Initialized;
                std::mem::take(&mut state.prepared).into_iter().collect()
            };
            report.items.retain(|item| prepared.contains(&item.id));
            let outcome = report.hresult();
            Box::new(move || shared.complete(|callback| callback.synchronize_completed(outcome)))
        })
    }

    fn show_error(&self, error: GUID, parent: Parent) -> Result<Hresult, Hresult> {
        let thread = self.thread()?;
        let error = convert::error_id(error).ok_or(Hresult::E_INVALIDARG)?;
        self.begin_showing()?;
        let shared = Arc::clone(&self.shared);
        let failed = |callback: &Callback, failure| callback.show_error_completed(failure, &[]);
        self.post(&thread, failed, move |session| {
            let shown = handler_thread::call(session, async move |session: &mut Session| {
                session.show_error(error).await
            });
            Box::new(move || {
                shared.complete(|callback| match shown {
                    Ok(ErrorDetail { text, retry }) => {
                        let show = || shared.interface.show(parent, &shared.title(), &text);
                        callback.with_modal(show);
                        let outcome = hresult::from_retry(!retry.is_empty());
                        callback.show_error_completed(outcome, &retry);
                    }
                    Err(failure) => callback.show_error_completed(failure, &[]),
                });
            })
        })
    }

    fn show_properties(&self, item: Option<ItemId>, parent: Parent) -> Result<Hresult, Hresult> {
        let thread = self.thread()?;
        self.begin_showing()?;
        let shared = Arc::clone(&self.shared);
        self.post(&thread, Callback::show_properties_completed, move |session| {
            let outcome = edit_properties(session, &shared, item, parent);
            let outcome = outcome.unwrap_or_else(|failure| failure);
            Box::new(move || {
                shared.complete(|callback| callback.show_properties_completed(outcome));
            })
        })
    }

    /// Prepares to show something. Fails during a run, because showing would have to wait for it.
    fn begin_showing(&self) -> Result<(), Hresult> {
        if !self.shared.callback.is_set() {
            return Err(Hresult::E_UNEXPECTED);
        }
        let state = self.shared.lock();
        if state.is_running() {
            return Err(Hresult::HRESULT_ERROR_BUSY);
        }
        self.shared.renew(&state);
        Ok(())
    }

    /// Runs a task that completes later, after the queued log entries are written. If it cannot be
    /// queued, it does not complete; if it panics, `failed` completes it.
    fn post(
        &self,
        thread: &HandlerThread,
        failed: impl FnOnce(&Callback, Hresult) + Send + 'static,
        task: impl FnOnce(&mut SessionThread) -> Completion + Send + 'static,
    ) -> Result<Hresult, Hresult> {
        let (log, after) = (Arc::clone(&self.shared), Arc::clone(&self.shared));
        let posted = thread.post(
            move |session| {
                {
                    let _outside = log.outside();
                    log.callback.log_waiting();
                }
                task(session)
            },
            move || {
                after.enter(Phase::Initialized);
                after.complete(|callback| failed(callback, Hresult::E_UNEXPECTED));
            },
        );
        match posted {
            true => Ok(Hresult::S_OK),
            false => Err(Hresult::E_UNEXPECTED),
        }
    }
}

/// Shows properties, and passes the user's changes to the plugin.
fn edit_properties(
    session: &mut SessionThread,
    shared: &RunState,
    item: Option<ItemId>,
    parent: Parent,
) -> Result<Hresult, Hresult> {
    let properties = handler_thread::call(session, async move |session: &mut Session| {
        session.properties(item).await
    })?;
    let changes = {
        let _outside = shared.outside();
        shared.interface.edit(parent, &shared.title(), &properties)
    };
    let Some(changes) = changes else { return Ok(Hresult::S_OK) };
    let changed = handler_thread::call(session, async move |session: &mut Session| {
        let changes: Vec<(&str, PropertyValue)> =
            changes.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        session.set_properties(item, &changes).await
    })?;
    Ok(hresult::from_properties_outcome(changed))
}

/// Writes the report to the file. A failure is ignored.
fn keep_report(file: &std::path::Path, report: &RunReport) {
    let mut lines = syncmgr_host::sink::JsonLines::new(Vec::new());
    lines.report(report, None);
    if let Ok(text) = lines.finish() {
        let _ = syncmgr_install::replace_file(file, &text);
    }
}

impl Drop for Handler {
    /// Cancels the plugin, because its result has no receiver: the last reference may be dropped
    /// during a run. The thread ends when the plugin has stopped.
    fn drop(&mut self) {
        self.shared.callback.set(None);
        self.shared.cancel.cancel_all();
    }
}

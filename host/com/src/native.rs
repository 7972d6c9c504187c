//! Drives a native handler as the sync manager would: the opposite direction of
//! [`handler`](crate::handler).

#![allow(unsafe_code, reason = "COM methods are called through pointers")]

use std::collections::HashSet;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use syncmgr_host::sink::Sink;
use syncmgr_host::{
    Call, CancelHandle, Hresult, Item, ItemId, Limits, LogEntry, LogLevel, Outcome, RunReport,
    RunRequest, SessionError, Status, SyncManager,
};
use windows_core::{GUID, HRESULT, Interface};

use crate::convert;
use crate::guard::{E_POINTER, ours};
use crate::interfaces::{GUID_NULL, ISyncMgrEnumItems, ISyncMgrSynchronize, SYNCMGRITEM};
use crate::manager_callback::{self, CallbackState, Completion, Notice};
use crate::task_memory;

/// The interval at which pending cancellations are polled.
const LOOK: Duration = Duration::from_millis(50);

/// The number of items requested by each `Next` call.
const ITEMS_AT_ONCE: u32 = 16;

/// Options of a run of a native handler.
#[derive(Clone, Debug)]
pub struct NativeOptions {
    /// Cancels the run.
    pub cancel: CancelHandle,
    /// The limits of the run; those on items, progress, the log and time apply.
    pub limits: Limits,
    /// The time without a call from the handler after which a log entry reports it as silent.
    pub notice: Duration,
}

impl Default for NativeOptions {
    fn default() -> Self {
        Self {
            cancel: CancelHandle::new(),
            limits: Limits::default(),
            notice: Duration::from_secs(30),
        }
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct NativeRun {
    /// The report, with an entry for every item.
    pub report: RunReport,
    /// Whether the handler was abandoned. Its thread keeps running and the object was not released,
    /// so the process should exit soon without waiting for either.
    pub abandoned: bool,
}

/// Runs a native handler on a dedicated thread, and returns when the thread has released the object
/// or is abandoned.
///
/// `create` returns the object, which only this run uses, and a guard for anything that must
/// outlive it, such as the thread's apartment. In a single-threaded apartment, incoming calls and
/// window messages are dispatched while the thread waits.
///
/// A call is cancelled if it takes longer than [`Limits::wall_time`] including its completion, or
/// if the handler is silent for longer than [`Limits::idle_time`]. A handler that continues for
/// longer than [`Limits::grace`] after a cancellation is abandoned; [`CancelHandle::kill`] abandons
/// it immediately.
///
/// # Errors
/// Returns the error of `create`.
pub fn run<G, E: Send + 'static>(
    create: impl FnOnce() -> Result<(ISyncMgrSynchronize, G), E> + Send + 'static,
    name: &str,
    options: NativeOptions,
    sink: impl Sink + 'static,
    request: &RunRequest,
) -> Result<NativeRun, E> {
    let NativeOptions { cancel, limits, notice } = options;
    let manager = SyncManager::new(name, sink, cancel, &limits);
    let state = CallbackState::new(manager, request.trigger.may_bother_user);
    state.manager().begin_call(Call::Create);
    let (done, outcome) = mpsc::sync_channel(1);
    let mut driver = Driver { name: name.to_owned(), state: Arc::clone(&state) };
    let request = request.clone();
    let spawned = thread::Builder::new().name("syncmgr-native".to_owned()).spawn(move || {
        // The receiver is gone if the run was abandoned.
        let _ = done.send(create().map(|created| driver.run(created, &request)));
    });
    if spawned.is_err() {
        let failure = Hresult::E_OUTOFMEMORY;
        let error =
            SessionError::Native { plugin: name.to_owned(), call: Call::Create, hresult: failure };
        return Ok(finish(&state, Outcome::Failed(error), false));
    }
    let mut notice = Notice::new(notice);
    loop {
        match outcome.recv_timeout(LOOK) {
            Ok(outcome) => return Ok(finish(&state, outcome?, false)),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if let Some(error) = state.look(&mut notice) {
                    return Ok(finish(&state, Outcome::Failed(error), true));
                }
            }
            // The thread panicked, which is a bug in this library.
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let (plugin, call) = (name.to_owned(), state.manager().call());
                let error = SessionError::Native { plugin, call, hresult: Hresult::E_UNEXPECTED };
                return Ok(finish(&state, Outcome::Failed(error), true));
            }
        }
    }
}

/// Sets the final status of every item and returns the result.
fn finish(state: &CallbackState, outcome: Outcome, abandoned: bool) -> NativeRun {
    // Later reports are ignored.
    match abandoned {
        true => state.abandon(),
        false => state.close(),
    }
    let mut manager = state.manager();
    manager.end_call();
    let outcome = match manager.exceeded() {
        // The handler stopped only because it was cancelled.
        Some(error) if !abandoned => Outcome::Failed(error),
        Some(_) | None => outcome,
    };
    if let Outcome::Failed(error) = &outcome {
        manager.end_items(Some(error.hresult()));
    } else if let Outcome::NeedsUser = outcome {
        manager.skip_items();
    } else {
        manager.end_items(None);
    }
    let report = manager.report(outcome);
    // The handler may keep the callback forever, and the callback keeps the manager.
    manager.release_sink();
    NativeRun { report, abandoned }
}

/// Returns the failure for `answer`. A success code without its result counts as a failure.
fn failure_of(answer: Hresult) -> Hresult {
    if answer.is_success() { E_POINTER } else { answer }
}

/// The thread that calls the handler.
struct Driver {
    name: String,
    state: Arc<CallbackState>,
}

impl Driver {
    /// Drives the handler from the first call to its release.
    fn run<G>(
        &mut self,
        (handler, outlives): (ISyncMgrSynchronize, G),
        request: &RunRequest,
    ) -> Outcome {
        let outcome = self.drive(&handler, request).unwrap_or_else(Outcome::Failed);
        if self.state.is_abandoned() {
            std::mem::forget((handler, outlives));
            return outcome;
        }
        self.begin(Call::Release);
        drop(handler);
        drop(outlives);
        outcome
    }

    /// Begins a call, which is monitored until the next one begins.
    fn begin(&self, call: Call) {
        self.state.manager().begin_call(call);
    }

    fn drive(
        &mut self,
        handler: &ISyncMgrSynchronize,
        request: &RunRequest,
    ) -> Result<Outcome, SessionError> {
        match self.initialize(handler, request) {
            Hresult::S_OK => {}
            // A manager continues only after `S_OK`.
            other if other.is_success() => return Ok(Outcome::Declined),
            failure => return Err(self.failed(Call::Initialize, failure)),
        }
        self.handler_info(handler)?;
        let items = self.enum_items(handler)?;
        let ids = self.state.manager().select(&items, &request.selection)?;
        if ids.is_empty() {
            return Ok(Outcome::NothingSelected);
        }
        let callback = manager_callback::create(Arc::clone(&self.state));
        self.begin(Call::SetProgressCallback);
        // SAFETY: the pointer is to an object that lives until the call returns, and afterwards as
        // long as the handler holds a reference.
        let set = ours(unsafe { handler.SetProgressCallback(callback.as_raw()) });
        if !set.is_success() {
            return Err(self.failed(Call::SetProgressCallback, set));
        }
        let outcome = self.attempts(handler, &items, ids, request.retries);
        self.state.close();
        if self.state.is_abandoned() {
            return outcome;
        }
        self.begin(Call::SetProgressCallback);
        // SAFETY: NULL removes the callback.
        let _ = unsafe { handler.SetProgressCallback(null_mut()) };
        outcome
    }

    fn initialize(&self, handler: &ISyncMgrSynchronize, request: &RunRequest) -> Hresult {
        self.begin(Call::Initialize);
        let cookie = request.cookie.as_deref().unwrap_or_default();
        let pointer = if request.cookie.is_some() { cookie.as_ptr() } else { null() };
        let length = u32::try_from(cookie.len()).unwrap_or(0);
        let flags = convert::flags(request.trigger);
        // SAFETY: the cookie is NULL or has `length` bytes.
        ours(unsafe { handler.Initialize(0, flags, length, pointer) })
    }

    /// Reads the handler's name, which a manager would show. A handler need not have one.
    fn handler_info(&mut self, handler: &ISyncMgrSynchronize) -> Result<(), SessionError> {
        let mut info = null_mut();
        self.begin(Call::GetHandlerInfo);
        // SAFETY: the out pointer is valid.
        let answer = ours(unsafe { handler.GetHandlerInfo(&raw mut info) });
        if answer == Hresult::E_NOTIMPL {
            return Ok(());
        }
        if !answer.is_success() || info.is_null() {
            return Err(self.failed(Call::GetHandlerInfo, failure_of(answer)));
        }
        // SAFETY: the handler returned a pointer to a structure.
        let native = unsafe { info.read_unaligned() };
        // SAFETY: the caller owns the structure, which has been copied.
        unsafe { task_memory::free(info) };
        if let Some(name) = convert::name_from_native(&native.wszHandlerName) {
            self.state.manager().rename(&name);
            self.name = name;
        }
        Ok(())
    }

    fn enum_items(&self, handler: &ISyncMgrSynchronize) -> Result<Vec<Item>, SessionError> {
        let mut pointer: *mut c_void = null_mut();
        self.begin(Call::EnumItems);
        // SAFETY: the out pointer is valid.
        let answer = ours(unsafe { handler.EnumSyncMgrItems(&raw mut pointer) });
        // `S_SYNCMGR_MISSINGITEMS` is a success that comes with an enumerator.
        if !answer.is_success() || pointer.is_null() {
            return Err(self.failed(Call::EnumItems, failure_of(answer)));
        }
        // SAFETY: the handler returned an owned reference to this interface.
        let enumerator = unsafe { ISyncMgrEnumItems::from_raw(pointer) };
        let most = self.state.manager().max_items();
        let (mut items, mut seen, mut odd) = (Vec::new(), HashSet::new(), 0_usize);
        // SAFETY: the type is plain data, for which all-zero bytes are valid.
        let mut buffer: [SYNCMGRITEM; ITEMS_AT_ONCE as usize] = unsafe { std::mem::zeroed() };
        loop {
            let mut fetched = 0;
            // SAFETY: the buffer has room for the requested number of items.
            let next = ours(unsafe {
                enumerator.Next(ITEMS_AT_ONCE, buffer.as_mut_ptr(), &raw mut fetched)
            });
            if !next.is_success() {
                return Err(self.failed(Call::EnumItems, next));
            }
            for native in buffer.iter().take(fetched as usize) {
                match convert::item_from_native(native).filter(|item| seen.insert(item.id)) {
                    Some(item) => items.push(item),
                    None => odd += 1,
                }
            }
            if items.len() > most || odd > most {
                return Err(SessionError::BadData {
                    plugin: self.name.clone(),
                    call: Call::EnumItems,
                    what: format!("there are more than {most} items"),
                });
            }
            if next != Hresult::S_OK || fetched == 0 {
                break;
            }
        }
        if odd > 0 {
            self.state.manager().log_error(LogEntry {
                level: LogLevel::Warning,
                text: format!("{odd} items have no id, no name, or the id of another one"),
                item: None,
                jump: None,
                id: None,
                code: None,
            });
        }
        Ok(items)
    }

    fn attempts(
        &self,
        handler: &ISyncMgrSynchronize,
        items: &[Item],
        mut ids: Vec<ItemId>,
        mut retries: u32,
    ) -> Result<Outcome, SessionError> {
        loop {
            let chosen: Vec<_> =
                items.iter().filter(|item| ids.contains(&item.id)).cloned().collect();
            self.state.manager().start(&chosen);
            if !self.prepare(handler, &ids)? {
                return Ok(Outcome::NeedsUser);
            }
            let outcome = self.synchronize(handler)?;
            self.state.manager().end_items(None);
            ids.clear();
            if self.cancelled() {
                // The result does not matter: the user wanted the handler to stop.
                return Ok(Outcome::Completed);
            }
            if retries > 0 {
                retries -= 1;
                ids = self.show_errors(handler)?;
                ids.retain(|id| items.iter().any(|item| item.id == *id));
            }
            if ids.is_empty() {
                return match outcome.is_success() {
                    true => Ok(Outcome::Completed),
                    false => Err(self.failed(Call::Synchronize, outcome)),
                };
            }
        }
    }

    /// Returns whether the handler is prepared; otherwise it needs user interaction.
    fn prepare(&self, handler: &ISyncMgrSynchronize, ids: &[ItemId]) -> Result<bool, SessionError> {
        const CALL: Call = Call::PrepareForSync;
        self.state.open();
        let ids: Vec<GUID> = ids.iter().map(|id| convert::guid(id.as_uuid())).collect();
        let count = u32::try_from(ids.len()).unwrap_or(0);
        let prepare = || {
            // SAFETY: `ids` has `count` elements.
            unsafe { handler.PrepareForSync(count, ids.as_ptr(), null_mut(), 0) }
        };
        match self.complete(handler, CALL, |hr| hr == Hresult::S_OK, prepare)?.outcome {
            Hresult::S_OK => Ok(true),
            Hresult::S_FALSE => Ok(false),
            // A manager does not continue after any other success code either.
            other => Err(self.failed(CALL, other)),
        }
    }

    /// Returns the outcome from the completion. Some handlers report failure when an item failed;
    /// all items have finished by then.
    fn synchronize(&self, handler: &ISyncMgrSynchronize) -> Result<Hresult, SessionError> {
        const CALL: Call = Call::Synchronize;
        let synchronize = || {
            // SAFETY: the window may be NULL.
            unsafe { handler.Synchronize(null_mut()) }
        };
        Ok(self.complete(handler, CALL, |hr| hr == Hresult::S_OK, synchronize)?.outcome)
    }

    /// Asks the handler to show each error that has details, and collects the items to retry.
    fn show_errors(&self, handler: &ISyncMgrSynchronize) -> Result<Vec<ItemId>, SessionError> {
        const CALL: Call = Call::ShowError;
        let errors = self.state.manager().errors_to_show();
        let mut retry = Vec::new();
        for error in errors {
            if self.cancelled() {
                return Ok(Vec::new());
            }
            let id = convert::guid(error.as_uuid());
            let show = || {
                // SAFETY: the window may be NULL, and the id lives until the call returns.
                unsafe { handler.ShowError(null_mut(), &raw const id) }
            };
            self.state.open_log();
            retry.extend(self.complete(handler, CALL, Hresult::is_success, show)?.retry);
        }
        Ok(retry)
    }

    /// Makes a call, and waits for its completion if the returned code promises one. Without a
    /// completion, the returned code is the outcome.
    fn complete(
        &self,
        handler: &ISyncMgrSynchronize,
        call: Call,
        completes: impl FnOnce(Hresult) -> bool,
        make: impl FnOnce() -> HRESULT,
    ) -> Result<Completion, SessionError> {
        let came =
            self.state.expect(call).ok_or_else(|| self.failed(call, Hresult::E_OUTOFMEMORY))?;
        self.begin(call);
        let answer = ours(make());
        if !completes(answer) {
            // A completion may have arrived anyway; it is ignored.
            self.state.take();
            self.state.close();
            return Ok(Completion { outcome: answer, retry: Vec::new() });
        }
        while !came.wait(LOOK) {
            if self.state.is_abandoned() {
                return Err(self.failed(call, Hresult::E_UNEXPECTED));
            }
            let pushes = {
                let mut manager = self.state.manager();
                manager.tick();
                manager.take_pushes()
            };
            // `SetItemStatus` is only allowed during these calls.
            if call == Call::PrepareForSync || call == Call::Synchronize {
                self.push(handler, pushes);
            }
        }
        let completion = self.state.take();
        Ok(completion.unwrap_or(Completion { outcome: Hresult::E_UNEXPECTED, retry: Vec::new() }))
    }

    /// Forwards cancellation requests to the handler.
    fn push(&self, handler: &ISyncMgrSynchronize, pushes: Vec<(Option<ItemId>, Status)>) {
        for (item, status) in pushes {
            let id = item.map_or(GUID_NULL, |item| convert::guid(item.as_uuid()));
            // SAFETY: the id lives until the call returns. The result is ignored, because the
            // handler receives the same answer to its next report.
            let _ = unsafe { handler.SetItemStatus(&raw const id, status as u32) };
        }
    }

    fn cancelled(&self) -> bool {
        self.state.manager().is_cancelled()
    }

    fn failed(&self, call: Call, hresult: Hresult) -> SessionError {
        SessionError::Native { plugin: self.name.clone(), call, hresult }
    }
}

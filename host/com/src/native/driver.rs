//! The calls to a native handler, in order.

#![allow(unsafe_code, reason = "COM methods are called through pointers")]

use std::collections::HashSet;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::time::Duration;

use syncmgr_host::{
    Call, Hresult, Item, ItemId, LogLevel, Outcome, RunRequest, SessionError, Status,
};
use windows_core::{GUID, HRESULT, Interface};

use crate::convert;
use crate::guard::{E_POINTER, ours};
use crate::interfaces::{GUID_NULL, ISyncMgrEnumItems, ISyncMgrSynchronize, SYNCMGRITEM};
use crate::manager_callback::{self, CallbackState, Completion};
use crate::task_memory;

/// The interval at which pending cancellations are polled.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The number of items requested by each `Next` call.
const ITEMS_AT_ONCE: u32 = 16;

/// The thread that calls the handler.
pub(super) struct Driver {
    name: String,
    state: Arc<CallbackState>,
}

impl Driver {
    pub(super) fn new(name: String, state: Arc<CallbackState>) -> Self {
        Self { name, state }
    }

    /// Drives the handler from the first call to its release.
    pub(super) fn run<G>(
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
            let text = format!("{odd} items have no id, no name, or the id of another one");
            manager_callback::log(&mut self.state.manager(), LogLevel::Warning, text);
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
            return Ok(answer.into());
        }
        while !came.wait(POLL_INTERVAL) {
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
        Ok(self.state.take().unwrap_or(Hresult::E_UNEXPECTED.into()))
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

/// Returns the failure for `answer`. A success code without its result counts as a failure.
fn failure_of(answer: Hresult) -> Hresult {
    if answer.is_success() { E_POINTER } else { answer }
}

//! The other direction: drives a native handler as the sync manager would.

#![allow(unsafe_code, reason = "COM methods are called through pointers")]

use std::collections::HashSet;
use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::time::Duration;

use syncmgr_host::sink::Sink;
use syncmgr_host::{
    Call, CancelHandle, Hresult, Item, ItemId, Limits, LogEntry, LogLevel, Manager, Outcome,
    Report, RunRequest, SessionError, StopReason,
};
use windows_core::{GUID, HRESULT, Interface};

use crate::convert;
use crate::event::Event;
use crate::guard::{E_POINTER, ours};
use crate::interfaces::{GUID_NULL, ISyncMgrEnumItems, ISyncMgrSynchronize, SYNCMGRITEM};
use crate::manager_callback::{self, Completion, Desk};
use crate::task_memory;

/// How often it is looked whether something was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// How many items are asked for at a time.
const ITEMS_AT_ONCE: u32 = 16;

/// Does a whole run of a native handler, on this thread. However it ends, the report tells about
/// every item.
///
/// The object is this run's alone. Where the thread is an apartment of its own, calls into it and
/// window messages go on while it waits. A second cancellation ([`CancelHandle::kill`]) gives up
/// on a handler that works on a thread of its own, and cannot be ended: the process should be, soon.
/// For one that works within its methods there is nothing to be done.
pub fn run(
    handler: &ISyncMgrSynchronize,
    name: &str,
    cancel: CancelHandle,
    sink: impl Sink + 'static,
    request: &RunRequest,
) -> Report {
    let manager = Manager::new(name, sink, cancel, &Limits::default());
    let desk = Desk::new(manager, request.trigger.may_bother_user);
    let mut run = NativeRun { handler, name: name.to_owned(), desk };
    let outcome = run.drive(request).unwrap_or_else(Outcome::Failed);
    // Whatever still comes is too late.
    run.desk.close();
    let mut manager = run.desk.manager();
    match &outcome {
        Outcome::NeedsUser => manager.skip_items(),
        Outcome::Failed(error) => manager.end_items(Some(error.hresult())),
        Outcome::Completed | Outcome::Declined | Outcome::NothingSelected => {
            manager.end_items(None);
        }
    }
    manager.report(outcome)
}

/// A success without what should come with it is none.
fn failure_of(answer: Hresult) -> Hresult {
    if answer.is_success() { E_POINTER } else { answer }
}

struct NativeRun<'a> {
    handler: &'a ISyncMgrSynchronize,
    name: String,
    desk: Arc<Desk>,
}

impl NativeRun<'_> {
    fn drive(&mut self, request: &RunRequest) -> Result<Outcome, SessionError> {
        match self.initialize(request) {
            Hresult::S_OK => {}
            // Anything but `S_OK` makes a manager go no further.
            other if other.is_success() => return Ok(Outcome::Declined),
            failure => return Err(self.failed(Call::Initialize, failure)),
        }
        self.handler_info()?;
        let items = self.enum_items()?;
        let ids = self.desk.manager().select(&items, &request.selection)?;
        if ids.is_empty() {
            return Ok(Outcome::NothingSelected);
        }
        let callback = manager_callback::create(Arc::clone(&self.desk));
        // SAFETY: the pointer is to an object that lives until the call returns, and after that as
        // long as the handler holds a reference.
        let set = ours(unsafe { self.handler.SetProgressCallback(callback.as_raw()) });
        if !set.is_success() {
            return Err(self.failed(Call::PrepareForSync, set));
        }
        let outcome = self.attempts(&items, ids, request.retries);
        // SAFETY: NULL takes the callback away.
        let _ = unsafe { self.handler.SetProgressCallback(null_mut()) };
        outcome
    }

    fn initialize(&self, request: &RunRequest) -> Hresult {
        let cookie = request.cookie.as_deref().unwrap_or_default();
        let pointer = if request.cookie.is_some() { cookie.as_ptr() } else { null() };
        let length = u32::try_from(cookie.len()).unwrap_or(0);
        let flags = convert::flags(request.trigger);
        // SAFETY: the cookie is NULL, or has as many bytes as are said.
        ours(unsafe { self.handler.Initialize(0, flags, length, pointer) })
    }

    /// The manager would show the name that it gives. It has to be asked for in any case.
    fn handler_info(&mut self) -> Result<(), SessionError> {
        let mut info = null_mut();
        // SAFETY: there is a place for the pointer.
        let answer = ours(unsafe { self.handler.GetHandlerInfo(&raw mut info) });
        if !answer.is_success() || info.is_null() {
            return Err(self.failed(Call::GetHandlerInfo, failure_of(answer)));
        }
        // SAFETY: the handler gave a structure, as it says.
        let native = unsafe { info.read_unaligned() };
        // SAFETY: it is ours to free now, and was copied.
        unsafe { task_memory::free(info) };
        if let Some(name) = convert::name_from_native(&native.wszHandlerName) {
            self.desk.manager().rename(&name);
            self.name = name;
        }
        Ok(())
    }

    fn enum_items(&self) -> Result<Vec<Item>, SessionError> {
        let mut pointer: *mut c_void = null_mut();
        // SAFETY: there is a place for the pointer.
        let answer = ours(unsafe { self.handler.EnumSyncMgrItems(&raw mut pointer) });
        // `S_SYNCMGR_MISSINGITEMS` is a success that comes with an enumerator.
        if !answer.is_success() || pointer.is_null() {
            return Err(self.failed(Call::EnumItems, failure_of(answer)));
        }
        // SAFETY: the handler gave a reference to such an interface, as it says.
        let enumerator = unsafe { ISyncMgrEnumItems::from_raw(pointer) };
        let most = self.desk.manager().max_items();
        let (mut items, mut seen, mut odd) = (Vec::new(), HashSet::new(), 0_usize);
        // SAFETY: plain data, for which zeros are a value.
        let mut buffer: [SYNCMGRITEM; ITEMS_AT_ONCE as usize] = unsafe { std::mem::zeroed() };
        loop {
            let mut fetched = 0;
            // SAFETY: there is room for as many items as are asked for.
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
            self.desk.manager().log(LogEntry {
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
        items: &[Item],
        mut ids: Vec<ItemId>,
        mut retries: u32,
    ) -> Result<Outcome, SessionError> {
        loop {
            let chosen: Vec<_> =
                items.iter().filter(|item| ids.contains(&item.id)).cloned().collect();
            self.desk.manager().start(&chosen);
            if !self.prepare(&ids)? {
                return Ok(Outcome::NeedsUser);
            }
            let outcome = self.synchronize()?;
            self.desk.manager().end_items(None);
            ids.clear();
            if self.cancelled() {
                // However the handler takes it, it is what the user wanted.
                return Ok(Outcome::Completed);
            }
            if retries > 0 {
                retries -= 1;
                ids = self.show_errors()?;
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

    /// Whether it is prepared; if not, it needs the user.
    fn prepare(&self, ids: &[ItemId]) -> Result<bool, SessionError> {
        const CALL: Call = Call::PrepareForSync;
        let ids: Vec<GUID> = ids.iter().map(|id| convert::guid(id.as_uuid())).collect();
        let count = u32::try_from(ids.len()).unwrap_or(0);
        let outcome = self.complete(
            CALL,
            |hr| hr == Hresult::S_OK,
            || {
                // SAFETY: there are as many ids as are said.
                unsafe { self.handler.PrepareForSync(count, ids.as_ptr(), null_mut(), 0) }
            },
        )?;
        match outcome.outcome {
            Hresult::S_OK => Ok(true),
            other if other.is_success() => Ok(false),
            failure => Err(self.failed(CALL, failure)),
        }
    }

    /// What its completion carried. Some handlers fail with their items, and all have ended then.
    fn synchronize(&self) -> Result<Hresult, SessionError> {
        const CALL: Call = Call::Synchronize;
        let synchronize = || {
            // SAFETY: there need be no window.
            unsafe { self.handler.Synchronize(null_mut()) }
        };
        Ok(self.complete(CALL, |hr| hr == Hresult::S_OK, synchronize)?.outcome)
    }

    /// Asks about each error that can tell more, and gathers what is to be done once more.
    fn show_errors(&self) -> Result<Vec<ItemId>, SessionError> {
        let errors = self.desk.manager().errors_to_show();
        let mut retry = Vec::new();
        for error in errors {
            if self.cancelled() {
                return Ok(Vec::new());
            }
            let id = convert::guid(error.as_uuid());
            let show = || {
                // SAFETY: there need be no window, and the id lives until the call returns.
                unsafe { self.handler.ShowError(null_mut(), &raw const id) }
            };
            retry.extend(self.complete(Call::ShowError, Hresult::is_success, show)?.retry);
        }
        Ok(retry)
    }

    /// Makes a call, and waits for its completion if its answer promises one. Without a
    /// completion the answer is the outcome.
    fn complete(
        &self,
        call: Call,
        completes: impl FnOnce(Hresult) -> bool,
        make: impl FnOnce() -> HRESULT,
    ) -> Result<Completion, SessionError> {
        let came =
            self.desk.expect(call).ok_or_else(|| self.failed(call, Hresult::E_OUTOFMEMORY))?;
        let answer = ours(make());
        if !completes(answer) {
            // A completion may have come all the same; it does not count.
            self.desk.take();
            return Ok(Completion { outcome: answer, retry: Vec::new() });
        }
        self.wait(call, &came)?;
        let completion = self.desk.take();
        Ok(completion.unwrap_or(Completion { outcome: Hresult::E_UNEXPECTED, retry: Vec::new() }))
    }

    /// Waits for a completion, and tells the handler meanwhile what was cancelled.
    fn wait(&self, call: Call, came: &Event) -> Result<(), SessionError> {
        while !came.wait(LOOK) {
            let (pushes, killed) = {
                let mut manager = self.desk.manager();
                manager.flush_due();
                (manager.take_pushes(), manager.is_killed())
            };
            if killed {
                self.desk.take();
                let (plugin, reason) = (self.name.clone(), StopReason::Killed);
                return Err(SessionError::Ended { plugin, call, reason, limit: None });
            }
            let told = match call {
                Call::PrepareForSync | Call::Synchronize => pushes,
                // There are no other times at which a handler may be told.
                Call::Initialize
                | Call::GetHandlerInfo
                | Call::EnumItems
                | Call::SetItemStatus
                | Call::ShowError
                | Call::GetProperties
                | Call::SetProperties => Vec::new(),
            };
            for (item, status) in told {
                let id = item.map_or(GUID_NULL, |item| convert::guid(item.as_uuid()));
                // SAFETY: the id lives until the call returns. What a handler thinks of it does
                // not matter: it hears the same from its next report.
                let _ = unsafe { self.handler.SetItemStatus(&raw const id, status as u32) };
            }
        }
        Ok(())
    }

    fn cancelled(&self) -> bool {
        self.desk.manager().is_cancelled()
    }

    fn failed(&self, call: Call, hresult: Hresult) -> SessionError {
        SessionError::Native { plugin: self.name.clone(), call, hresult }
    }
}

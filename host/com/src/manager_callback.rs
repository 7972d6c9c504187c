//! The manager's implementation of `ISyncMgrSynchronizeCallback`, to which a native handler
//! reports.

#![allow(unsafe_code, reason = "COM methods take pointers")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use syncmgr_host::{
    Call, Hresult, ItemId, LogEntry, LogLevel, ProgressResponse, SessionError, SyncManager, hresult,
};
use windows_core::{BOOL, GUID, HRESULT, implement};

use crate::convert;
use crate::event::Event;
use crate::guard::{check_pointer, guard, ours};
use crate::interfaces::{
    ISyncMgrSynchronizeCallback, ISyncMgrSynchronizeCallback_Impl, SYNCMGRLOGERRORINFO,
    SYNCMGRPROGRESSITEM,
};

/// The maximum number of items to retry. Further ids are ignored.
const MAX_RETRIES: u32 = 10_000;

/// State shared by the callback and the driver of the handler.
pub(crate) struct CallbackState {
    manager: Mutex<SyncManager>,
    awaited: Mutex<Option<Awaited>>,
    /// Whether reports are accepted: from `PrepareForSync` to the end of `Synchronize`.
    takes_reports: AtomicBool,
    /// Whether log entries are accepted: as long as reports are, and during `ShowError`.
    takes_log: AtomicBool,
    /// Whether the handler says that it shows a dialog.
    is_modal: AtomicBool,
    /// Whether the handler was abandoned.
    abandoned: AtomicBool,
    may_bother_user: bool,
}

/// A pending completion.
struct Awaited {
    call: Call,
    came: Event,
    completion: Option<Completion>,
}

/// The result of a completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) outcome: Hresult,
    pub(crate) retry: Vec<ItemId>,
}

impl From<Hresult> for Completion {
    fn from(outcome: Hresult) -> Self {
        Self { outcome, retry: Vec::new() }
    }
}

impl CallbackState {
    pub(crate) fn new(manager: SyncManager, may_bother_user: bool) -> Arc<Self> {
        Arc::new(Self {
            manager: Mutex::new(manager),
            awaited: Mutex::default(),
            takes_reports: AtomicBool::new(false),
            takes_log: AtomicBool::new(false),
            is_modal: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            may_bother_user,
        })
    }

    /// Accepts reports and log entries from now on.
    pub(crate) fn open(&self) {
        self.takes_log.store(true, Ordering::Release);
        self.takes_reports.store(true, Ordering::Release);
    }

    /// Accepts log entries from now on.
    pub(crate) fn open_log(&self) {
        self.takes_log.store(true, Ordering::Release);
    }

    /// Accepts nothing from now on. Later calls are ignored.
    pub(crate) fn close(&self) {
        self.takes_reports.store(false, Ordering::Release);
        self.takes_log.store(false, Ordering::Release);
    }

    /// Abandons the handler: none of its methods is called from now on.
    pub(crate) fn abandon(&self) {
        self.close();
        self.abandoned.store(true, Ordering::Release);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Returns the manager for a call from the handler, or `None` if such calls are no longer
    /// accepted.
    fn open_manager(&self, takes: &AtomicBool) -> Option<MutexGuard<'_, SyncManager>> {
        let mut manager = self.manager();
        manager.touch();
        takes.load(Ordering::Acquire).then_some(manager)
    }

    /// Checks the call in progress against its time limits. An error terminates the run, whatever
    /// the handler does.
    ///
    /// Logs a line if the call has been silent for as long as `notice` allows.
    pub(crate) fn look(&self, notice: &mut Notice) -> Option<SessionError> {
        let mut manager = match self.manager.try_lock() {
            Ok(manager) => manager,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The handler is in a callback.
            Err(TryLockError::WouldBlock) => return None,
        };
        if self.is_modal.load(Ordering::Acquire) {
            manager.touch();
        }
        if let Some(text) = notice.text(&manager) {
            log(&mut manager, LogLevel::Information, text);
        }
        manager.overdue()
    }

    pub(crate) fn manager(&self) -> MutexGuard<'_, SyncManager> {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Expects a completion of this call from now on: it may arrive before the call returns.
    pub(crate) fn expect(&self, call: Call) -> Option<Event> {
        let came = Event::new()?;
        *self.lock() = Some(Awaited { call, came: came.clone(), completion: None });
        Some(came)
    }

    /// Stops waiting for a completion, and returns it if it arrived.
    pub(crate) fn take(&self) -> Option<Completion> {
        self.lock().take()?.completion
    }

    fn lock(&self) -> MutexGuard<'_, Option<Awaited>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a completion if it is the expected one and the first.
    fn complete(&self, call: Call, completion: Completion) {
        if let Some(awaited) = &mut *self.lock()
            && awaited.call == call
            && awaited.completion.is_none()
        {
            let goes_on = call == Call::PrepareForSync && completion.outcome == Hresult::S_OK;
            if !goes_on {
                self.close();
            }
            awaited.completion = Some(completion);
            awaited.came.set();
        }
    }
}

/// Logs a message about the handler as a whole.
pub(crate) fn log(manager: &mut SyncManager, level: LogLevel, text: String) {
    manager.log_error(LogEntry { level, text, item: None, jump: None, id: None, code: None });
}

/// Decides when to report that a handler is silent, once per call.
pub(crate) struct Notice {
    after: Duration,
    given: Option<Call>,
}

impl Notice {
    pub(crate) fn new(after: Duration) -> Self {
        Self { after, given: None }
    }

    fn text(&mut self, manager: &SyncManager) -> Option<String> {
        let call = manager.call();
        if self.given == Some(call) || manager.silent_for() < self.after {
            return None;
        }
        self.given = Some(call);
        let (seconds, limit) = (self.after.as_secs(), manager.idle_time());
        Some(format!(
            "the handler has been silent in `{call}` for {seconds} s; `idle-time` is {limit}"
        ))
    }
}

#[implement(ISyncMgrSynchronizeCallback)]
struct ManagerCallback {
    state: Arc<CallbackState>,
}

pub(crate) fn create(state: Arc<CallbackState>) -> ISyncMgrSynchronizeCallback {
    ManagerCallback { state }.into()
}

/// COM passes objects from thread to thread without checking.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    any_thread::<ManagerCallback>();
};

impl ManagerCallback {
    fn completed(&self, call: Call, hr: HRESULT) -> HRESULT {
        guard(|| {
            self.state.complete(call, ours(hr).into());
            Ok(Hresult::S_OK)
        })
    }
}

impl ISyncMgrSynchronizeCallback_Impl for ManagerCallback_Impl {
    unsafe fn ShowPropertiesCompleted(&self, hr: HRESULT) -> HRESULT {
        self.completed(Call::GetProperties, hr)
    }

    unsafe fn PrepareForSyncCompleted(&self, hr: HRESULT) -> HRESULT {
        self.completed(Call::PrepareForSync, hr)
    }

    unsafe fn SynchronizeCompleted(&self, hr: HRESULT) -> HRESULT {
        self.completed(Call::Synchronize, hr)
    }

    unsafe fn ShowErrorCompleted(
        &self,
        hr: HRESULT,
        cItems: u32,
        pItemIDs: *const GUID,
    ) -> HRESULT {
        guard(|| {
            let outcome = ours(hr);
            let mut retry = Vec::new();
            // Items only matter with this outcome. Without them, the completion still counts.
            if outcome == Hresult::S_SYNCMGR_RETRYSYNC && !pItemIDs.is_null() {
                for at in 0..cItems.min(MAX_RETRIES) as usize {
                    // SAFETY: the handler passes the number of ids.
                    let id = unsafe { pItemIDs.add(at) };
                    // SAFETY: as above.
                    retry.extend(convert::item_id(unsafe { id.read_unaligned() }));
                }
            }
            self.state.complete(Call::ShowError, Completion { outcome, retry });
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn EnableModeless(&self, fEnable: BOOL) -> HRESULT {
        guard(|| {
            let asked = fEnable.as_bool();
            let allowed = !asked || self.state.may_bother_user;
            self.state.is_modal.store(asked && allowed, Ordering::Release);
            self.state.manager().touch();
            Ok(match allowed {
                true => Hresult::S_OK,
                false => Hresult::S_FALSE,
            })
        })
    }

    unsafe fn Progress(
        &self,
        ItemID: *const GUID,
        pSyncProgressItem: *const SYNCMGRPROGRESSITEM,
    ) -> HRESULT {
        guard(|| {
            check_pointer(ItemID)?;
            // SAFETY: the pointer is the handler's and not NULL.
            let id = unsafe { ItemID.read_unaligned() };
            let item = convert::item_id(id).ok_or(Hresult::E_INVALIDARG)?;
            // SAFETY: the pointer is NULL or to the documented structure.
            let reported = unsafe { convert::progress_item(pSyncProgressItem) };
            let response = match self.state.open_manager(&self.state.takes_reports) {
                Some(mut manager) => manager.native_progress(item, reported),
                None => ProgressResponse::CancelAll,
            };
            Ok(hresult::from_progress_response(response))
        })
    }

    unsafe fn LogError(
        &self,
        dwErrorLevel: u32,
        pszErrorText: *const u16,
        pSyncLogError: *const SYNCMGRLOGERRORINFO,
    ) -> HRESULT {
        guard(|| {
            check_pointer(pszErrorText)?;
            // SAFETY: the text is not NULL, and the info is NULL or the documented structure.
            let entry = unsafe { convert::log_entry(dwErrorLevel, pszErrorText, pSyncLogError) };
            let manager = self.state.open_manager(&self.state.takes_log);
            match manager.map(|mut manager| manager.log_error(entry)) {
                Some(true) => Ok(Hresult::S_OK),
                Some(false) => Err(Hresult::E_INVALIDARG),
                None => Err(Hresult::E_UNEXPECTED),
            }
        })
    }

    unsafe fn DeleteLogError(&self, ErrorID: *const GUID, _dwReserved: u32) -> HRESULT {
        guard(|| {
            check_pointer(ErrorID)?;
            // SAFETY: the pointer is the handler's and not NULL.
            let id = unsafe { ErrorID.read_unaligned() };
            if let Some(mut manager) = self.state.open_manager(&self.state.takes_log) {
                manager.delete_log(convert::error_id(id));
            }
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn EstablishConnection(&self, pwszConnection: *const u16, _dwReserved: u32) -> HRESULT {
        guard(|| {
            // SAFETY: the pointer is NULL or to NUL-terminated text.
            let connection = unsafe { convert::text(pwszConnection) };
            let manager = self.state.open_manager(&self.state.takes_log);
            match manager.map(|mut manager| manager.establish_connection(connection.as_deref())) {
                Some(Ok(())) => Ok(Hresult::S_OK),
                Some(Err(code)) => Err(hresult::from_error_code(code)),
                None => Err(Hresult::E_UNEXPECTED),
            }
        })
    }
}

//! Our own `ISyncMgrSynchronizeCallback`: what a native handler reports to.

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

/// More ids than that, to be synchronized once more, are left out.
const MAX_RETRIES: u32 = 10_000;

/// What the callback and whoever drives the handler share.
pub(crate) struct Desk {
    manager: Mutex<SyncManager>,
    awaited: Mutex<Option<Awaited>>,
    /// Whether reports are taken: from `PrepareForSync` to the end of `Synchronize`.
    takes_reports: AtomicBool,
    /// Whether log entries are taken: as long as reports are, and in `ShowError`.
    takes_log: AtomicBool,
    /// Whether the handler shows a dialog, by its own account.
    is_modal: AtomicBool,
    /// Whether the handler was given up on.
    abandoned: AtomicBool,
    may_bother_user: bool,
}

/// A completion that is waited for.
struct Awaited {
    call: Call,
    came: Event,
    completion: Option<Completion>,
}

/// What a completion said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) outcome: Hresult,
    pub(crate) retry: Vec<ItemId>,
}

impl Desk {
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

    /// Takes reports and log entries from now on.
    pub(crate) fn open(&self) {
        self.takes_log.store(true, Ordering::Release);
        self.takes_reports.store(true, Ordering::Release);
    }

    /// Takes log entries from now on.
    pub(crate) fn open_log(&self) {
        self.takes_log.store(true, Ordering::Release);
    }

    /// Takes nothing from now on: what still comes is too late.
    pub(crate) fn close(&self) {
        self.takes_reports.store(false, Ordering::Release);
        self.takes_log.store(false, Ordering::Release);
    }

    /// Gives up on the handler: no method of it is called from now on.
    pub(crate) fn abandon(&self) {
        self.close();
        self.abandoned.store(true, Ordering::Release);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// The manager, for what a handler tells; `None`: it is too late for that.
    fn open_manager(&self, takes: &AtomicBool) -> Option<MutexGuard<'_, SyncManager>> {
        let mut manager = self.manager();
        manager.touch();
        takes.load(Ordering::Acquire).then_some(manager)
    }

    /// Looks after the call in progress. The error is the end of the run, whatever the handler does.
    ///
    /// `notice`: the time after which a silent call is worth a line.
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
            manager.log_error(LogEntry {
                level: LogLevel::Information,
                text,
                item: None,
                jump: None,
                id: None,
                code: None,
            });
        }
        manager.overdue()
    }

    pub(crate) fn manager(&self) -> MutexGuard<'_, SyncManager> {
        self.manager.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A completion of this call is waited for from now on: it may come before the call returns.
    pub(crate) fn expect(&self, call: Call) -> Option<Event> {
        let came = Event::new()?;
        *self.lock() = Some(Awaited { call, came: came.clone(), completion: None });
        Some(came)
    }

    /// No completion is waited for any more. What came, if anything did.
    pub(crate) fn take(&self) -> Option<Completion> {
        self.lock().take()?.completion
    }

    fn lock(&self) -> MutexGuard<'_, Option<Awaited>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a completion, if it is the one that is waited for, and the first.
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

/// When to say that a handler is silent, once for each call.
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
    desk: Arc<Desk>,
}

pub(crate) fn create(desk: Arc<Desk>) -> ISyncMgrSynchronizeCallback {
    ManagerCallback { desk }.into()
}

/// COM hands objects from thread to thread, and asks nobody.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    any_thread::<ManagerCallback>();
};

impl ManagerCallback {
    fn completed(&self, call: Call, hr: HRESULT) -> HRESULT {
        guard(|| {
            self.desk.complete(call, Completion { outcome: ours(hr), retry: Vec::new() });
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
            // The items count with this outcome only. Without them it is a completion all the same.
            if outcome == Hresult::S_SYNCMGR_RETRYSYNC && !pItemIDs.is_null() {
                for at in 0..cItems.min(MAX_RETRIES) as usize {
                    // SAFETY: the handler says how many there are.
                    let id = unsafe { pItemIDs.add(at) };
                    // SAFETY: as above.
                    retry.extend(convert::item_id(unsafe { id.read_unaligned() }));
                }
            }
            self.desk.complete(Call::ShowError, Completion { outcome, retry });
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn EnableModeless(&self, fEnable: BOOL) -> HRESULT {
        guard(|| {
            let asked = fEnable.as_bool();
            let allowed = !asked || self.desk.may_bother_user;
            self.desk.is_modal.store(asked && allowed, Ordering::Release);
            self.desk.manager().touch();
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
            // SAFETY: the handler's, and not NULL.
            let id = unsafe { ItemID.read_unaligned() };
            let item = convert::item_id(id).ok_or(Hresult::E_INVALIDARG)?;
            // SAFETY: NULL, or what the parameter is declared as.
            let reported = unsafe { convert::progress_item(pSyncProgressItem) };
            let response = match self.desk.open_manager(&self.desk.takes_reports) {
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
            // SAFETY: the text is not NULL, and the other one is NULL or what it is declared as.
            let entry = unsafe { convert::log_entry(dwErrorLevel, pszErrorText, pSyncLogError) };
            let manager = self.desk.open_manager(&self.desk.takes_log);
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
            // SAFETY: the handler's, and not NULL.
            let id = unsafe { ErrorID.read_unaligned() };
            if let Some(mut manager) = self.desk.open_manager(&self.desk.takes_log) {
                manager.delete_log(convert::error_id(id));
            }
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn EstablishConnection(&self, pwszConnection: *const u16, _dwReserved: u32) -> HRESULT {
        guard(|| {
            // SAFETY: NULL, or text that ends with a NUL.
            let connection = unsafe { convert::text(pwszConnection) };
            let manager = self.desk.open_manager(&self.desk.takes_log);
            match manager.map(|mut manager| manager.establish_connection(connection.as_deref())) {
                Some(Ok(())) => Ok(Hresult::S_OK),
                Some(Err(code)) => Err(hresult::from_error_code(code)),
                None => Err(Hresult::E_UNEXPECTED),
            }
        })
    }
}

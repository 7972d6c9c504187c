//! Our own `ISyncMgrSynchronizeCallback`: what a native handler reports to.

#![allow(unsafe_code, reason = "COM methods take pointers")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syncmgr_host::{Call, Hresult, ItemId, Manager, ProgressResponse, hresult};
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
    manager: Mutex<Manager>,
    awaited: Mutex<Option<Awaited>>,
    closed: AtomicBool,
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
    pub(crate) fn new(manager: Manager, may_bother_user: bool) -> Arc<Self> {
        Arc::new(Self {
            manager: Mutex::new(manager),
            awaited: Mutex::default(),
            closed: AtomicBool::new(false),
            may_bother_user,
        })
    }

    /// Takes nothing any more: the run is over.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// The manager, for what a handler reports; `None`: the run is over.
    fn open_manager(&self) -> Option<MutexGuard<'_, Manager>> {
        let manager = self.manager();
        (!self.closed.load(Ordering::Acquire)).then_some(manager)
    }

    pub(crate) fn manager(&self) -> MutexGuard<'_, Manager> {
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
            awaited.completion = Some(completion);
            awaited.came.set();
        }
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
            // The items count with this outcome only.
            if outcome == Hresult::S_SYNCMGR_RETRYSYNC && cItems > 0 {
                check_pointer(pItemIDs)?;
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
            Ok(match !fEnable.as_bool() || self.desk.may_bother_user {
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
            let response = match self.desk.open_manager() {
                Some(mut manager) => manager.progress(item, reported),
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
            match self.desk.open_manager().map(|mut manager| manager.log(entry)) {
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
            if let Some(mut manager) = self.desk.open_manager() {
                manager.delete_log(convert::error_id(id));
            }
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn EstablishConnection(&self, pwszConnection: *const u16, _dwReserved: u32) -> HRESULT {
        guard(|| {
            // SAFETY: NULL, or text that ends with a NUL.
            let connection = unsafe { convert::text(pwszConnection) };
            match self.desk.manager().establish_connection(connection.as_deref()) {
                Ok(()) => Ok(Hresult::S_OK),
                Err(code) => Err(hresult::from_error_code(code)),
            }
        })
    }
}

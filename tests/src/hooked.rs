//! A native handler that delegates to another one, unless a test overrides a method.

#![allow(non_snake_case, reason = "parameters have their native names")]
#![allow(unsafe_code, reason = "COM methods take pointers")]

use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

use syncmgr_com::interfaces::{
    HWND, ISyncMgrSynchronize, ISyncMgrSynchronize_Impl, ISyncMgrSynchronizeCallback,
    SYNCMGRHANDLERINFO,
};
use syncmgr_host::Hresult;
use windows_core::{GUID, HRESULT, Interface, implement};

/// The override of a method by its name: `None` calls the method. The callback is available once it
/// is set. `Release` stands for the last release, and its answer is ignored.
pub type Hook = Box<dyn Fn(&'static str, Option<&Manager>) -> Option<Hresult> + Send + Sync>;

/// The sync manager, to which a handler reports from any thread.
#[derive(Clone)]
pub struct Manager(pub ISyncMgrSynchronizeCallback);

// SAFETY: the manager's callback is free-threaded.
unsafe impl Send for Manager {}
// SAFETY: as above.
unsafe impl Sync for Manager {}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Manager")
    }
}

#[implement(ISyncMgrSynchronize)]
struct Hooked {
    inner: ISyncMgrSynchronize,
    hook: Hook,
    manager: Mutex<Option<Manager>>,
}

/// Wraps every method of a handler with a hook.
pub fn create(inner: ISyncMgrSynchronize, hook: Hook) -> ISyncMgrSynchronize {
    Hooked { inner, hook, manager: Mutex::default() }.into()
}

/// Never returns.
pub fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

impl Hooked {
    fn or(
        &self,
        method: &'static str,
        call: impl FnOnce(&ISyncMgrSynchronize) -> HRESULT,
    ) -> HRESULT {
        let manager = self.manager.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (self.hook)(method, manager.as_ref()) {
            Some(answer) => HRESULT(answer.0.cast_signed()),
            None => call(&self.inner),
        }
    }
}

impl Drop for Hooked {
    fn drop(&mut self) {
        let _ = (self.hook)("Release", None);
    }
}

impl ISyncMgrSynchronize_Impl for Hooked_Impl {
    unsafe fn Initialize(
        &self,
        dwReserved: u32,
        dwSyncMgrFlags: u32,
        cbCookie: u32,
        lpCookie: *const u8,
    ) -> HRESULT {
        // SAFETY: the caller's arguments.
        self.or("Initialize", |inner| unsafe {
            inner.Initialize(dwReserved, dwSyncMgrFlags, cbCookie, lpCookie)
        })
    }

    unsafe fn GetHandlerInfo(&self, ppSyncMgrHandlerInfo: *mut *mut SYNCMGRHANDLERINFO) -> HRESULT {
        // SAFETY: the caller's argument.
        self.or("GetHandlerInfo", |inner| unsafe { inner.GetHandlerInfo(ppSyncMgrHandlerInfo) })
    }

    unsafe fn EnumSyncMgrItems(&self, ppSyncMgrEnumItems: *mut *mut c_void) -> HRESULT {
        // SAFETY: the caller's argument.
        self.or("EnumSyncMgrItems", |inner| unsafe { inner.EnumSyncMgrItems(ppSyncMgrEnumItems) })
    }

    unsafe fn GetItemObject(
        &self,
        ItemID: *const GUID,
        riid: *const GUID,
        ppv: *mut *mut c_void,
    ) -> HRESULT {
        // SAFETY: the caller's arguments.
        self.or("GetItemObject", |inner| unsafe { inner.GetItemObject(ItemID, riid, ppv) })
    }

    unsafe fn ShowProperties(&self, hWndParent: HWND, ItemID: *const GUID) -> HRESULT {
        // SAFETY: the caller's arguments.
        self.or("ShowProperties", |inner| unsafe { inner.ShowProperties(hWndParent, ItemID) })
    }

    unsafe fn SetProgressCallback(&self, lpCallBack: *mut c_void) -> HRESULT {
        // SAFETY: NULL, or a pointer to the interface that the parameter is declared as.
        let manager = unsafe { ISyncMgrSynchronizeCallback::from_raw_borrowed(&lpCallBack) };
        *self.manager.lock().unwrap_or_else(PoisonError::into_inner) =
            manager.map(|manager| Manager(manager.clone()));
        let method = match lpCallBack.is_null() {
            true => "SetProgressCallback(NULL)",
            false => "SetProgressCallback",
        };
        // SAFETY: the caller's argument.
        self.or(method, |inner| unsafe { inner.SetProgressCallback(lpCallBack) })
    }

    unsafe fn PrepareForSync(
        &self,
        cbNumItems: u32,
        pItemIDs: *const GUID,
        hWndParent: HWND,
        dwReserved: u32,
    ) -> HRESULT {
        // SAFETY: the caller's arguments.
        self.or("PrepareForSync", |inner| unsafe {
            inner.PrepareForSync(cbNumItems, pItemIDs, hWndParent, dwReserved)
        })
    }

    unsafe fn Synchronize(&self, hWndParent: HWND) -> HRESULT {
        // SAFETY: the caller's argument.
        self.or("Synchronize", |inner| unsafe { inner.Synchronize(hWndParent) })
    }

    unsafe fn SetItemStatus(&self, ItemID: *const GUID, dwSyncMgrStatus: u32) -> HRESULT {
        // SAFETY: the caller's arguments.
        self.or("SetItemStatus", |inner| unsafe { inner.SetItemStatus(ItemID, dwSyncMgrStatus) })
    }

    unsafe fn ShowError(&self, hWndParent: HWND, ErrorID: *const GUID) -> HRESULT {
        // SAFETY: the caller's arguments.
        self.or("ShowError", |inner| unsafe { inner.ShowError(hWndParent, ErrorID) })
    }
}

//! A native handler that delegates to another one, unless a test overrides a method.

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

/// Implements methods that only delegate.
macro_rules! delegate {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {
        $(unsafe fn $method(&self, $($name: $type),*) -> HRESULT {
            // SAFETY: the caller's arguments.
            self.or(stringify!($method), |inner| unsafe { inner.$method($($name),*) })
        })*
    };
}

impl ISyncMgrSynchronize_Impl for Hooked_Impl {
    delegate! {
        Initialize(reserved: u32, flags: u32, cookie_bytes: u32, cookie: *const u8);
        GetHandlerInfo(info: *mut *mut SYNCMGRHANDLERINFO);
        EnumSyncMgrItems(items: *mut *mut c_void);
        GetItemObject(item: *const GUID, interface: *const GUID, object: *mut *mut c_void);
        ShowProperties(parent: HWND, item: *const GUID);
        PrepareForSync(count: u32, items: *const GUID, parent: HWND, reserved: u32);
        Synchronize(parent: HWND);
        SetItemStatus(item: *const GUID, status: u32);
        ShowError(parent: HWND, error: *const GUID);
    }

    unsafe fn SetProgressCallback(&self, callback: *mut c_void) -> HRESULT {
        // SAFETY: NULL, or a pointer to the interface that the parameter is declared as.
        let manager = unsafe { ISyncMgrSynchronizeCallback::from_raw_borrowed(&callback) };
        *self.manager.lock().unwrap_or_else(PoisonError::into_inner) =
            manager.map(|manager| Manager(manager.clone()));
        let method = match callback.is_null() {
            true => "SetProgressCallback(NULL)",
            false => "SetProgressCallback",
        };
        // SAFETY: the caller's argument.
        self.or(method, |inner| unsafe { inner.SetProgressCallback(callback) })
    }
}

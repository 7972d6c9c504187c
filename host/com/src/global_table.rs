//! COM's global interface table, which passes a pointer to another apartment any number of times.
//! Agile references do the same but require Windows 8.1.

#![allow(unsafe_code, reason = "interface pointers are moved between threads")]

use std::ffi::c_void;
use std::ptr::null_mut;

use windows_core::{GUID, HRESULT, IUnknown, IUnknown_Vtbl, Interface, interface};
use windows_sys::Win32::System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance};

use crate::interfaces::ISyncMgrSynchronizeCallback;

/// `CLSID_StdGlobalInterfaceTable`.
const TABLE: GUID = GUID::from_u128(0x00000323_0000_0000_C000_000000000046);

/// `IGlobalInterfaceTable` of `objidl.h`.
#[interface("00000146-0000-0000-C000-000000000046")]
unsafe trait IGlobalInterfaceTable: IUnknown {
    unsafe fn RegisterInterfaceInGlobal(
        &self,
        pUnk: *mut c_void,
        riid: *const GUID,
        pdwCookie: *mut u32,
    ) -> HRESULT;
    unsafe fn RevokeInterfaceFromGlobal(&self, dwCookie: u32) -> HRESULT;
    unsafe fn GetInterfaceFromGlobal(
        &self,
        dwCookie: u32,
        riid: *const GUID,
        ppv: *mut *mut c_void,
    ) -> HRESULT;
}

/// A callback that is in the table until dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    table: IGlobalInterfaceTable,
    cookie: u32,
}

// SAFETY: the table is designed for use from any apartment.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Entry {
    /// Adds a callback to the table, or returns `None` if the interface has no proxy.
    pub(crate) fn new(callback: &ISyncMgrSynchronizeCallback) -> Option<Self> {
        let table = table()?;
        let mut cookie = 0;
        // SAFETY: the pointer is to the named interface, and the out pointer is valid.
        let entered = unsafe {
            table.RegisterInterfaceInGlobal(
                callback.as_raw(),
                &ISyncMgrSynchronizeCallback::IID,
                &raw mut cookie,
            )
        };
        entered.is_ok().then_some(Self { table, cookie })
    }

    /// Returns the callback for use on this thread, or `None` if its apartment no longer exists.
    pub(crate) fn get(&self) -> Option<ISyncMgrSynchronizeCallback> {
        let mut pointer = null_mut();
        let interface = &ISyncMgrSynchronizeCallback::IID;
        // SAFETY: the out pointer is valid.
        let got =
            unsafe { self.table.GetInterfaceFromGlobal(self.cookie, interface, &raw mut pointer) };
        if got.is_err() || pointer.is_null() {
            return None;
        }
        // SAFETY: the call returned an owned reference to this interface.
        Some(unsafe { ISyncMgrSynchronizeCallback::from_raw(pointer) })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: the cookie belongs to this entry and is not used afterwards.
        let _ = unsafe { self.table.RevokeInterfaceFromGlobal(self.cookie) };
    }
}

fn table() -> Option<IGlobalInterfaceTable> {
    let same = |id: GUID| windows_sys::core::GUID::from_u128(id.to_u128());
    let (class, interface) = (same(TABLE), same(IGlobalInterfaceTable::IID));
    let mut pointer = null_mut();
    // SAFETY: the ids live until the call returns, and the out pointer is valid.
    let created = unsafe {
        CoCreateInstance(
            &raw const class,
            null_mut(),
            CLSCTX_INPROC_SERVER,
            &raw const interface,
            &raw mut pointer,
        )
    };
    if created < 0 || pointer.is_null() {
        return None;
    }
    // SAFETY: the call returned an owned reference to this interface.
    Some(unsafe { IGlobalInterfaceTable::from_raw(pointer) })
}

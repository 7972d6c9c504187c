//! The methods of `ISyncMgrSynchronize`: check and convert the parameters, and call the handler.

#![allow(unsafe_code, reason = "COM methods take pointers")]

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;

use syncmgr_host::{Hresult, Item, Session, hresult};
use windows_core::{GUID, HRESULT, Interface};

use super::Handler_Impl;
use crate::convert;
use crate::guard::{check_pointer, guard};
use crate::interfaces::{
    HWND, ISyncMgrSynchronize_Impl, ISyncMgrSynchronizeCallback, SYNCMGRHANDLERINFO,
};
use crate::item_enumerator::ItemEnumerator;
use crate::run_state::Phase;
use crate::task_memory;
use crate::user_interface::Parent;

/// The maximum size of a cookie.
const MAX_COOKIE_BYTES: u32 = 1 << 20;

/// The maximum number of item ids. No handler lists more items, whatever its limit.
const MAX_ITEM_IDS: u32 = 1_000_000;

impl ISyncMgrSynchronize_Impl for Handler_Impl {
    unsafe fn Initialize(
        &self,
        dwReserved: u32,
        dwSyncMgrFlags: u32,
        cbCookie: u32,
        lpCookie: *const u8,
    ) -> HRESULT {
        guard(|| {
            if dwReserved != 0 || cbCookie > MAX_COOKIE_BYTES {
                return Err(Hresult::E_INVALIDARG);
            }
            let invoked = convert::trigger(dwSyncMgrFlags).event == syncmgr_host::SyncEvent::Invoke;
            let cookie = match (lpCookie.is_null(), cbCookie) {
                (true, 0) => None,
                (true, _) => return Err(Hresult::E_INVALIDARG),
                (false, length) => {
                    // SAFETY: the pointer is not NULL, and the caller passes the number of bytes.
                    let cookie = unsafe { std::slice::from_raw_parts(lpCookie, length as usize) };
                    // The cookie is only meaningful in runs that a program started.
                    invoked.then(|| cookie.to_vec())
                }
            };
            self.initialize(dwSyncMgrFlags, cookie)
        })
    }

    unsafe fn GetHandlerInfo(&self, ppSyncMgrHandlerInfo: *mut *mut SYNCMGRHANDLERINFO) -> HRESULT {
        guard(|| {
            check_pointer(ppSyncMgrHandlerInfo)?;
            // SAFETY: the pointer is the caller's and not NULL.
            unsafe { ppSyncMgrHandlerInfo.write(null_mut()) };
            let info = convert::handler_info(&self.handler_info()?);
            let given = task_memory::give(info).ok_or(Hresult::E_OUTOFMEMORY)?;
            // SAFETY: as above; the caller frees the structure.
            unsafe { ppSyncMgrHandlerInfo.write(given) };
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn EnumSyncMgrItems(&self, ppSyncMgrEnumItems: *mut *mut c_void) -> HRESULT {
        guard(|| {
            check_pointer(ppSyncMgrEnumItems)?;
            // SAFETY: the pointer is the caller's and not NULL.
            unsafe { ppSyncMgrEnumItems.write(null_mut()) };
            {
                let state = self.shared.lock();
                if self.shared.is_busy(&state) {
                    return Err(Hresult::HRESULT_ERROR_BUSY);
                }
                self.shared.renew(&state);
            }
            let list =
                self.thread()?.ask(async |session: &mut Session| session.enum_items().await)?;
            let items: Arc<[Item]> = list.items.into();
            let enumerator = ItemEnumerator::create(items);
            // SAFETY: as above; the caller owns the returned reference.
            unsafe { ppSyncMgrEnumItems.write(enumerator.into_raw()) };
            Ok(hresult::from_missing_items(list.missing_items))
        })
    }

    unsafe fn GetItemObject(
        &self,
        _ItemID: *const GUID,
        _riid: *const GUID,
        ppv: *mut *mut c_void,
    ) -> HRESULT {
        guard(|| {
            check_pointer(ppv)?;
            // SAFETY: the pointer is the caller's and not NULL.
            unsafe { ppv.write(null_mut()) };
            Err(Hresult::E_NOTIMPL)
        })
    }

    unsafe fn ShowProperties(&self, hWndParent: HWND, ItemID: *const GUID) -> HRESULT {
        guard(|| {
            check_pointer(ItemID)?;
            // SAFETY: the pointer is the caller's and not NULL.
            let item = unsafe { ItemID.read_unaligned() };
            self.show_properties(convert::item_id(item), Parent::new(hWndParent))
        })
    }

    unsafe fn SetProgressCallback(&self, lpCallBack: *mut c_void) -> HRESULT {
        guard(|| {
            // SAFETY: the pointer is NULL or to the documented interface.
            let callback = unsafe { ISyncMgrSynchronizeCallback::from_raw_borrowed(&lpCallBack) };
            self.shared.callback.set(callback);
            let is_running = self.shared.lock().is_running();
            if callback.is_none() && is_running {
                // Without a callback, the manager can no longer cancel.
                self.shared.cancel.cancel_all();
            }
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn PrepareForSync(
        &self,
        cbNumItems: u32,
        pItemIDs: *const GUID,
        hWndParent: HWND,
        _dwReserved: u32,
    ) -> HRESULT {
        guard(|| {
            check_pointer(pItemIDs)?;
            if cbNumItems == 0 || cbNumItems > MAX_ITEM_IDS {
                return Err(Hresult::E_INVALIDARG);
            }
            let ids = (0..cbNumItems as usize).map(|at| {
                // SAFETY: the caller passes the number of ids.
                let id = unsafe { pItemIDs.add(at) };
                // SAFETY: as above.
                convert::item_id(unsafe { id.read_unaligned() }).ok_or(Hresult::E_INVALIDARG)
            });
            self.prepare(ids.collect::<Result<_, _>>()?, Parent::new(hWndParent))
        })
    }

    unsafe fn Synchronize(&self, hWndParent: HWND) -> HRESULT {
        guard(|| self.synchronize(Parent::new(hWndParent)))
    }

    unsafe fn SetItemStatus(&self, ItemID: *const GUID, dwSyncMgrStatus: u32) -> HRESULT {
        guard(|| {
            check_pointer(ItemID)?;
            // SAFETY: the pointer is the caller's and not NULL.
            let item = convert::item_id(unsafe { ItemID.read_unaligned() });
            let status = convert::status(dwSyncMgrStatus).ok_or(Hresult::E_INVALIDARG)?;
            {
                let state = self.shared.lock();
                match state.phase {
                    Phase::Preparing | Phase::Prepared | Phase::Synchronizing => {}
                    Phase::Created | Phase::Initializing | Phase::Over | Phase::Initialized => {
                        return Err(Hresult::E_UNEXPECTED);
                    }
                }
                if item.is_some_and(|item| !state.prepared.contains(&item)) {
                    return Err(Hresult::E_INVALIDARG);
                }
            }
            match self.shared.cancel.set_item_status(item, status) {
                true => Ok(Hresult::S_OK),
                false => Err(Hresult::E_INVALIDARG),
            }
        })
    }

    unsafe fn ShowError(&self, hWndParent: HWND, ErrorID: *const GUID) -> HRESULT {
        guard(|| {
            check_pointer(ErrorID)?;
            // SAFETY: the pointer is the caller's and not NULL.
            let error = unsafe { ErrorID.read_unaligned() };
            self.show_error(error, Parent::new(hWndParent))
        })
    }
}

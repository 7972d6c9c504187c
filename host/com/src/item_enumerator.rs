//! `ISyncMgrEnumItems` over a list of items.

#![allow(unsafe_code, reason = "COM methods take pointers")]

use std::ffi::c_void;
use std::sync::Arc;

use syncmgr_host::{Hresult, Item};
use windows_core::{HRESULT, Interface, implement};

use crate::convert;
use crate::cursor::Cursor;
use crate::guard::{check_pointer, guard};
use crate::interfaces::{ISyncMgrEnumItems, ISyncMgrEnumItems_Impl, SYNCMGRITEM};
use crate::object::Counted;

#[implement(ISyncMgrEnumItems)]
pub(crate) struct ItemEnumerator {
    items: Cursor<Item>,
    _counted: Counted,
}

/// COM passes objects from thread to thread without checking.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    any_thread::<ItemEnumerator>();
};

impl ItemEnumerator {
    pub(crate) fn create(items: Arc<[Item]>) -> ISyncMgrEnumItems {
        Self::at(Cursor::new(items))
    }

    fn at(items: Cursor<Item>) -> ISyncMgrEnumItems {
        Self { items, _counted: Counted::new() }.into()
    }
}

impl ISyncMgrEnumItems_Impl for ItemEnumerator_Impl {
    unsafe fn Next(&self, celt: u32, rgelt: *mut SYNCMGRITEM, pceltFetched: *mut u32) -> HRESULT {
        guard(|| {
            let convert = |items: &[Item]| Ok(items.iter().map(convert::item).collect());
            // SAFETY: the caller has room for `celt` items, and `pceltFetched` is its pointer or
            // NULL.
            unsafe { self.items.next(celt, rgelt, pceltFetched, convert) }
        })
    }

    unsafe fn Skip(&self, celt: u32) -> HRESULT {
        guard(|| self.items.skip(celt))
    }

    unsafe fn Reset(&self) -> HRESULT {
        guard(|| {
            self.items.reset();
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn Clone(&self, ppenum: *mut *mut c_void) -> HRESULT {
        guard(|| {
            check_pointer(ppenum)?;
            let clone = ItemEnumerator::at(self.items.clone());
            // SAFETY: the pointer is the caller's and not NULL; the caller owns the returned
            // reference.
            unsafe { ppenum.write(clone.into_raw()) };
            Ok(Hresult::S_OK)
        })
    }
}

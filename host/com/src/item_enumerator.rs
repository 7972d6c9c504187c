//! `ISyncMgrEnumItems` over a list of items.

#![allow(unsafe_code, reason = "COM methods take pointers")]

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use syncmgr_host::{Hresult, Item};
use windows_core::{HRESULT, Interface, implement};

use crate::convert;
use crate::guard::{check_pointer, guard};
use crate::interfaces::{ISyncMgrEnumItems, ISyncMgrEnumItems_Impl, SYNCMGRITEM};
use crate::object::Counted;

#[implement(ISyncMgrEnumItems)]
pub(crate) struct ItemEnumerator {
    items: Arc<[Item]>,
    at: Mutex<usize>,
    _counted: Counted,
}

/// COM passes objects from thread to thread without checking.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    any_thread::<ItemEnumerator>();
};

impl ItemEnumerator {
    pub(crate) fn create(items: Arc<[Item]>, at: usize) -> ISyncMgrEnumItems {
        Self { items, at: Mutex::new(at), _counted: Counted::new() }.into()
    }

    /// Advances by up to `celt` items and returns them.
    fn advance(&self, celt: u32) -> &[Item] {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let left = &self.items[*at..];
        let taken = left.len().min(usize::try_from(celt).unwrap_or(usize::MAX));
        *at += taken;
        &left[..taken]
    }
}

/// Returns `S_FALSE` if there were fewer items than requested.
fn complete(taken: &[Item], celt: u32) -> Hresult {
    match u32::try_from(taken.len()) == Ok(celt) {
        true => Hresult::S_OK,
        false => Hresult::S_FALSE,
    }
}

impl ISyncMgrEnumItems_Impl for ItemEnumerator_Impl {
    unsafe fn Next(&self, celt: u32, rgelt: *mut SYNCMGRITEM, pceltFetched: *mut u32) -> HRESULT {
        guard(|| {
            if !pceltFetched.is_null() {
                // SAFETY: the pointer is the caller's and not NULL.
                unsafe { pceltFetched.write(0) };
            }
            if celt > 0 {
                check_pointer(rgelt)?;
            }
            let taken = self.advance(celt);
            for (at, item) in taken.iter().enumerate() {
                // SAFETY: the caller has room for `celt` items, and at most as many are written.
                let slot = unsafe { rgelt.add(at) };
                // SAFETY: as above.
                unsafe { slot.write(convert::item(item)) };
            }
            if !pceltFetched.is_null() {
                // SAFETY: as above; the number is at most `celt`, a `u32`.
                unsafe { pceltFetched.write(u32::try_from(taken.len()).unwrap_or(celt)) };
            }
            Ok(complete(taken, celt))
        })
    }

    unsafe fn Skip(&self, celt: u32) -> HRESULT {
        guard(|| Ok(complete(self.advance(celt), celt)))
    }

    unsafe fn Reset(&self) -> HRESULT {
        guard(|| {
            *self.at.lock().unwrap_or_else(PoisonError::into_inner) = 0;
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn Clone(&self, ppenum: *mut *mut c_void) -> HRESULT {
        guard(|| {
            check_pointer(ppenum)?;
            let at = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
            let clone = ItemEnumerator::create(Arc::clone(&self.items), at);
            // SAFETY: the pointer is the caller's and not NULL; the caller owns the returned
            // reference.
            unsafe { ppenum.write(clone.into_raw()) };
            Ok(Hresult::S_OK)
        })
    }
}

//! `IEnumString` of `objidl.h` over a list of texts.

#![allow(unsafe_code, reason = "COM methods take pointers")]
#![allow(missing_docs, reason = "the attribute drops the docs of methods")]

use std::ffi::c_void;
use std::sync::Arc;

use syncmgr_host::Hresult;
use windows_core::{HRESULT, IUnknown, IUnknown_Vtbl, Interface, implement, interface};

use crate::cursor::Cursor;
use crate::guard::{check_pointer, guard};
use crate::object::Counted;
use crate::{convert, task_memory};

/// `IEnumString`.
#[interface("00000101-0000-0000-C000-000000000046")]
pub unsafe trait IEnumString: IUnknown {
    /// Slot 3. The caller frees the texts with `CoTaskMemFree`.
    pub unsafe fn Next(&self, celt: u32, rgelt: *mut *mut u16, pceltFetched: *mut u32) -> HRESULT;
    /// Slot 4.
    pub unsafe fn Skip(&self, celt: u32) -> HRESULT;
    /// Slot 5.
    pub unsafe fn Reset(&self) -> HRESULT;
    /// Slot 6.
    pub unsafe fn Clone(&self, ppenum: *mut *mut c_void) -> HRESULT;
}

#[implement(IEnumString)]
pub(crate) struct StringEnumerator {
    texts: Cursor<String>,
    _counted: Counted,
}

/// COM passes objects from thread to thread without checking.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    any_thread::<StringEnumerator>();
};

impl StringEnumerator {
    pub(crate) fn create(texts: Arc<[String]>) -> IEnumString {
        Self::at(Cursor::new(texts))
    }

    fn at(texts: Cursor<String>) -> IEnumString {
        Self { texts, _counted: Counted::new() }.into()
    }
}

/// Copies the texts to memory that the caller frees, or none of them if there is not enough.
fn copies(texts: &[String]) -> Result<Vec<*mut u16>, Hresult> {
    let mut copies = Vec::with_capacity(texts.len());
    for text in texts {
        match task_memory::give_all(&convert::utf16(text)) {
            Some(copy) => copies.push(copy),
            None => {
                for copy in copies {
                    // SAFETY: the copy is not used any longer.
                    unsafe { task_memory::free(copy) };
                }
                return Err(Hresult::E_OUTOFMEMORY);
            }
        }
    }
    Ok(copies)
}

impl IEnumString_Impl for StringEnumerator_Impl {
    unsafe fn Next(&self, celt: u32, rgelt: *mut *mut u16, pceltFetched: *mut u32) -> HRESULT {
        guard(|| {
            // SAFETY: the caller has room for `celt` pointers, and `pceltFetched` is its pointer or
            // NULL.
            unsafe { self.texts.next(celt, rgelt, pceltFetched, copies) }
        })
    }

    unsafe fn Skip(&self, celt: u32) -> HRESULT {
        guard(|| self.texts.skip(celt))
    }

    unsafe fn Reset(&self) -> HRESULT {
        guard(|| {
            self.texts.reset();
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn Clone(&self, ppenum: *mut *mut c_void) -> HRESULT {
        guard(|| {
            check_pointer(ppenum)?;
            let clone = StringEnumerator::at(self.texts.clone());
            // SAFETY: the pointer is the caller's and not NULL; the caller owns the returned
            // reference.
            unsafe { ppenum.write(clone.into_raw()) };
            Ok(Hresult::S_OK)
        })
    }
}

//! The installed plugins of the current user, as a collection of handlers for Sync Center
//! (`ISyncMgrHandlerCollection` of `syncmgr.h`).
//!
//! The documented key of handlers exists for the machine only. The collection is one class for all
//! users, written by the installer, and lists the plugins of the current user. Its handlers
//! are objects of `ISyncMgrSynchronize`: Sync Center requests `ISyncMgrHandler` first, and this
//! interface if the first request fails.

#![allow(unsafe_code, reason = "COM methods take pointers")]
#![allow(missing_docs, reason = "the attribute drops the docs of methods")]

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;

use syncmgr_host::Hresult;
use uuid::Uuid;
use windows_core::{GUID, HRESULT, IUnknown, IUnknown_Vtbl, Interface, implement, interface};

use crate::convert;
use crate::guard::{check_pointer, guard, ours};
use crate::handler::{self, Class};
use crate::object::Counted;
use crate::string_enumerator::StringEnumerator;

/// The class of the collection.
pub const COLLECTION_CLASS: Uuid = Uuid::from_u128(0x39B09C5B_B8C2_4C41_B350_624E2A24A760);

/// `ISyncMgrHandlerCollection`.
#[interface("A7F337A3-D20B-45CB-9ED7-87D094CA5045")]
pub unsafe trait ISyncMgrHandlerCollection: IUnknown {
    /// Slot 3. Returns an `IEnumString` of handler ids.
    pub unsafe fn GetHandlerEnumerator(&self, ppenum: *mut *mut c_void) -> HRESULT;
    /// Slot 4.
    pub unsafe fn BindToHandler(
        &self,
        pszHandlerID: *const u16,
        riid: *const GUID,
        ppv: *mut *mut c_void,
    ) -> HRESULT;
}

/// Returns the classes of the plugins that the collection lists.
type List = fn() -> Result<Vec<Uuid>, Hresult>;

/// Returns one of these classes.
type Find = fn(Uuid) -> Result<Arc<Class>, Hresult>;

#[implement(ISyncMgrHandlerCollection)]
struct Collection {
    list: List,
    find: Find,
    _counted: Counted,
}

/// COM passes objects from thread to thread without checking.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    any_thread::<Collection>();
};

/// Creates a collection of handlers.
pub fn create(list: List, find: Find) -> ISyncMgrHandlerCollection {
    Collection { list, find, _counted: Counted::new() }.into()
}

/// Returns the id of a handler: its class, as the registry spells it.
pub(crate) fn handler_id(class: Uuid) -> String {
    format!("{{{}}}", class.to_string().to_uppercase())
}

impl ISyncMgrHandlerCollection_Impl for Collection_Impl {
    unsafe fn GetHandlerEnumerator(&self, ppenum: *mut *mut c_void) -> HRESULT {
        guard(|| {
            check_pointer(ppenum)?;
            // SAFETY: the pointer is the caller's and not NULL.
            unsafe { ppenum.write(null_mut()) };
            let ids = (self.list)()?.into_iter().map(handler_id).collect();
            // SAFETY: as above; the caller owns the returned reference.
            unsafe { ppenum.write(StringEnumerator::create(ids).into_raw()) };
            Ok(Hresult::S_OK)
        })
    }

    unsafe fn BindToHandler(
        &self,
        pszHandlerID: *const u16,
        riid: *const GUID,
        ppv: *mut *mut c_void,
    ) -> HRESULT {
        guard(|| {
            check_pointer(ppv)?;
            // SAFETY: the pointer is the caller's and not NULL.
            unsafe { ppv.write(null_mut()) };
            check_pointer(riid)?;
            check_pointer(pszHandlerID)?;
            // SAFETY: the caller passes a NUL-terminated text.
            let id = unsafe { convert::text(pszHandlerID) };
            let class = id.as_deref().and_then(|id| Uuid::try_parse(id).ok());
            let class = class.filter(|class| id == Some(handler_id(*class)));
            let class = class.ok_or(Hresult::E_INVALIDARG)?;
            if !(self.list)()?.contains(&class) {
                return Err(Hresult::HRESULT_ERROR_NOT_FOUND);
            }
            let handler = handler::create((self.find)(class)?);
            // SAFETY: both pointers are the caller's and not NULL.
            Ok(ours(unsafe { handler.query(riid, ppv) }))
        })
    }
}

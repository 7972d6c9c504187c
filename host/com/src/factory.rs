//! The class factory, `IClassFactory`.

#![allow(unsafe_code, reason = "COM methods take pointers")]

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;

use syncmgr_host::Hresult;
use windows_core::{BOOL, GUID, HRESULT, IUnknown, Interface, implement};

use crate::guard::{check_pointer, guard, ours};
use crate::handler::{self, Class};
use crate::interfaces::{IClassFactory, IClassFactory_Impl};
use crate::object::{Counted, lock_server};

/// `CLASS_E_NOAGGREGATION`.
const CLASS_E_NOAGGREGATION: Hresult = Hresult(0x8004_0110);

/// Makes an object.
type Make = Box<dyn Fn() -> IUnknown + Send + Sync>;

#[implement(IClassFactory)]
struct Factory {
    make: Make,
    _counted: Counted,
}

/// COM passes objects from thread to thread without checking.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    any_thread::<Factory>();
};

/// Creates a factory for the handlers of a class.
pub fn create(class: Arc<Class>) -> IClassFactory {
    for_objects(Box::new(move || handler::create(Arc::clone(&class)).into()))
}

/// Creates a factory for objects.
pub(crate) fn for_objects(make: Make) -> IClassFactory {
    Factory { make, _counted: Counted::new() }.into()
}

impl IClassFactory_Impl for Factory_Impl {
    unsafe fn CreateInstance(
        &self,
        pUnkOuter: *mut c_void,
        riid: *const GUID,
        ppvObject: *mut *mut c_void,
    ) -> HRESULT {
        guard(|| {
            check_pointer(ppvObject)?;
            // SAFETY: the pointer is the caller's and not NULL.
            unsafe { ppvObject.write(null_mut()) };
            check_pointer(riid)?;
            if !pUnkOuter.is_null() {
                return Err(CLASS_E_NOAGGREGATION);
            }
            let object = (self.make)();
            // SAFETY: both pointers are the caller's and not NULL.
            Ok(ours(unsafe { object.query(riid, ppvObject) }))
        })
    }

    unsafe fn LockServer(&self, fLock: BOOL) -> HRESULT {
        guard(|| {
            lock_server(fLock.as_bool());
            Ok(Hresult::S_OK)
        })
    }
}

//! Native handlers.

#![allow(unsafe_code, reason = "COM")]

use anyhow::bail;
use syncmgr_com::interfaces::ISyncMgrSynchronize;
use syncmgr_host::sink::Sink;
use syncmgr_host::{CancelHandle, Hresult, Report, RunRequest};
use uuid::Uuid;
use windows_core::Interface;
use windows_sys::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, COINIT_APARTMENTTHREADED, CoCreateInstance, CoInitializeEx,
    CoUninitialize,
};
use windows_sys::core::GUID;

use crate::exit::UsageError;

/// The apartment of this thread.
struct Apartment;

impl Drop for Apartment {
    fn drop(&mut self) {
        // SAFETY: on the thread that has entered it, and once for that.
        unsafe { CoUninitialize() };
    }
}

/// A native handler, in an apartment with this one thread, as the manager has it.
pub(crate) struct Handler {
    // Dropped in this order.
    handler: ISyncMgrSynchronize,
    clsid: String,
    _apartment: Apartment,
}

impl Handler {
    pub(crate) fn create(clsid: Uuid) -> anyhow::Result<Self> {
        let flags = COINIT_APARTMENTTHREADED.cast_unsigned();
        // SAFETY: the reserved parameter is NULL.
        let entered = unsafe { CoInitializeEx(std::ptr::null(), flags) };
        if entered < 0 {
            bail!("cannot start COM: {}", Hresult(entered.cast_unsigned()));
        }
        let apartment = Apartment;
        let class = GUID::from_u128(clsid.as_u128());
        let interface = GUID::from_u128(ISyncMgrSynchronize::IID.to_u128());
        let clsid = format!("{{{}}}", clsid.to_string().to_uppercase());
        let mut pointer = std::ptr::null_mut();
        // SAFETY: the ids live until the call returns, and there is a place for the result.
        let created = unsafe {
            CoCreateInstance(
                &raw const class,
                std::ptr::null_mut(),
                CLSCTX_INPROC_SERVER,
                &raw const interface,
                &raw mut pointer,
            )
        };
        if created < 0 || pointer.is_null() {
            let failure = Hresult(created.cast_unsigned());
            let message = format!("there is no native handler of the class {clsid}: {failure}");
            return Err(UsageError(message).into());
        }
        // SAFETY: the call gave a reference to this interface.
        let handler = unsafe { ISyncMgrSynchronize::from_raw(pointer) };
        Ok(Self { handler, clsid, _apartment: apartment })
    }

    pub(crate) fn run(
        &self,
        cancel: CancelHandle,
        sink: impl Sink + 'static,
        request: &RunRequest,
    ) -> Report {
        syncmgr_com::native::run(&self.handler, &self.clsid, cancel, sink, request)
    }
}

//! COM's apartments: which thread may call what.

#![allow(unsafe_code, reason = "interface pointers are moved between threads")]

use crate::interfaces::ISyncMgrSynchronizeCallback;

/// Makes this thread one of the multithreaded apartment, until it is dropped. A session's threads
/// are, so that they may wait without a message loop.
#[derive(Debug)]
pub(crate) struct Multithreaded(#[cfg(windows)] bool);

impl Multithreaded {
    pub(crate) fn enter() -> Self {
        #[cfg(windows)]
        {
            use windows_sys::Win32::System::Com::{COINIT_MULTITHREADED, CoInitializeEx};
            let flags = COINIT_MULTITHREADED.cast_unsigned();
            // SAFETY: the reserved parameter is NULL.
            let entered = unsafe { CoInitializeEx(std::ptr::null(), flags) };
            Self(entered >= 0)
        }
        #[cfg(not(windows))]
        Self()
    }
}

impl Drop for Multithreaded {
    fn drop(&mut self) {
        #[cfg(windows)]
        if self.0 {
            // SAFETY: on the same thread, since this is not sent to another one, and once for the
            // call that succeeded.
            unsafe { windows_sys::Win32::System::Com::CoUninitialize() };
        }
    }
}

/// Keeps the multithreaded apartment for as long as this process lives. Otherwise the last of our
/// threads to leave it would take COM down, at a time at which the manager may be about to use it
/// again.
#[cfg(windows)]
pub(crate) fn keep_multithreaded() {
    let mut cookie = std::ptr::null_mut();
    // SAFETY: there is a place for the cookie. It is not needed: this is never taken back.
    let _ = unsafe { windows_sys::Win32::System::Com::CoIncrementMTAUsage(&raw mut cookie) };
}

/// The manager's callback, held so that any thread of the multithreaded apartment may call it.
#[derive(Debug)]
pub(crate) enum Held {
    /// It may be called from there as it is.
    Direct(DirectCallback),
    /// It belongs to another apartment. COM makes a proxy where one is wanted.
    #[cfg(windows)]
    Marshalled(std::sync::Arc<crate::global_table::Entry>),
}

/// A callback that may be called from any thread.
#[derive(Debug)]
pub(crate) struct DirectCallback(ISyncMgrSynchronizeCallback);

// SAFETY: `Held::new` makes one only where COM's rules or SyncMgr's own allow calls from any
// thread.
unsafe impl Send for DirectCallback {}
// SAFETY: as above.
unsafe impl Sync for DirectCallback {}

impl Held {
    /// Takes what was given to a thread of any apartment.
    ///
    /// Where COM has no proxy for the interface, the callback is called directly: SyncMgr's own
    /// documentation allows that from any thread, and its manager registers a proxy.
    pub(crate) fn new(callback: &ISyncMgrSynchronizeCallback) -> Self {
        #[cfg(windows)]
        if !in_multithreaded()
            && let Some(entry) = crate::global_table::Entry::new(callback)
        {
            return Self::Marshalled(std::sync::Arc::new(entry));
        }
        Self::Direct(DirectCallback(callback.clone()))
    }

    /// What can be resolved without whatever holds this: resolving may call other code.
    pub(crate) fn resolver(&self) -> Resolver {
        match self {
            Self::Direct(callback) => Resolver::Direct(callback.0.clone()),
            #[cfg(windows)]
            Self::Marshalled(entry) => Resolver::Marshalled(std::sync::Arc::clone(entry)),
        }
    }
}

/// A reference to a callback for one call.
pub(crate) enum Resolver {
    Direct(ISyncMgrSynchronizeCallback),
    #[cfg(windows)]
    Marshalled(std::sync::Arc<crate::global_table::Entry>),
}

impl Resolver {
    /// What to call, on this thread and now; `None`: the apartment it belongs to is gone.
    pub(crate) fn resolve(self) -> Option<ISyncMgrSynchronizeCallback> {
        match self {
            Self::Direct(callback) => Some(callback),
            #[cfg(windows)]
            Self::Marshalled(entry) => entry.get(),
        }
    }
}

/// Whether this thread is one of the multithreaded apartment, entered or implied.
#[cfg(windows)]
fn in_multithreaded() -> bool {
    use windows_sys::Win32::System::Com::{APTTYPE_MTA, CoGetApartmentType};
    let (mut apartment, mut qualifier) = (0, 0);
    // SAFETY: both pointers are to variables that live long enough.
    let found = unsafe { CoGetApartmentType(&raw mut apartment, &raw mut qualifier) };
    found >= 0 && apartment == APTTYPE_MTA
}

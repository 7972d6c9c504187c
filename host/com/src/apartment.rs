//! COM apartments: which thread may call which object.

#![allow(unsafe_code, reason = "interface pointers are moved between threads")]

use std::mem::ManuallyDrop;
use std::ops::Deref;

use crate::interfaces::ISyncMgrSynchronizeCallback;

/// Held while a proxy is obtained or released, but not while it is called. In Wine 8, a thread that
/// obtains a proxy can otherwise receive parts of one that another thread is just releasing.
#[cfg(windows)]
static PROXIES: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(windows)]
fn lock_proxies() -> std::sync::MutexGuard<'static, ()> {
    PROXIES.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Enters the multithreaded apartment on this thread until dropped. The threads of a session use it
/// so that they can wait without a message loop.
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
            // SAFETY: this runs once for the call that succeeded, on the same thread, because the
            // type is not `Send`.
            unsafe { windows_sys::Win32::System::Com::CoUninitialize() };
        }
    }
}

/// Keeps the multithreaded apartment alive as long as the process. Otherwise, the last of the
/// library's threads to leave it would shut COM down, possibly while the manager is about to use it
/// again.
#[cfg(windows)]
pub(crate) fn keep_multithreaded() {
    let mut cookie = std::ptr::null_mut();
    // SAFETY: the out pointer is valid. The cookie is not needed, because the usage is never
    // decremented.
    let _ = unsafe { windows_sys::Win32::System::Com::CoIncrementMTAUsage(&raw mut cookie) };
}

/// A reference to the manager's callback that any thread of the multithreaded apartment can use.
#[derive(Debug)]
pub(crate) enum CallbackRef {
    /// The callback can be called directly from the multithreaded apartment.
    Direct(DirectCallback),
    /// The callback belongs to another apartment; COM creates a proxy for each use.
    #[cfg(windows)]
    Marshalled(std::sync::Arc<crate::global_table::Entry>),
}

/// A callback that may be called from any thread.
#[derive(Debug)]
pub(crate) struct DirectCallback(ISyncMgrSynchronizeCallback);

// SAFETY: `CallbackRef::new` creates one only where COM's rules or SyncMgr's rules allow calls from
// any thread.
unsafe impl Send for DirectCallback {}
// SAFETY: as above.
unsafe impl Sync for DirectCallback {}

impl CallbackRef {
    /// Creates a reference to a callback that was passed to a thread of any apartment.
    ///
    /// If COM has no proxy for the interface, the callback is called directly: SyncMgr's
    /// documentation allows calls from any thread, and its manager registers a proxy.
    pub(crate) fn new(callback: &ISyncMgrSynchronizeCallback) -> Self {
        #[cfg(windows)]
        if !in_multithreaded()
            && let Some(entry) = crate::global_table::Entry::new(callback)
        {
            return Self::Marshalled(std::sync::Arc::new(entry));
        }
        Self::Direct(DirectCallback(callback.clone()))
    }

    /// Returns a handle that can be resolved after locks are released: resolving may call foreign
    /// code.
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
    /// Returns the callback for use on this thread, or `None` if its apartment no longer exists.
    pub(crate) fn resolve(self) -> Option<Resolved> {
        match self {
            Self::Direct(callback) => Some(Resolved::new(callback, false)),
            #[cfg(windows)]
            Self::Marshalled(entry) => {
                let _lock = lock_proxies();
                entry.get().map(|proxy| Resolved::new(proxy, true))
            }
        }
    }
}

/// A callback that this thread may call.
#[derive(Debug)]
pub(crate) struct Resolved {
    callback: ManuallyDrop<ISyncMgrSynchronizeCallback>,
    #[cfg(windows)]
    is_proxy: bool,
}

impl Resolved {
    fn new(callback: ISyncMgrSynchronizeCallback, is_proxy: bool) -> Self {
        #[cfg(not(windows))]
        let _ = is_proxy;
        Self {
            callback: ManuallyDrop::new(callback),
            #[cfg(windows)]
            is_proxy,
        }
    }
}

impl Deref for Resolved {
    type Target = ISyncMgrSynchronizeCallback;

    fn deref(&self) -> &ISyncMgrSynchronizeCallback {
        &self.callback
    }
}

impl Drop for Resolved {
    fn drop(&mut self) {
        #[cfg(windows)]
        let _lock = self.is_proxy.then(lock_proxies);
        // SAFETY: it is dropped only here, once, and not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.callback) };
    }
}

/// Returns whether this thread is in the multithreaded apartment, explicitly or implicitly.
#[cfg(windows)]
fn in_multithreaded() -> bool {
    use windows_sys::Win32::System::Com::{APTTYPE_MTA, CoGetApartmentType};
    let (mut apartment, mut qualifier) = (0, 0);
    // SAFETY: both pointers are to variables that outlive the call.
    let found = unsafe { CoGetApartmentType(&raw mut apartment, &raw mut qualifier) };
    found >= 0 && apartment == APTTYPE_MTA
}

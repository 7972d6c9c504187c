//! An event that one thread waits for and another sets once.

#![cfg_attr(windows, allow(unsafe_code, reason = "the system's own event objects"))]

use std::sync::Arc;
use std::time::Duration;

/// An event that is set once. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Event(Arc<imp::Event>);

impl Event {
    /// Creates an event, or returns `None` if the system is out of resources.
    pub(crate) fn new() -> Option<Self> {
        imp::Event::new().map(|event| Self(Arc::new(event)))
    }

    pub(crate) fn set(&self) {
        self.0.set();
    }

    /// Waits and returns whether the event was set in time. In a single-threaded apartment,
    /// incoming calls and window messages are dispatched while waiting: the thread that sets the
    /// event may need them.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        self.0.wait(limit)
    }
}

#[cfg(not(windows))]
mod imp {
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) struct Event {
        set: Mutex<bool>,
        news: Condvar,
    }

    impl Event {
        #[expect(clippy::unnecessary_wraps, reason = "elsewhere the system may have no room")]
        pub(super) fn new() -> Option<Self> {
            Some(Self { set: Mutex::new(false), news: Condvar::new() })
        }

        pub(super) fn set(&self) {
            *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.news.notify_all();
        }

        pub(super) fn wait(&self, limit: Duration) -> bool {
            let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.news.wait_timeout_while(set, limit, |set| !*set);
            *waited.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

#[cfg(windows)]
mod imp {
    use std::ptr::null;
    use std::time::Duration;

    use windows_sys::Win32::Foundation::{CloseHandle, HANDLE};
    use windows_sys::Win32::System::Com::{
        COWAIT_DISPATCH_CALLS, COWAIT_DISPATCH_WINDOW_MESSAGES, CoWaitForMultipleHandles,
    };
    use windows_sys::Win32::System::Threading::{CreateEventW, SetEvent, WaitForSingleObject};

    /// The wait timed out.
    const RPC_S_CALLPENDING: i32 = 0x8001_0115_u32.cast_signed();

    #[derive(Debug)]
    pub(super) struct Event(HANDLE);

    // SAFETY: any thread may use the handle of an event object.
    unsafe impl Send for Event {}
    // SAFETY: as above.
    unsafe impl Sync for Event {}

    impl Event {
        pub(super) fn new() -> Option<Self> {
            // SAFETY: the name and the security descriptor may be NULL. The event is manual-reset.
            let handle = unsafe { CreateEventW(null(), 1, 0, null()) };
            (!handle.is_null()).then_some(Self(handle))
        }

        pub(super) fn set(&self) {
            // SAFETY: the handle is open until this is dropped.
            unsafe { SetEvent(self.0) };
        }

        pub(super) fn wait(&self, limit: Duration) -> bool {
            let milliseconds = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
            let flags = (COWAIT_DISPATCH_CALLS | COWAIT_DISPATCH_WINDOW_MESSAGES).cast_unsigned();
            let mut index = 0;
            // SAFETY: there is one handle, open until this is dropped, and the out pointer is
            // valid.
            let waited = unsafe {
                CoWaitForMultipleHandles(flags, milliseconds, 1, &raw const self.0, &raw mut index)
            };
            // The call fails on a timeout, and immediately on a thread without an apartment.
            let milliseconds = match waited {
                waited if waited >= 0 => return true,
                RPC_S_CALLPENDING => 0,
                _failure => milliseconds,
            };
            // SAFETY: the handle is open until this is dropped.
            unsafe { WaitForSingleObject(self.0, milliseconds) == 0 }
        }
    }

    impl Drop for Event {
        fn drop(&mut self) {
            // SAFETY: the handle is open and not used afterwards.
            unsafe { CloseHandle(self.0) };
        }
    }
}

//! The manager's callback, which can be set, replaced and removed at any time.

#![allow(unsafe_code, reason = "COM methods are called through pointers")]

use std::ptr::null;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use syncmgr_host::{ErrorId, Hresult, ItemId, LogEntry};
use windows_core::{BOOL, HRESULT};

use crate::apartment::{CallbackRef, Resolved};
use crate::convert;
use crate::guard::{native, ours};
use crate::interfaces::{GUID_NULL, ISyncMgrSynchronizeCallback, SYNCMGRPROGRESSITEM};

/// Holds the current callback.
#[derive(Debug)]
pub(crate) struct CallbackSlot {
    slot: Mutex<Slot>,
    /// Entries logged before a callback was set. The item table bounds their number.
    waiting: Mutex<Vec<LogEntry>>,
}

#[derive(Debug)]
enum Slot {
    /// No callback has been set yet.
    Awaited,
    Set(CallbackRef),
    /// The callback was removed.
    Gone,
}

impl CallbackSlot {
    pub(crate) fn new() -> Self {
        Self { slot: Mutex::new(Slot::Awaited), waiting: Mutex::default() }
    }

    /// Implements `SetProgressCallback`.
    pub(crate) fn set(&self, callback: Option<&ISyncMgrSynchronizeCallback>) {
        // Marshalling and releasing may call foreign code, which may call back here.
        let new = match callback {
            Some(callback) => Slot::Set(CallbackRef::new(callback)),
            None => Slot::Gone,
        };
        let old = std::mem::replace(&mut *self.lock(), new);
        drop(old);
    }

    pub(crate) fn is_set(&self) -> bool {
        matches!(*self.lock(), Slot::Set(_))
    }

    /// Returns the callback for use on this thread, with a separate reference for the duration of
    /// the call.
    pub(crate) fn get(&self) -> Option<Callback> {
        // This separate statement releases the lock: resolving may call into the manager's
        // apartment, which may be about to remove the callback.
        let resolver = match &*self.lock() {
            Slot::Set(held) => held.resolver(),
            Slot::Awaited | Slot::Gone => return None,
        };
        resolver.resolve().map(Callback)
    }

    /// Logs an entry, or queues it until a callback is set.
    pub(crate) fn log(&self, entry: &LogEntry) {
        if matches!(*self.lock(), Slot::Awaited) {
            self.waiting().push(entry.clone());
        } else if let Some(callback) = self.get() {
            callback.log_error(entry);
        }
    }

    /// Deletes entries, including queued ones.
    pub(crate) fn delete_log(&self, id: Option<ErrorId>) {
        self.waiting().retain(|entry| id.is_some() && entry.id != id);
        if let Some(callback) = self.get() {
            callback.delete_log_error(id);
        }
    }

    /// Logs the queued entries.
    pub(crate) fn log_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        waiting.iter().for_each(|entry| self.log(entry));
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<LogEntry>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A dialog that is shown. Dropping it lets the manager show other dialogs again.
struct Modal<'a>(&'a Callback);

impl Drop for Modal<'_> {
    fn drop(&mut self) {
        // SAFETY: the call passes no pointers.
        let _ = unsafe { self.0.0.EnableModeless(BOOL(0)) };
    }
}

/// `RPC_E_CALL_REJECTED` and `RPC_E_SERVERCALL_RETRYLATER`: the manager's apartment is busy.
const BUSY: [i32; 2] = [0x8001_0001_u32.cast_signed(), 0x8001_010A_u32.cast_signed()];

/// The number of attempts to report a completion, and the time between two.
const ATTEMPTS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Reports a completion, again while the manager is busy: it would wait for a lost one forever.
/// Nothing can be done about other failures.
fn until_taken(report: impl Fn() -> HRESULT) {
    for _ in 0..ATTEMPTS {
        if !BUSY.contains(&report().0) {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// A callback that this thread may call.
#[derive(Debug)]
pub(crate) struct Callback(Resolved);

impl Callback {
    pub(crate) fn progress(&self, item: ItemId, report: &SYNCMGRPROGRESSITEM) -> Hresult {
        let id = convert::guid(item.as_uuid());
        // SAFETY: the pointers are valid until the call returns.
        ours(unsafe { self.0.Progress(&raw const id, report) })
    }

    /// Logs an entry. A failure is ignored, because nothing can be done about it.
    pub(crate) fn log_error(&self, entry: &LogEntry) {
        let text = convert::utf16(&entry.text);
        let info = convert::log_error_info(entry);
        // SAFETY: the pointers are valid until the call returns, and the text is NUL-terminated.
        let _ = unsafe { self.0.LogError(entry.level as u32, text.as_ptr(), &raw const info) };
    }

    /// Deletes an entry, or all entries for `None`.
    pub(crate) fn delete_log_error(&self, id: Option<ErrorId>) {
        let id = id.map_or(GUID_NULL, |id| convert::guid(id.as_uuid()));
        // SAFETY: the pointer is valid until the call returns.
        let _ = unsafe { self.0.DeleteLogError(&raw const id, 0) };
    }

    /// Shows a dialog if the manager allows it, and notifies the manager when it is closed.
    pub(crate) fn with_modal<T>(&self, show: impl FnOnce() -> T) -> Option<T> {
        // SAFETY: the call passes no pointers.
        let allowed = ours(unsafe { self.0.EnableModeless(BOOL(1)) });
        // `S_FALSE` is a success code that means no.
        if allowed != Hresult::S_OK {
            return None;
        }
        let _shown = Modal(self);
        Some(show())
    }

    /// Establishes a connection; `None` is the default connection.
    pub(crate) fn establish_connection(&self, connection: Option<&str>) -> Hresult {
        let name = connection.map(convert::utf16);
        let pointer = name.as_ref().map_or(null(), |name| name.as_ptr());
        // SAFETY: the pointer is NULL, or to NUL-terminated text that lives until the call returns.
        ours(unsafe { self.0.EstablishConnection(pointer, 0) })
    }

    pub(crate) fn prepare_for_sync_completed(&self, outcome: Hresult) {
        // SAFETY: the call passes no pointers.
        until_taken(|| unsafe { self.0.PrepareForSyncCompleted(native(outcome)) });
    }

    pub(crate) fn synchronize_completed(&self, outcome: Hresult) {
        // SAFETY: the call passes no pointers.
        until_taken(|| unsafe { self.0.SynchronizeCompleted(native(outcome)) });
    }

    pub(crate) fn show_properties_completed(&self, outcome: Hresult) {
        // SAFETY: the call passes no pointers.
        until_taken(|| unsafe { self.0.ShowPropertiesCompleted(native(outcome)) });
    }

    /// Completes `ShowError`. The items only matter with `S_SYNCMGR_RETRYSYNC`.
    pub(crate) fn show_error_completed(&self, outcome: Hresult, retry: &[ItemId]) {
        let ids: Vec<_> = retry.iter().map(|item| convert::guid(item.as_uuid())).collect();
        let pointer = if ids.is_empty() { null() } else { ids.as_ptr() };
        // The limit on items is far below this.
        let count = u32::try_from(ids.len()).unwrap_or(0);
        // SAFETY: the pointer is NULL without items; otherwise it is to `count` ids that live until
        // the call returns. The manager copies them.
        until_taken(|| unsafe { self.0.ShowErrorCompleted(native(outcome), count, pointer) });
    }
}

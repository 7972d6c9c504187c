//! The manager's callback, which may be set, replaced and taken away at any time.

#![allow(unsafe_code, reason = "COM methods are called through pointers")]

use std::ptr::null;
use std::sync::{Mutex, MutexGuard, PoisonError};

use syncmgr_host::{ErrorId, Hresult, ItemId, LogEntry};
use windows_core::{BOOL, HRESULT};

use crate::apartment::Held;
use crate::convert;
use crate::guard::{native, ours};
use crate::interfaces::{GUID_NULL, ISyncMgrSynchronizeCallback, SYNCMGRPROGRESSITEM};

/// Where the callback is.
#[derive(Debug)]
pub(crate) struct CallbackSlot {
    slot: Mutex<Slot>,
    /// What was logged before there was a callback. The ledger bounds how much that is.
    waiting: Mutex<Vec<LogEntry>>,
}

#[derive(Debug)]
enum Slot {
    /// There was none yet.
    Awaited,
    Set(Held),
    /// It was taken away.
    Gone,
}

impl CallbackSlot {
    pub(crate) fn new() -> Self {
        Self { slot: Mutex::new(Slot::Awaited), waiting: Mutex::default() }
    }

    /// `SetProgressCallback`.
    pub(crate) fn set(&self, callback: Option<&ISyncMgrSynchronizeCallback>) {
        // Marshalling and releasing may call other code, which may come back here.
        let new = match callback {
            Some(callback) => Slot::Set(Held::new(callback)),
            None => Slot::Gone,
        };
        let old = std::mem::replace(&mut *self.lock(), new);
        drop(old);
    }

    pub(crate) fn is_set(&self) -> bool {
        matches!(*self.lock(), Slot::Set(_))
    }

    /// The callback as this thread may call it, with a reference of its own for as long as the
    /// call takes.
    pub(crate) fn get(&self) -> Option<Callback> {
        // A statement of its own, which lets go of the lock: resolving may call into the manager's
        // apartment, which may be about to take the callback away.
        let resolver = match &*self.lock() {
            Slot::Set(held) => held.resolver(),
            Slot::Awaited | Slot::Gone => return None,
        };
        resolver.resolve().map(Callback)
    }

    /// Logs, now or when there is a callback.
    pub(crate) fn log(&self, entry: &LogEntry) {
        if matches!(*self.lock(), Slot::Awaited) {
            self.waiting().push(entry.clone());
        } else if let Some(callback) = self.get() {
            callback.log_error(entry);
        }
    }

    /// Takes entries back, also those that wait.
    pub(crate) fn delete_log(&self, id: Option<ErrorId>) {
        self.waiting().retain(|entry| id.is_some() && entry.id != id);
        if let Some(callback) = self.get() {
            callback.delete_log_error(id);
        }
    }

    /// Logs what waited for a callback.
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

/// A dialog that is shown. Others may show theirs when it is gone, however that came about.
struct Modal<'a>(&'a Callback);

impl Drop for Modal<'_> {
    fn drop(&mut self) {
        // SAFETY: there are no pointers.
        let _ = unsafe { self.0.0.EnableModeless(BOOL(0)) };
    }
}

/// A callback that this thread may call.
#[derive(Debug)]
pub(crate) struct Callback(ISyncMgrSynchronizeCallback);

impl Callback {
    pub(crate) fn progress(&self, item: ItemId, report: &SYNCMGRPROGRESSITEM) -> Hresult {
        let id = convert::guid(item.as_uuid());
        // SAFETY: the pointers are to what lives until the call returns.
        ours(unsafe { self.0.Progress(&raw const id, report) })
    }

    /// There is nothing to be done about an entry that the manager does not take.
    pub(crate) fn log_error(&self, entry: &LogEntry) {
        let mut text = Vec::new();
        convert::encode(&entry.text, &mut text);
        let info = convert::log_error_info(entry);
        // SAFETY: the pointers are to what lives until the call returns; the text ends with a NUL.
        let _ = unsafe { self.0.LogError(entry.level as u32, text.as_ptr(), &raw const info) };
    }

    /// `None`: all entries.
    pub(crate) fn delete_log_error(&self, id: Option<ErrorId>) {
        let id = id.map_or(GUID_NULL, |id| convert::guid(id.as_uuid()));
        // SAFETY: the pointer is to what lives until the call returns.
        let _ = unsafe { self.0.DeleteLogError(&raw const id, 0) };
    }

    /// Asks whether a dialog may be shown, and tells when it is gone.
    pub(crate) fn with_modal<T>(&self, show: impl FnOnce() -> T) -> Option<T> {
        // SAFETY: there are no pointers.
        let allowed = ours(unsafe { self.0.EnableModeless(BOOL(1)) });
        // `S_FALSE` is a success, and says no.
        if allowed != Hresult::S_OK {
            return None;
        }
        let _shown = Modal(self);
        Some(show())
    }

    /// `None`: the default connection.
    pub(crate) fn establish_connection(&self, connection: Option<&str>) -> Hresult {
        let mut name = Vec::new();
        let name = match connection {
            Some(connection) => {
                convert::encode(connection, &mut name);
                name.as_ptr()
            }
            None => null(),
        };
        // SAFETY: NULL, or text that ends with a NUL and lives until the call returns.
        ours(unsafe { self.0.EstablishConnection(name, 0) })
    }

    pub(crate) fn prepare_for_sync_completed(&self, outcome: Hresult) {
        // SAFETY: there are no pointers.
        let _: HRESULT = unsafe { self.0.PrepareForSyncCompleted(native(outcome)) };
    }

    pub(crate) fn synchronize_completed(&self, outcome: Hresult) {
        // SAFETY: there are no pointers.
        let _: HRESULT = unsafe { self.0.SynchronizeCompleted(native(outcome)) };
    }

    pub(crate) fn show_properties_completed(&self, outcome: Hresult) {
        // SAFETY: there are no pointers.
        let _: HRESULT = unsafe { self.0.ShowPropertiesCompleted(native(outcome)) };
    }

    /// The items count with `S_SYNCMGR_RETRYSYNC` only.
    pub(crate) fn show_error_completed(&self, outcome: Hresult, retry: &[ItemId]) {
        let ids: Vec<_> = retry.iter().map(|item| convert::guid(item.as_uuid())).collect();
        let pointer = if ids.is_empty() { null() } else { ids.as_ptr() };
        // A list of items has far fewer than that.
        let count = u32::try_from(ids.len()).unwrap_or(0);
        // SAFETY: NULL without items; else there are as many as the count says, until the call
        // returns. The manager copies them.
        let _: HRESULT = unsafe { self.0.ShowErrorCompleted(native(outcome), count, pointer) };
    }
}

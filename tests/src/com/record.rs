//! The callback of a native sync manager, which records the calls of a handler and answers them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use syncmgr_com::interfaces::{
    GUID_NULL, ISyncMgrSynchronizeCallback, ISyncMgrSynchronizeCallback_Impl, SYNCMGRLOGERRORINFO,
    SYNCMGRPROGRESSITEM,
};
use syncmgr_host::Hresult;
use windows_core::{BOOL, GUID, HRESULT, implement};

use super::guid;

/// One call that a handler made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The method.
    pub method: &'static str,
    /// The name of the item if the client knows it, otherwise the id.
    pub item: Option<String>,
    /// The other arguments.
    pub arguments: String,
    /// The answer.
    pub answer: Hresult,
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.method)?;
        for part in [self.item.as_deref().unwrap_or_default(), &self.arguments] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        match self.answer {
            Hresult::S_OK => Ok(()),
            other => write!(f, " -> 0x{:08X}", other.0),
        }
    }
}

/// Determines the answer of the client from the method, the name of the item, and the number of
/// calls with both so far, including this one.
pub type Decide = Box<dyn Fn(&str, &str, usize) -> Hresult + Send + Sync>;

/// The answers of the client; `None`: `S_OK` to everything, without recording.
pub type Answer = Option<Decide>;

/// The record of the client.
pub(super) struct Record {
    made: Mutex<Vec<Made>>,
    completions: Mutex<mpsc::Sender<Completion>>,
    names: Vec<String>,
    answer: Answer,
    /// Callback objects that exist.
    alive: AtomicUsize,
}

/// A completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The method.
    pub method: &'static str,
    /// Its result.
    pub outcome: Hresult,
    /// The items to synchronize again.
    pub retry: Vec<GUID>,
}

#[implement(ISyncMgrSynchronizeCallback)]
struct Callback(Arc<Record>);

impl Drop for Callback {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Record {
    /// Returns an empty record, and the callback that fills it.
    pub(super) fn new(
        completions: mpsc::Sender<Completion>,
        names: Vec<String>,
        answer: Answer,
    ) -> (Arc<Self>, ISyncMgrSynchronizeCallback) {
        let record = Arc::new(Self {
            made: Mutex::default(),
            completions: Mutex::new(completions),
            names,
            answer,
            alive: AtomicUsize::new(1),
        });
        let callback = Callback(Arc::clone(&record)).into();
        (record, callback)
    }

    /// Returns whether the callback object exists.
    pub(super) fn callback_is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst) > 0
    }

    pub(super) fn made(&self) -> MutexGuard<'_, Vec<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(
        &self,
        method: &'static str,
        item: Option<GUID>,
        arguments: impl FnOnce() -> String,
    ) -> HRESULT {
        let Some(answer) = &self.answer else { return HRESULT(0) };
        let item = item.map(|id| self.name(id));
        let name = item.clone().unwrap_or_default();
        let mut made = self.made();
        let same = |call: &&Made| call.method == method && call.item == item;
        let nth = made.iter().filter(same).count() + 1;
        let answer = answer(method, &name, nth);
        made.push(Made { method, item, arguments: arguments(), answer });
        HRESULT(answer.0.cast_signed())
    }

    fn name(&self, id: GUID) -> String {
        let known = self.names.iter().find(|name| guid(name) == id);
        known.cloned().unwrap_or_else(|| format!("{id:?}"))
    }

    fn complete(&self, method: &'static str, hr: HRESULT, retry: Vec<GUID>) -> HRESULT {
        let outcome = Hresult(hr.0.cast_unsigned());
        let items = match retry.len() {
            0 => String::new(),
            count => format!(" {count} items"),
        };
        let answer = self.take(method, None, || format!("0x{:08X}{items}", outcome.0));
        let completions = self.completions.lock().unwrap_or_else(PoisonError::into_inner);
        // A client that no longer waits has dropped the receiver.
        let _ = completions.send(Completion { method, outcome, retry });
        answer
    }
}

/// Reads a string from a handler.
///
/// # Safety
/// The pointer refers to UTF-16 text with a terminating NUL.
unsafe fn text(pointer: *const u16) -> String {
    assert!(!pointer.is_null(), "a text is NULL");
    // SAFETY: the caller vouches for it.
    let length = (0..).take_while(|&at| unsafe { *pointer.add(at) } != 0).count();
    // SAFETY: as long as that up to the NUL.
    let units = unsafe { std::slice::from_raw_parts(pointer, length) };
    String::from_utf16(units).unwrap_or_else(|error| panic!("{error}"))
}

impl ISyncMgrSynchronizeCallback_Impl for Callback_Impl {
    unsafe fn ShowPropertiesCompleted(&self, hr: HRESULT) -> HRESULT {
        self.0.complete("ShowPropertiesCompleted", hr, Vec::new())
    }

    unsafe fn PrepareForSyncCompleted(&self, hr: HRESULT) -> HRESULT {
        self.0.complete("PrepareForSyncCompleted", hr, Vec::new())
    }

    unsafe fn SynchronizeCompleted(&self, hr: HRESULT) -> HRESULT {
        self.0.complete("SynchronizeCompleted", hr, Vec::new())
    }

    unsafe fn ShowErrorCompleted(
        &self,
        hr: HRESULT,
        cItems: u32,
        pItemIDs: *const GUID,
    ) -> HRESULT {
        assert_eq!(cItems == 0, pItemIDs.is_null());
        let ids = (0..cItems as usize)
            // SAFETY: the handler says how many there are.
            .map(|at| unsafe { *pItemIDs.add(at) })
            .collect();
        self.0.complete("ShowErrorCompleted", hr, ids)
    }

    unsafe fn EnableModeless(&self, fEnable: BOOL) -> HRESULT {
        self.0.take("EnableModeless", None, || fEnable.0.to_string())
    }

    unsafe fn Progress(
        &self,
        ItemID: *const GUID,
        pSyncProgressItem: *const SYNCMGRPROGRESSITEM,
    ) -> HRESULT {
        // SAFETY: the handler's.
        let (id, item) = unsafe { (*ItemID, *pSyncProgressItem) };
        assert_eq!((item.cbSize, item.mask), (32, 0xF), "all fields count in every report");
        self.0.take("Progress", Some(id), || {
            // SAFETY: its bit is set.
            let words = unsafe { text(item.lpcStatusText) };
            let words = if words.is_empty() { String::new() } else { format!(" {words:?}") };
            format!("status={} {}/{}{words}", item.dwStatusType, item.iProgValue, item.iMaxValue)
        })
    }

    unsafe fn LogError(
        &self,
        dwErrorLevel: u32,
        pszErrorText: *const u16,
        pSyncLogError: *const SYNCMGRLOGERRORINFO,
    ) -> HRESULT {
        // SAFETY: the handler's.
        let (info, words) = unsafe { (*pSyncLogError, text(pszErrorText)) };
        assert_eq!(info.cbSize, 44);
        let item = (info.mask & 4 != 0).then_some(info.ItemID);
        let mut arguments = format!("level={dwErrorLevel} {words:?}");
        if info.mask & 2 != 0 {
            arguments.push_str(&format!(" id={}", self.0.name(info.ErrorID)));
        }
        if info.mask & 1 != 0 {
            arguments.push_str(&format!(" flags={}", info.dwSyncMgrErrorFlags));
        }
        self.0.take("LogError", item, || arguments)
    }

    unsafe fn DeleteLogError(&self, ErrorID: *const GUID, dwReserved: u32) -> HRESULT {
        assert_eq!(dwReserved, 0);
        // SAFETY: the handler's.
        let id = unsafe { *ErrorID };
        let name = if id == GUID_NULL { "all".to_owned() } else { self.0.name(id) };
        self.0.take("DeleteLogError", None, || name)
    }

    unsafe fn EstablishConnection(&self, pwszConnection: *const u16, dwReserved: u32) -> HRESULT {
        assert_eq!(dwReserved, 0);
        let name = match pwszConnection.is_null() {
            true => "default".to_owned(),
            // SAFETY: not NULL.
            false => unsafe { text(pwszConnection) },
        };
        self.0.take("EstablishConnection", None, || name)
    }
}

/// Answers `S_OK` to everything.
pub fn agree() -> Answer {
    Some(Box::new(|_, _, _| Hresult::S_OK))
}

/// Answers `S_OK` to everything, and records nothing.
pub fn agree_quietly() -> Answer {
    None
}

/// Answers one call with another result.
pub fn answer(method: &'static str, item: &'static str, nth: usize, answer: Hresult) -> Answer {
    Some(Box::new(move |called, about, count| {
        match called == method && about == item && count == nth {
            true => answer,
            false => Hresult::S_OK,
        }
    }))
}

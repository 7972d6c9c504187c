//! A native sync manager: drives a handler through its vtable, as a C program does.

#![allow(non_snake_case, reason = "parameters have their native names")]
#![allow(unsafe_code, reason = "COM methods are called through pointers")]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "what a C program would do")]

use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use syncmgr_com::handler::{self, Class};
use syncmgr_com::interfaces::{
    GUID_NULL, ISyncMgrEnumItems, ISyncMgrSynchronize, ISyncMgrSynchronizeCallback,
    ISyncMgrSynchronizeCallback_Impl, SYNCMGRITEM, SYNCMGRLOGERRORINFO, SYNCMGRPROGRESSITEM,
};
use syncmgr_com::user_interface::{Silent, UserInterface};
use syncmgr_host::{Hresult, Plugin, SessionOptions};
use windows_core::{BOOL, GUID, HRESULT, Interface, implement};

use crate::script;

/// The time limit for an operation that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

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
struct Book {
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
struct Callback(Arc<Book>);

impl Drop for Callback {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Book {
    fn made(&self) -> MutexGuard<'_, Vec<Made>> {
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

/// Returns the id of the script plugin's item of this name.
pub fn guid(name: &str) -> GUID {
    GUID::from_u128(script::item(name).as_uuid().as_u128())
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

/// A client with a handler.
pub struct Client {
    /// The handler, until it is released.
    pub handler: Option<ISyncMgrSynchronize>,
    callback: Option<ISyncMgrSynchronizeCallback>,
    book: Arc<Book>,
    completions: mpsc::Receiver<Completion>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Returns a class whose sessions have these options.
pub fn class(
    plugin: Plugin,
    options: SessionOptions,
    interface: impl UserInterface + 'static,
) -> Arc<Class> {
    Arc::new(Class {
        plugin,
        options: Box::new(move || Ok(options.clone())),
        interface: Arc::new(interface),
        report: None,
    })
}

impl Client {
    /// Returns a client for a handler of the script plugin with items of these names.
    pub fn new(options: SessionOptions, names: &str, answer: Answer) -> Self {
        let class = class(script::plugin(), options.setting("items", names), Silent);
        Self::with(handler::create(class), names, answer)
    }

    /// Creates a client for any handler.
    pub fn with(handler: ISyncMgrSynchronize, names: &str, answer: Answer) -> Self {
        let (completions, completed) = mpsc::channel();
        let book = Arc::new(Book {
            made: Mutex::default(),
            completions: Mutex::new(completions),
            names: names.split_whitespace().map(str::to_owned).collect(),
            answer,
            alive: AtomicUsize::new(1),
        });
        let callback = Callback(Arc::clone(&book)).into();
        Self { handler: Some(handler), callback: Some(callback), book, completions: completed }
    }

    /// Returns the handler.
    ///
    /// # Panics
    /// Panics after its release.
    pub fn handler(&self) -> &ISyncMgrSynchronize {
        self.handler.as_ref().unwrap_or_else(|| panic!("the handler was released"))
    }

    /// Sends this number of reports to the callback, as a native handler would.
    ///
    /// # Panics
    /// Panics if the callback was removed, or if it does not answer `S_OK`.
    pub fn report(&self, times: u32) {
        let callback = self.callback.as_ref().unwrap_or_else(|| panic!("there is a callback"));
        let id = guid("a");
        for value in 0..times {
            let item = SYNCMGRPROGRESSITEM {
                cbSize: 32,
                mask: 0xF,
                lpcStatusText: [0_u16].as_ptr(),
                dwStatusType: 3,
                iProgValue: value.cast_signed(),
                iMaxValue: 0,
            };
            // SAFETY: both are there for as long as the call takes.
            let answer = unsafe { callback.Progress(&raw const id, &raw const item) };
            assert_eq!(answer, HRESULT(0));
        }
    }

    /// `Initialize`, without a cookie.
    pub fn initialize(&self, flags: u32) -> Hresult {
        // SAFETY: there is no cookie.
        ours(unsafe { self.handler().Initialize(0, flags, 0, null()) })
    }

    /// `Initialize` and `SetProgressCallback`, which must succeed.
    ///
    /// # Panics
    /// Panics if one of them fails.
    pub fn begin(&self, flags: u32) {
        assert_eq!(self.initialize(flags), Hresult::S_OK);
        assert_eq!(self.set_callback(), Hresult::S_OK);
    }

    /// `SetProgressCallback` with the callback of the client.
    ///
    /// # Panics
    /// Panics after [`Client::forget_callback`].
    pub fn set_callback(&self) -> Hresult {
        let callback = self.callback.as_ref().unwrap_or_else(|| panic!("it was forgotten"));
        // SAFETY: the callback is alive.
        ours(unsafe { self.handler().SetProgressCallback(callback.as_raw()) })
    }

    /// `SetProgressCallback` with NULL.
    pub fn clear_callback(&self) -> Hresult {
        // SAFETY: NULL is allowed.
        ours(unsafe { self.handler().SetProgressCallback(null_mut()) })
    }

    /// `PrepareForSync`.
    pub fn prepare(&self, ids: &[GUID]) -> Hresult {
        let count = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        // SAFETY: there are as many ids as are said.
        ours(unsafe { self.handler().PrepareForSync(count, ids.as_ptr(), null_mut(), 0) })
    }

    /// `PrepareForSync` for items of the script plugin.
    pub fn prepare_named(&self, names: &str) -> Hresult {
        let ids: Vec<_> = names.split_whitespace().map(guid).collect();
        self.prepare(&ids)
    }

    /// `Synchronize`.
    pub fn synchronize(&self) -> Hresult {
        // SAFETY: there is no window.
        ours(unsafe { self.handler().Synchronize(null_mut()) })
    }

    /// `SetItemStatus`.
    pub fn set_item_status(&self, id: GUID, status: u32) -> Hresult {
        // SAFETY: the id lives until the call returns.
        ours(unsafe { self.handler().SetItemStatus(&raw const id, status) })
    }

    /// `ShowError`.
    pub fn show_error(&self, id: GUID) -> Hresult {
        // SAFETY: the id lives until the call returns.
        ours(unsafe { self.handler().ShowError(null_mut(), &raw const id) })
    }

    /// `ShowProperties`.
    pub fn show_properties(&self, id: GUID) -> Hresult {
        // SAFETY: the id lives until the call returns.
        ours(unsafe { self.handler().ShowProperties(null_mut(), &raw const id) })
    }

    /// Waits for the completion of a method.
    ///
    /// # Errors
    /// Returns an error for another completion, or for none.
    pub fn completed(&self, method: &str) -> Result<Completion> {
        let completion = self.completions.recv_timeout(PATIENCE);
        let completion = completion.with_context(|| format!("there is no {method}"))?;
        match completion.method == method {
            true => Ok(completion),
            false => bail!("{completion:?} completed instead of {method}"),
        }
    }

    /// Returns whether no method completes for a moment.
    pub fn nothing_completes(&self) -> bool {
        self.completions.recv_timeout(Duration::from_millis(100)).is_err()
    }

    /// Calls the methods from `Initialize` to `SynchronizeCompleted` as a manager does, and returns
    /// the result of the latter.
    ///
    /// # Errors
    /// Returns an error if a step is rejected.
    pub fn run(&self, flags: u32, names: &str) -> Result<Hresult> {
        for (step, answer) in
            [("Initialize", self.initialize(flags)), ("SetProgressCallback", self.set_callback())]
        {
            if answer != Hresult::S_OK {
                bail!("{step}: {answer}");
            }
        }
        self.prepare_and_synchronize(names)
    }

    /// Makes the calls that are repeated for a retry.
    ///
    /// # Errors
    /// Returns an error if a step is rejected.
    pub fn prepare_and_synchronize(&self, names: &str) -> Result<Hresult> {
        let prepared = self.prepare_named(names);
        if prepared != Hresult::S_OK {
            bail!("PrepareForSync: {prepared}");
        }
        let prepared = self.completed("PrepareForSyncCompleted")?.outcome;
        if prepared != Hresult::S_OK {
            return Ok(prepared);
        }
        let synchronized = self.synchronize();
        if synchronized != Hresult::S_OK {
            bail!("Synchronize: {synchronized}");
        }
        Ok(self.completed("SynchronizeCompleted")?.outcome)
    }

    /// Returns the calls of the handler so far.
    pub fn made(&self) -> Vec<Made> {
        self.book.made().clone()
    }

    /// Returns the calls as text, without the log of the script plugin.
    pub fn log(&self) -> Vec<String> {
        let said =
            |made: &&Made| made.method == "LogError" && made.arguments.starts_with("level=1");
        self.made().iter().filter(|made| !said(made)).map(ToString::to_string).collect()
    }

    /// Returns the items that the handler lists, and its answer.
    ///
    /// # Errors
    /// Returns the error of the enumeration.
    pub fn items(&self) -> Result<(Hresult, Vec<SYNCMGRITEM>)> {
        let (enumerated, items) = self.enumerate()?;
        let mut found = Vec::new();
        loop {
            match next_one(&items) {
                (Hresult::S_OK, Some(item)) => found.push(item),
                (Hresult::S_FALSE, None) => return Ok((enumerated, found)),
                (other, _) => bail!("Next: {other}"),
            }
        }
    }

    /// Returns the enumerator of the handler, and its answer.
    ///
    /// # Errors
    /// Returns the error of the call.
    pub fn enumerate(&self) -> Result<(Hresult, ISyncMgrEnumItems)> {
        let mut pointer = null_mut();
        // SAFETY: there is a place for the pointer.
        let answer = ours(unsafe { self.handler().EnumSyncMgrItems(&raw mut pointer) });
        if !answer.is_success() {
            assert!(pointer.is_null());
            bail!("EnumSyncMgrItems: {answer}");
        }
        // SAFETY: what the handler gave out as such.
        Ok((answer, unsafe { ISyncMgrEnumItems::from_raw(pointer) }))
    }

    /// Releases the handler.
    pub fn release(&mut self) {
        self.handler = None;
    }

    /// Releases the callback, as an exiting manager does.
    pub fn forget_callback(&mut self) {
        self.callback = None;
    }

    /// Returns whether the callback object is released within a short time.
    pub fn callback_is_gone(&self) -> bool {
        let since = std::time::Instant::now();
        while self.book.alive.load(Ordering::SeqCst) > 0 {
            if since.elapsed() > PATIENCE {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

/// Calls `Next` for one item.
pub fn next_one(items: &ISyncMgrEnumItems) -> (Hresult, Option<SYNCMGRITEM>) {
    // SAFETY: zeros are a value of plain data.
    let mut item: SYNCMGRITEM = unsafe { std::mem::zeroed() };
    let mut fetched = 7;
    // SAFETY: there is room for one.
    let answer = ours(unsafe { items.Next(1, &raw mut item, &raw mut fetched) });
    (answer, (fetched == 1).then_some(item))
}

/// Converts a result to the type of the host.
pub fn ours(hresult: HRESULT) -> Hresult {
    Hresult(hresult.0.cast_unsigned())
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

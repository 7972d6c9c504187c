//! A native sync manager: drives a handler through its vtable, as a C program does.

#![allow(non_snake_case, reason = "parameters have their native names")]
#![allow(unsafe_code, reason = "COM methods are called through pointers")]
#![allow(clippy::multiple_unsafe_ops_per_block, reason = "what a C program would do")]

mod record;

use std::ptr::{null, null_mut};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use syncmgr_com::handler::{self, Class};
use syncmgr_com::interfaces::{
    ISyncMgrEnumItems, ISyncMgrSynchronize, ISyncMgrSynchronizeCallback, SYNCMGRITEM,
    SYNCMGRPROGRESSITEM,
};
use syncmgr_com::user_interface::{Silent, UserInterface};
use syncmgr_host::{Hresult, Plugin, SessionOptions};
use windows_core::{GUID, HRESULT, Interface};

pub use record::{Answer, Completion, Decide, Made, agree, agree_quietly, answer};

use crate::script;
use record::Record;

/// The time limit for an operation that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns the id of the script plugin's item of this name.
pub fn guid(name: &str) -> GUID {
    GUID::from_u128(script::item(name).as_uuid().as_u128())
}

/// A client with a handler.
pub struct Client {
    /// The handler, until it is released.
    pub handler: Option<ISyncMgrSynchronize>,
    callback: Option<ISyncMgrSynchronizeCallback>,
    record: Arc<Record>,
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
        let names = names.split_whitespace().map(str::to_owned).collect();
        let (record, callback) = Record::new(completions, names, answer);
        Self { handler: Some(handler), callback: Some(callback), record, completions: completed }
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
        self.record.made().clone()
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
        while self.record.callback_is_alive() {
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

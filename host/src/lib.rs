//! Run sync handlers that are WebAssembly components, as Windows' Synchronization Manager would,
//! on every system.
//!
//! A plugin runs in a sandbox: it gets the directories, the storage and the settings that
//! [`SessionOptions`] name, and nothing else. The host plays the sync manager. It makes the calls
//! of `ISyncMgrSynchronize`, and a [`Sink`](sink::Sink) answers those of
//! `ISyncMgrSynchronizeCallback`. This program runs one plugin and cancels an item from another
//! thread:
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::mpsc;
//! use std::thread;
//! use std::time::Duration;
//!
//! use syncmgr_host::sink::{Progress, Sink};
//! use syncmgr_host::{Access, Grant, Host, ItemId, ProgressResponse, RunRequest, SessionOptions};
//!
//! /// Shows what goes on, and tells another thread which item it is about.
//! struct Console(mpsc::Sender<ItemId>);
//!
//! impl Sink for Console {
//!     fn progress(&mut self, progress: &Progress<'_>) -> ProgressResponse {
//!         // Text from a plugin must be escaped before it is shown: `{:?}` does that.
//!         println!("{:?}", progress.current.status_text);
//!         // After a cancellation nobody listens any more.
//!         let _ = self.0.send(progress.item);
//!         ProgressResponse::Continue
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let plugin = Host::new()?.load_file(Path::new("folder.wasm"))?;
//!     std::fs::create_dir_all("state")?;
//!     let options = SessionOptions::new()
//!         .grant(Grant::new("left", Path::new("docs"), Access::ReadWrite)?)
//!         .grant(Grant::new("right", Path::new("backup"), Access::ReadWrite)?)
//!         .storage("state");
//!     let (items, reported) = mpsc::channel();
//!     let mut session = plugin.start_blocking(options, Console(items))?;
//!
//!     // The handle works from any thread. This one gives the first item a minute.
//!     let cancel = session.cancel_handle();
//!     thread::spawn(move || {
//!         if let Ok(item) = reported.recv() {
//!             thread::sleep(Duration::from_secs(60));
//!             cancel.cancel_item(item);
//!         }
//!     });
//!
//!     let report = session.run_blocking(&RunRequest::default())?;
//!     for item in &report.items {
//!         println!("{:?}: {}", item.name, item.hresult());
//!     }
//!     println!("{}, {} warnings", report.outcome.name(), report.warnings);
//!     Ok(())
//! }
//! ```
//!
//! The calls of a run can also be made one by one, with the methods of [`Session`]. They are
//! asynchronous: [`Session::block_on`] drives them where there is no runtime.
//!
//! The modules, in reading order:
//!
//! - `event`, `id`: plain data, such as [`Item`], [`ProgressItem`] and [`LogEntry`]. It knows
//!   neither WIT nor COM.
//! - [`hresult`]: what each outcome is natively. Total functions.
//! - `error`: why something failed, one enumeration for each concern, with a stable code and the
//!   remedy in the message.
//! - [`sink`]: where a plugin's callbacks go.
//! - `grants`, `limits`: what a session gets. [`Grant`] and [`Limits`].
//! - `contract`: [`Description`], which tells whether a file fits without running any of it.
//! - `host`, `plugin`: [`Host`] compiles a [`Plugin`], and that starts sessions.
//! - `session`, `run`: [`Session`], one run call by call, and [`Session::run`], all calls of an
//!   ordinary run.
//! - `cancel`: [`CancelHandle`], from any thread.
//! - `report`: [`Report`], how it ended.
//! - Inside: `bindings` is generated from the WIT, `convert` bounds what a plugin gives, `state`,
//!   `ledger` and `output` are what a session holds, and `callback` and `directories` are what a
//!   plugin imports.

#![deny(missing_docs)]

mod bindings;
mod callback;
mod cancel;
mod contract;
mod convert;
mod directories;
mod error;
mod event;
mod grants;
mod host;
pub mod hresult;
mod id;
mod ledger;
mod limits;
mod output;
mod plugin;
mod report;
mod run;
mod session;
pub mod sink;
mod state;

pub use cancel::CancelHandle;
pub use contract::{Ask, CONTRACT_VERSION, Description, offered_interfaces};
pub use error::{
    Call, ContractError, GrantError, HostError, LoadError, SessionError, StartError, StopReason,
};
pub use event::{
    ErrorDetail, HandlerInfo, Item, ItemList, LogEntry, LogLevel, Participation, PrepareOutcome,
    ProgressItem, ProgressResponse, PropertiesOutcome, Property, PropertyField, PropertyValue,
    Question, Status, SyncEvent, Trigger,
};
pub use grants::{Access, Grant};
pub use host::{Host, TICK};
pub use hresult::{ErrorCode, Hresult};
pub use id::{ErrorId, ItemId};
pub use limits::Limits;
pub use plugin::{Plugin, SessionOptions};
pub use report::{ItemReport, Outcome, Report, Totals};
pub use run::{RunRequest, Selection};
pub use session::Session;
pub use state::HostCallHook;

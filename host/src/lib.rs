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
#![doc = include_str!("../examples/embed.rs")]
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
//! - `requests`, `http`: what a plugin asks for, and which servers it may talk to.
//! - `host`, `plugin`: [`Host`] compiles a [`Plugin`], and that starts sessions.
//! - `session`, `run`: [`Session`], one run call by call, and [`Session::run`], all calls of an
//!   ordinary run.
//! - `cancel`: [`CancelHandle`], from any thread.
//! - `report`: [`Report`], how it ended.
//! - [`text`]: finds characters that must not reach a terminal.
//! - Inside: `bindings` is generated from the WIT, `convert` bounds what a plugin gives, `state`,
//!   `ledger` and `output` are what a session holds, and `callback` and `directories` are what a
//!   plugin imports.

#![deny(missing_docs)]

mod allocation;
mod bindings;
mod callback;
mod cancel;
mod clock;
#[cfg(feature = "compiler")]
mod compile_threads;
#[cfg(feature = "compiler")]
mod compiler;
mod complexity;
mod component_file;
mod contract;
mod convert;
mod denied;
mod device_names;
mod directories;
mod error;
mod event;
mod features;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod host;
pub mod hresult;
pub mod http;
mod id;
mod journal;
mod ledger;
mod limits;
mod manager;
mod output;
mod plugin;
mod precompiled;
mod progress;
mod report;
pub mod requests;
mod run;
mod secrets;
mod session;
mod session_thread;
pub mod sink;
mod state;
mod storage;
mod supervise;
pub mod text;
mod ticker;
mod wasi_files;
mod watch;

pub use allocation::Allocation;
pub use cancel::CancelHandle;
#[cfg(feature = "compiler")]
pub use compiler::{CompilerProgram, compile_for_host};
pub use component_file::read_component;
pub use contract::{CONTRACT_VERSION, Description, offered_interfaces};
pub use error::{
    Call, ContractError, Denial, GrantError, HostError, LoadError, PrecompiledError, SessionError,
    StartError, StopReason,
};
pub use event::{
    ErrorDetail, HandlerInfo, Item, ItemList, LogEntry, LogLevel, Participation, PrepareOutcome,
    ProgressItem, ProgressResponse, PropertiesOutcome, Property, PropertyField, PropertyValue,
    Question, Status, SyncEvent, Trigger,
};
pub use grants::{Access, Capability, Grant};
pub use host::{Host, HostOptions};
pub use hresult::{ErrorCode, Hresult};
pub use id::{ErrorId, ItemId};
pub use limits::{LimitError, LimitRow, Limits, LoadLimits, Unit};
pub use manager::Manager;
pub use output::{OutputHook, OutputStream};
pub use plugin::{Plugin, SessionOptions, Unrequested};
pub use report::{ItemReport, Outcome, Report, Totals};
pub use requests::Requests;
pub use run::{OnDeath, RunRequest, Selection};
pub use session::Session;
pub use session_thread::SessionThread;
pub use state::HostCallHook;
pub use ticker::TICK;

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
//! The calls of a run can also be made one by one, with the methods of [`Session`]: on a Tokio
//! runtime of one's own ([`Plugin::start`]), or on a thread that can be abandoned
//! ([`SessionThread`]).
//!
//! The modules, in reading order:
//!
//! - `types`, `id`: plain data, such as [`Item`], [`ProgressItem`] and [`LogEntry`]. It knows
//!   neither WIT nor COM.
//! - `error`, [`hresult`]: every outcome, with a stable code, and its HRESULT. Total functions.
//! - `cancel`, `limits`: [`CancelHandle`] and [`Limits`]; inside, what monitors a session.
//! - [`sink`], `report`: where a plugin's callbacks go, and [`RunReport`], how a run ended.
//! - `grants`, `component`, `http`: what a session gets, and what a component requests, found out
//!   without running it.
//! - `fs`, `storage`: files, and the quota of the plugin's own storage. Knows neither WIT nor wasmtime.
//! - `bindings` is generated from the WIT; `convert` bounds everything that a plugin passes.
//! - `sync_manager`: [`SyncManager`] records what a handler reports and passes it on to the sink.
//! - `state`, `imports`: what belongs to one session, and the functions that a plugin imports.
//! - `session`, `sandbox`: [`Session`], one run call by call; [`Plugin::run`], all calls of a run.
//! - `host`, `plugin`: [`Host`] compiles a [`Plugin`], and that starts sessions.
//! - [`text`]: finds characters that must not reach a terminal.

#![deny(missing_docs)]

mod bindings;
mod cancel;
#[cfg(feature = "compiler")]
mod compiler;
mod component;
mod convert;
mod engine;
mod error;
mod fs;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod host;
pub mod hresult;
pub mod http;
mod id;
mod imports;
mod limits;
mod output;
mod plugin;
mod redact;
mod report;
mod sandbox;
mod session;
mod session_options;
pub mod sink;
mod state;
mod storage;
mod sync_manager;
pub mod text;
mod types;

pub use cancel::CancelHandle;
#[cfg(feature = "compiler")]
pub use compiler::{CompilerProgram, compile_for_host};
pub use component::description::{CONTRACT_VERSION, Description, offered_interfaces};
pub use component::file::read_component;
pub use component::requests::{self, Requests};
pub use error::{
    Call, ContractError, Denial, GrantError, HostError, LoadError, PrecompiledError, SessionError,
    StartError, StopReason,
};
pub use grants::{Access, Capability, Grant};
pub use host::{Host, HostOptions};
pub use hresult::Hresult;
pub use id::{ErrorId, ItemId};
pub use limits::allocation::Allocation;
pub use limits::ticker::TICK;
pub use limits::{LimitError, LimitRow, Limits, LoadLimits, Unit};
pub use output::{OutputHook, OutputStream};
pub use plugin::Plugin;
pub use report::{ItemReport, Outcome, RunReport, Totals};
pub use session::Session;
pub use session::run::{RestartPolicy, RunRequest, Selection};
pub use session::thread::SessionThread;
pub use session_options::{ExcessGrant, SessionOptions};
pub use state::HostCallHook;
pub use sync_manager::SyncManager;
pub use types::{
    ErrorCode, ErrorDetail, HandlerInfo, Item, ItemList, LogEntry, LogLevel, Participation,
    PrepareOutcome, ProgressItem, ProgressResponse, PropertiesOutcome, Property, PropertyField,
    PropertyValue, Question, Status, SyncEvent, Trigger,
};

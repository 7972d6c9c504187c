//! Runs sync handlers that are WebAssembly components on every system, as Windows' Synchronization
//! Manager would.
//!
//! A plugin runs in a sandbox: it has access to the directories, the storage and the settings in
//! its [`SessionOptions`], and nothing else. The host acts as the sync manager. It makes the calls
//! of `ISyncMgrSynchronize`, and a [`Sink`](sink::Sink) answers those of
//! `ISyncMgrSynchronizeCallback`. This program runs one plugin and cancels an item from another
//! thread:
//!
//! ```no_run
#![doc = include_str!("../examples/embed.rs")]
//! ```
//!
//! The calls of a run can also be made individually, with the methods of [`Session`]: on the
//! embedder's Tokio runtime ([`Plugin::start`]), or on a thread that can be abandoned
//! ([`SessionThread`]).
//!
//! A program that has its own WebAssembly engine, linker and stores uses [`HostOptions::engine`],
//! [`add_to_linker`] and [`Plugin::start_in`]. Events such as crashes and restarts are emitted with
//! [`tracing`].
//!
//! Types that may grow are `#[non_exhaustive]`. Types that mirror a closed set of the contract or
//! of `mobsync.h`, such as [`Status`], and plain data that embedders construct, such as [`Item`],
//! are not, because they change only with the contract.
//!
//! The modules, in reading order:
//!
//! - `types`, `id`: plain data, such as [`Item`], [`ProgressItem`] and [`LogEntry`]. They
//!   depend on neither WIT nor COM.
//! - `error`, [`hresult`]: errors with stable codes, and the HRESULT of every outcome.
//! - `cancel`, `limits`: [`CancelHandle`] and [`Limits`], and the monitor of a session.
//! - [`sink`], `report`: the receivers of a plugin's callbacks, and the [`RunReport`] of a run.
//! - `grants`, `component`, `http`: the grants of a session, and the requests of a component, which
//!   are read without running it.
//! - `fs`, `storage`: files, and the quota of the plugin's storage. Independent of WIT and
//!   wasmtime. [`files`]: for programs that change files without a plugin.
//! - `bindings` is generated from the WIT; `convert` bounds all data from a plugin.
//! - `sync_manager`: [`SyncManager`] records the reports of a handler and forwards them to the
//!   sink.
//! - `state`, `imports`: the state of a session, and the functions that a plugin imports.
//! - `session`, `sandbox`: [`Session`], one run call by call; [`Plugin::run`], all calls of a run.
//! - `host`, `plugin`: [`Host`] compiles a [`Plugin`], which starts sessions.
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
pub mod files;
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
    Call, ContractError, Denial, ErrorKind, GrantError, HostError, LoadError, PrecompiledError,
    SessionError, StartError, TerminationReason, full_message,
};
pub use grants::{Access, Capability, Grant};
pub use host::{Host, HostOptions};
pub use hresult::Hresult;
pub use id::{ErrorId, ItemId};
pub use imports::linker::add_to_linker;
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
pub use state::{HostCallHook, SyncMgrCtx, SyncMgrView};
pub use sync_manager::SyncManager;
pub use types::{
    Action, ActionKind, ErrorCode, ErrorDetail, HandlerInfo, Item, ItemList, LogEntry, LogLevel,
    Participation, PrepareOutcome, ProgressItem, ProgressResponse, PropertiesOutcome, Property,
    PropertyField, PropertyValue, Question, Status, SyncEvent, Trigger,
};

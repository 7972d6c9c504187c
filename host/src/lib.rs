//! Run sync handlers that are WebAssembly components, as Windows' Synchronization Manager would,
//! on every system.

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
pub use error::{Call, ContractError, GrantError, HostError, LoadError, SessionError, StartError, StopReason};
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

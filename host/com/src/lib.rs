//! Sync plugins as native handlers: a COM server for Windows' Synchronization Manager.
//!
//! Each installed plugin has a class. Its objects implement `ISyncMgrSynchronize`; a session of the
//! plugin does the work and reports to the manager's `ISyncMgrSynchronizeCallback`. In the opposite
//! direction, [`native`] drives a native handler as a manager would.
//!
//! Everything except registration and the exported functions works on every system, through the
//! vtables.
//!
//! The modules, in reading order:
//!
//! - [`interfaces`]: the declarations of `mobsync.h`.
//! - `convert`: conversions between the host's data and native structures.
//! - `guard`, `object`, `task_memory`, `event`, `oneshot`, `apartment`, `global_table`: COM's
//!   requirements on objects.
//! - `callback`, `callback_sink`: the manager's callback, and the sink that forwards to it.
//! - [`user_interface`] shows dialogs.
//! - `handler_thread`, `run_state`, [`handler`]: the handler object. `cursor`, `item_enumerator`,
//!   [`factory`]: its helpers.
//! - [`collection`], [`string_enumerator`]: the list of a user's handlers for Sync Center.
//! - `registry`, `exports`: registration and exported functions, on Windows.
//! - `manager_callback`, [`native`]: the sync manager's role, for native handlers.

#![deny(missing_docs)]
#![allow(non_snake_case, reason = "parameters have their native names")]

mod apartment;
mod callback;
mod callback_sink;
pub mod collection;
mod convert;
mod cursor;
mod event;
#[cfg(windows)]
mod exports;
pub mod factory;
#[cfg(windows)]
mod global_table;
mod guard;
pub mod handler;
mod handler_thread;
pub mod interfaces;
mod item_enumerator;
mod manager_callback;
pub mod native;
mod object;
mod oneshot;
#[cfg(windows)]
pub mod registry;
mod run_state;
pub mod string_enumerator;
pub mod task_memory;
pub mod user_interface;

pub use object::count as object_count;

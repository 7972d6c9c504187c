//! Write sync handlers for Windows' Synchronization Manager, and for every other system, as
//! WebAssembly components.
//!
//! A plugin is a type that implements [`Plugin`], and one line that exports it:
//!
//! ```no_run
//! //! The smallest plugin that does something, as shown in the README.
//!
//! use syncmgr_plugin::prelude::*;
//!
//! #[derive(Default)]
//! struct Hello;
//!
//! impl Plugin for Hello {
//!     fn handler_info(&self) -> Result<HandlerInfo> {
//!         Ok(HandlerInfo::new("Hello"))
//!     }
//!     fn items(&mut self) -> Result<ItemList> {
//!         Ok([Item::new(ItemId::from_name("greeting"), "Greeting")].into())
//!     }
//!     fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
//!         (1..=10).try_for_each(|step| context.report().value(step).max(10).text("Hello").send())
//!     }
//! }
//!
//! export!(Hello);
//! # fn main() {}
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2` from a crate whose type is
//! `cdylib`, and run it with `syncmgr run target/wasm32-wasip2/release/NAME.wasm`.
//!
//! A plugin handles cancellation with `?`: every report to the sync manager returns an error once
//! the user cancelled the item ([`Interrupt::Item`]) or the run ([`Interrupt::All`]), and the
//! result of [`Plugin::synchronize_item`] decides the terminal status of the item.
//!
//! In reading order: [`Plugin`], [`SyncContext`] for reports, [`Item`] and [`HandlerInfo`],
//! [`Error`] and [`Interrupt`], [`callback`], [`settings`], [`directories`] for files, [`http`] for
//! servers, and `testing` to run a plugin in `cargo test`. [`prelude`] has the names that most plugins use.

#![deny(missing_docs)]

#[doc(hidden)]
#[allow(missing_docs, unsafe_code, unreachable_pub, reason = "wit-bindgen output")]
#[allow(clippy::all, clippy::pedantic, clippy::restriction, reason = "wit-bindgen output")]
#[rustfmt::skip]
pub mod bindings;
pub mod callback;
pub mod directories;
mod error;
#[doc(hidden)]
#[allow(missing_docs, reason = "for the code that `export!` generates")]
pub mod glue;
mod guid;
pub mod http;
mod imports;
mod item;
#[cfg(not(target_family = "wasm"))]
mod native;
mod plugin;
pub mod prelude;
mod requests;
pub mod settings;
mod sync_context;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use error::{Error, ErrorCode, ErrorDetail, Interrupt, Result};
pub use guid::{ErrorId, ItemId};
pub use item::{
    HandlerFlags, HandlerInfo, Item, ItemFlags, ItemList, ItemState, SyncEvent, SyncModifiers,
    Trigger,
};
pub use plugin::{
    Participation, Plugin, PrepareOutcome, PropertiesOutcome, Property, PropertyChange,
    PropertyChoice, PropertyField, PropertyValue,
};
pub use sync_context::{
    Action, ActionKind, LogLevel, Pollable, ProgressBuilder, Status, SyncContext, UserQuestion,
};
pub use uuid::Uuid;

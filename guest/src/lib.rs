//! Write sync handlers for Windows' Synchronization Manager, and for every other system, as
//! WebAssembly components.
//!
//! A plugin is a type that implements [`Plugin`], and one line that exports it:
//!
//! ```no_run
#![doc = include_str!("../plugins/hello/src/lib.rs")]
//! # fn main() {}
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2` from a crate whose type is
//! `cdylib`, and run it with `syncmgr run target/wasm32-wasip2/release/NAME.wasm`.
//!
//! Cancellation is `?`: every report to the sync manager returns an error once the user
//! cancelled the item ([`Stop::Item`]) or everything ([`Stop::All`]), and whatever
//! [`Plugin::synchronize_item`] returns decides the item's last status.
//!
//! In reading order: [`Plugin`], [`ItemRun`] for reports, [`Item`] and [`HandlerInfo`],
//! [`Error`] and [`Stop`], [`callback`], [`settings`], [`directories`] for files, and `testing` for running it all
//! in `cargo test`.

#![deny(missing_docs)]

#[doc(hidden)]
#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, reason = "wit-bindgen output")]
pub mod bindings;
pub mod callback;
pub mod directories;
mod error;
#[doc(hidden)]
#[allow(missing_docs, reason = "for the code that `export!` writes")]
pub mod glue;
mod guid;
mod imports;
mod item;
mod plugin;
mod requests;
mod run;
pub mod settings;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use error::{Error, ErrorCode, Result, Stop};
pub use guid::{ErrorId, ItemId};
pub use item::{
    HandlerFlags, HandlerInfo, Item, ItemFlags, ItemList, ItemState, SyncEvent, SyncModifiers,
    Trigger,
};
pub use plugin::{
    ErrorDetail, Participation, Plugin, PrepareOutcome, PropertiesOutcome, Property,
    PropertyChange, PropertyChoice, PropertyField, PropertyValue,
};
pub use run::{ItemRun, LogLevel, Pollable, Report, Status, UserQuestion};
pub use uuid::Uuid;

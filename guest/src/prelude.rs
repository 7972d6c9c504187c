//! The names that most plugins use: `use syncmgr_plugin::prelude::*;`.
//!
//! [`Result`] replaces the standard one; a second type parameter names another error.

pub use crate::directories::{self, Directory, EntryKind, EntryMetadata, File};
pub use crate::{
    Action, ActionKind, Error, ErrorCode, ErrorDetail, ErrorId, HandlerFlags, HandlerInfo,
    Interrupt, Item, ItemFlags, ItemId, ItemList, ItemState, LogLevel, Participation, Plugin,
    PrepareOutcome, PropertiesOutcome, Property, PropertyChange, PropertyChoice, PropertyField,
    PropertyValue, Result, Status, SyncContext, SyncEvent, SyncModifiers, Trigger, Uuid, callback,
    export, http, request, settings,
};

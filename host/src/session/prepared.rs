//! A session before its plugin is instantiated.

use std::sync::Arc;

use wasmtime::Store;

use crate::bindings::HandlerPre;
use crate::fs::locks::Locks;
use crate::limits::monitor::Monitor;
use crate::output::OutputTail;
use crate::state::{Parked, State};

/// A session that is ready to be instantiated.
pub(crate) struct Prepared {
    pub(crate) plugin: Arc<str>,
    pub(crate) pre: HandlerPre<State>,
    pub(crate) store: Store<State>,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) parked: Parked,
    pub(crate) locks: Locks,
    pub(crate) stderr: OutputTail,
    pub(crate) max_items: u64,
}

//! A session before its plugin is instantiated.

use wasmtime::Store;

use crate::bindings::HandlerPre;
use crate::state::{SyncMgrCtx, SyncMgrView};

/// A session that is ready to be instantiated.
pub(crate) struct Prepared<T: SyncMgrView = SyncMgrCtx> {
    pub(crate) pre: HandlerPre<T>,
    pub(crate) store: Store<T>,
}

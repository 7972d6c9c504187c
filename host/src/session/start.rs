//! Starts sessions, in a new store or in one of the embedder.

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Engine, Store};

use super::Session;
use super::prepared::Prepared;
use crate::error::{SessionError, StartError};
use crate::plugin::Plugin;
use crate::sandbox;
use crate::session_options::SessionOptions;
use crate::sink::Sink;
use crate::state::{SyncMgrCtx, SyncMgrView};

impl Plugin {
    /// Starts a session: one run of the handler, in a new instance. [`Plugin::run`] does a whole
    /// run.
    ///
    /// A session's file access blocks, so drive each session on a separate thread, in a Tokio
    /// runtime.
    ///
    /// # Errors
    /// Returns a [`StartError`]. A failure during instantiation is attributed to `initialize`.
    pub async fn start(
        &self,
        options: SessionOptions,
        sink: impl Sink + 'static,
    ) -> Result<Session, StartError> {
        let prepared = sandbox::prepare(self, &options, Box::new(sink))?;
        Session::start(prepared).await.map_err(|(error, _)| StartError::Session(error))
    }

    /// Creates the context of a session for a store of the embedder: see [`Plugin::start_in`].
    ///
    /// # Errors
    /// Returns a [`StartError`] if the options are invalid.
    pub fn context(
        &self,
        options: &SessionOptions,
        sink: impl Sink + 'static,
    ) -> Result<SyncMgrCtx, StartError> {
        sandbox::context(self, options, Box::new(sink))
    }

    /// Starts a session in a store of the embedder, whose data has the context of the session, with
    /// a linker that [`add_to_linker`](crate::add_to_linker) has filled. Both must use the engine
    /// of the plugin's host: see [`HostOptions::engine`](crate::HostOptions::engine).
    ///
    /// This method sets the limiter, the epoch deadline and the other limits of the store. It
    /// replaces functions of the linker that the plugin is not granted, in a copy.
    ///
    /// # Errors
    /// Returns a [`StartError`]: also if the store or the linker has another engine, or the context
    /// is that of another plugin. A failure during instantiation is attributed to `initialize`.
    pub async fn start_in<T: SyncMgrView>(
        &self,
        mut store: Store<T>,
        linker: &Linker<T>,
    ) -> Result<Session<T>, StartError> {
        let is_same_engine = [store.engine(), linker.engine()]
            .into_iter()
            .all(|engine| Engine::same(engine, self.linked.engine()));
        if !is_same_engine {
            let why = "the store or the linker has another engine than the plugin's host";
            return Err(SessionError::host(self.name(), "start in a store", why).into());
        }
        let context = store.data_mut().syncmgr();
        // The context has grants for this plugin's requests.
        if !Arc::ptr_eq(&context.description, &self.description) {
            let why = format!("its context was created for the plugin `{}`", context.plugin);
            return Err(SessionError::host(self.name(), "start in a store", why).into());
        }
        let granted = |capability| context.capabilities.contains(&capability);
        let pre = self.linked.pre_with(linker, granted);
        let pre = pre.map_err(|source| sandbox::link_error(self.name(), source))?;
        sandbox::limit(&mut store);
        let started = Session::start(Prepared { pre, store }).await;
        started.map_err(|(error, _)| StartError::Session(error))
    }
}

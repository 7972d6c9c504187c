//! A session whose calls a test makes individually.

use std::ops::{Deref, DerefMut};

use syncmgr_host::sink::Sink;
use syncmgr_host::{Plugin, Session, SessionError, SessionOptions, StartError};
use tokio::runtime::{Builder, Runtime};

/// A session with the runtime that drives it on the thread of the test.
#[derive(Debug)]
pub struct DrivenSession {
    session: Session,
    runtime: Runtime,
}

impl DrivenSession {
    /// Starts a session.
    ///
    /// # Errors
    /// Returns the errors of the start.
    ///
    /// # Panics
    /// Panics if the system cannot create threads.
    pub fn start(
        plugin: &Plugin,
        options: SessionOptions,
        sink: impl Sink + 'static,
    ) -> Result<Self, StartError> {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let session = runtime.block_on(plugin.start(options, sink))?;
        Ok(Self { session, runtime })
    }

    /// Makes calls.
    ///
    /// # Errors
    /// Returns the errors of the calls.
    pub fn block_on<T>(
        &mut self,
        calls: impl AsyncFnOnce(&mut Session) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        self.runtime.block_on(calls(&mut self.session))
    }
}

impl Deref for DrivenSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for DrivenSession {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

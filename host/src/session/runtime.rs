//! The async runtime of a session.

use std::future::Future;

use crate::error::{Call, SessionError};

/// The maximum number of background threads of a session.
const BLOCKING_THREADS: usize = 4;

/// The runtime of a session on a dedicated thread. Dropping it does not wait for pending system
/// calls.
#[derive(Debug)]
pub(crate) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(crate) fn new(plugin: &str) -> Result<Self, SessionError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            // File streams read on these threads: a plugin may begin any number of reads.
            .max_blocking_threads(BLOCKING_THREADS)
            .build();
        runtime
            .map(|runtime| Self(Some(runtime)))
            .map_err(|source| SessionError::host(plugin, "make an async runtime", source))
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> Result<T, SessionError> {
        match &self.0 {
            Some(runtime) => Ok(runtime.block_on(work)),
            None => Err(SessionError::Dead { plugin: String::new(), call: Call::Initialize }),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

//! The checks before and after each call of a session.

use super::crash::crash;
use super::{Phase, Session};
use crate::bindings::types;
use crate::convert::{self, Refusal};
use crate::error::{Call, SessionError};
use crate::state::SyncMgrView;

impl<T: SyncMgrView> Session<T> {
    /// Checks that the session is not over. This comes before the check of the call order.
    pub(super) fn check_alive(&self, call: Call) -> Result<(), SessionError> {
        match self.crash {
            None => Ok(()),
            Some(_) => Err(SessionError::Dead { plugin: self.plugin.to_string(), call }),
        }
    }

    pub(super) fn check_initialized(&self, call: Call) -> Result<(), SessionError> {
        self.check_alive(call)?;
        match self.phase {
            Phase::Created => Err(self.out_of_order(call, "before initialize")),
            Phase::Declined => Err(self.out_of_order(call, "after the handler declined to run")),
            Phase::Initialized | Phase::Prepared | Phase::Synchronized => Ok(()),
        }
    }

    pub(super) fn out_of_order(&self, call: Call, when: &'static str) -> SessionError {
        SessionError::OutOfOrder { plugin: self.plugin.to_string(), call, when }
    }

    pub(super) fn accept<A>(
        &self,
        call: Call,
        answer: Result<A, Refusal>,
    ) -> Result<A, SessionError> {
        let plugin = || self.plugin.to_string();
        answer.map_err(|what| SessionError::BadData { plugin: plugin(), call, what })
    }

    pub(super) fn settle<A>(
        &mut self,
        call: Call,
        outcome: wasmtime::Result<Result<A, types::Error>>,
    ) -> Result<A, SessionError> {
        if let Ok(manager) = self.context().manager() {
            manager.flush();
        }
        match outcome {
            Ok(Ok(value)) => {
                tracing::debug!(plugin = &*self.plugin, %call, "the call succeeded");
                Ok(value)
            }
            Ok(Err(error)) => {
                let code = convert::error_code(error.code);
                let plugin = &*self.plugin;
                tracing::debug!(plugin, %call, code = code.name(), "the call failed");
                let message = self.context().secrets.redact(error.message);
                let message = convert::cut(message, convert::TEXT_BYTES);
                let message = if message.is_empty() { code.name().to_owned() } else { message };
                Err(SessionError::Plugin { plugin: self.plugin.to_string(), call, code, message })
            }
            Err(error) => {
                let stderr = &self.store.data_mut().syncmgr().stderr;
                let error = crash(&self.plugin, call, &self.monitor, stderr, error);
                let plugin = &*self.plugin;
                tracing::warn!(plugin, %call, code = error.code(), "the plugin ended");
                self.crash = Some(error.hresult());
                Err(error)
            }
        }
    }
}

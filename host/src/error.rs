//! The errors of the library: one enumeration for each concern, with stable codes and the HRESULTs
//! for native callers.

mod call;
mod contract;
mod grant;
mod load;
mod session;
mod stop;

pub use call::Call;
pub use contract::ContractError;
pub(crate) use contract::newer;
pub use grant::GrantError;
pub use load::{LoadError, PrecompiledError};
pub use session::{SessionError, StartError};
pub use stop::{Denial, StopReason};

/// An error of creating a host.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the WebAssembly engine: {source}")]
pub struct HostError {
    /// The error of wasmtime.
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl From<wasmtime::Error> for HostError {
    fn from(source: wasmtime::Error) -> Self {
        Self { source: source.into() }
    }
}

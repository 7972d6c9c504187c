//! The errors of the library: one enumeration for each concern, with stable codes and the HRESULTs
//! for native callers.

mod call;
mod contract;
mod grant;
mod load;
mod session;
mod termination;

pub use call::Call;
pub use contract::ContractError;
pub(crate) use contract::newer;
pub use grant::GrantError;
pub use load::{LoadError, PrecompiledError};
pub use session::{ErrorKind, SessionError, StartError};
pub use termination::{Denial, TerminationReason};

/// An error of creating a host.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the WebAssembly engine")]
pub struct HostError {
    /// The error of wasmtime.
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Returns the message of an error, followed by those of its causes. An error of this library is
/// displayed without its causes.
///
/// ```
/// use syncmgr_host::{LoadLimits, full_message, read_component};
///
/// let error = read_component("missing.wasm", &LoadLimits::default()).unwrap_err();
/// assert_eq!(error.to_string(), "cannot read the plugin missing.wasm");
/// assert!(full_message(&error).starts_with("cannot read the plugin missing.wasm: "));
/// ```
pub fn full_message(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |message, cause| format!("{message}: {cause}"))
}

impl From<wasmtime::Error> for HostError {
    fn from(source: wasmtime::Error) -> Self {
        Self { source: source.into() }
    }
}

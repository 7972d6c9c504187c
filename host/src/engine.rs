//! The configuration of the engine.

use wasmtime::{Config, WasmBacktraceDetails};

use crate::component::features;
use crate::limits::size;

/// The native stack of a session: the guest's stack, plus room for host calls.
const HOST_STACK_BYTES: usize = 1 << 20;

/// Returns the configuration of an engine, as far as compiled code depends on it.
pub(crate) fn config(stack_bytes: u64, signals_based_traps: bool) -> Config {
    let stack_bytes = size(stack_bytes);
    let mut config = Config::new();
    features::configure(&mut config);
    config
        // Adds source lines to crash frames if the component has debug information.
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .epoch_interruption(true)
        .signals_based_traps(signals_based_traps)
        .max_wasm_stack(stack_bytes)
        .async_stack_size(stack_bytes.saturating_add(HOST_STACK_BYTES));
    config
}

//! The configuration of the engine.

use wasmtime::{Config, Engine, WasmBacktraceDetails};

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

/// Checks that an engine of the embedder can interrupt plugins, which every time limit relies on.
#[cfg(feature = "compiler")]
pub(crate) fn check(engine: &Engine) -> wasmtime::Result<()> {
    /// `(module (func (export "f")))`
    const MODULE: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0\
                            \x0a\x04\x01\x02\0\x0b";
    let mut store = wasmtime::Store::new(engine, ());
    store.set_epoch_deadline(0);
    let instance =
        wasmtime::Instance::new(&mut store, &wasmtime::Module::new(engine, MODULE)?, &[])?;
    let function = instance.get_typed_func::<(), ()>(&mut store, "f")?;
    let interrupted = function.call(&mut store, ()).is_err();
    wasmtime::ensure!(
        interrupted,
        "the engine does not interrupt WebAssembly code; create its configuration with \
         `HostOptions::engine_config`"
    );
    Ok(())
}

/// Without a compiler, the check is not possible. But code that was compiled for an engine with
/// interruption does not load into another one.
#[cfg(not(feature = "compiler"))]
pub(crate) fn check(_engine: &Engine) -> wasmtime::Result<()> {
    Ok(())
}

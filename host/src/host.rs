use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine};

use crate::bindings::{HandlerPre, directories, statistics, synchronize_callback, types};
use crate::contract::Description;
use crate::error::{ContractError, HostError, LoadError};
use crate::plugin::Plugin;
use crate::state::State;

/// How often a running plugin looks whether it is to end. Also how exact time limits are.
pub const TICK: Duration = Duration::from_millis(10);

/// Guest stack. Deep recursion traps; Rust's own default in a component is 1 MiB of linear
/// memory, which runs out first.
const WASM_STACK_BYTES: usize = 1 << 20;
/// The native stack of a session: the guest's, and room for the host's own calls.
const SESSION_STACK_BYTES: usize = WASM_STACK_BYTES + (1 << 20);

/// Compiles and runs plugins. Clones share one engine; a process needs one.
///
/// The host has one thread of its own, which ends with the last clone.
#[derive(Clone)]
pub struct Host {
    engine: Engine,
    linker: Arc<Linker<State>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    /// A host with an engine of its own.
    ///
    /// # Errors
    /// [`HostError`] where the system cannot run compiled code.
    pub fn new() -> Result<Self, HostError> {
        let mut config = Config::new();
        config
            .wasm_component_model(true)
            // The contract is WASI 0.2: nothing needs the component model's own concurrency, and
            // every call is faster without it.
            .concurrency_support(false)
            .epoch_interruption(true)
            .max_wasm_stack(WASM_STACK_BYTES)
            .async_stack_size(SESSION_STACK_BYTES);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        synchronize_callback::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        statistics::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        directories::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        start_ticker(&engine)?;
        Ok(Self { engine, linker: Arc::new(linker) })
    }

    /// Loads a plugin from a file, under the name of the file.
    ///
    /// # Errors
    /// [`LoadError`]; nothing of the plugin has run then, and nothing has after a success.
    pub fn load_file(&self, path: &Path) -> Result<Plugin, LoadError> {
        let bytes = std::fs::read(path)
            .map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        self.load(&name, &bytes)
    }

    /// Loads a plugin from the bytes of a component, under a name for messages.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Plugin, LoadError> {
        let contract = |reason| LoadError::Contract { name: name.to_owned(), reason };
        let compile = |source| LoadError::Compile { name: name.to_owned(), source };
        let description = Description::of(bytes).map_err(contract)?;
        let component = Component::new(&self.engine, bytes).map_err(compile)?;
        let mismatch = |error: wasmtime::Error| {
            contract(ContractError::Types { message: format!("{error:#}") })
        };
        let pre = self.linker.instantiate_pre(&component).map_err(mismatch)?;
        let pre = HandlerPre::new(pre).map_err(mismatch)?;
        Ok(Plugin::new(name, pre, description))
    }
}

/// One thread per engine advances its clock, for as long as the engine lives.
fn start_ticker(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    thread::Builder::new().name("syncmgr-ticker".to_owned()).spawn(move || {
        loop {
            thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    })?;
    Ok(())
}

use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "compiler")]
use std::{sync::mpsc, thread};

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};

#[cfg(feature = "compiler")]
use crate::compiler::CompilerProgram;
#[cfg(feature = "compiler")]
use crate::compiler::threads::compiling;
use crate::component::description::{CONTRACT_VERSION, Description};
#[cfg(feature = "compiler")]
use crate::component::file::read_component;
use crate::component::precompiled;
use crate::engine;
use crate::error::{ContractError, HostError, LoadError, PrecompiledError};
use crate::imports::linker::{self, LinkedPlugin};
use crate::limits::LoadLimits;
use crate::limits::allocation::{self, Allocation};
use crate::limits::ticker::Ticker;
use crate::plugin::Plugin;
use crate::state::State;

/// The options of a [`Host`].
#[derive(Clone, Debug)]
pub struct HostOptions {
    limits: LoadLimits,
    signals_based_traps: bool,
    pooled: Option<u32>,
    configure: Option<Configure>,
    #[cfg(feature = "compiler")]
    compiler: Option<CompilerProgram>,
}

/// Changes the configuration of the engine.
#[derive(Clone)]
struct Configure(Arc<dyn Fn(&mut Config) + Send + Sync>);

impl std::fmt::Debug for Configure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Configure")
    }
}

impl Default for HostOptions {
    /// [`LoadLimits::default`], signal handlers for the traps that hardware reports, and
    /// [`Allocation::OnDemand`].
    fn default() -> Self {
        Self {
            limits: LoadLimits::default(),
            signals_based_traps: true,
            pooled: None,
            configure: None,
            #[cfg(feature = "compiler")]
            compiler: None,
        }
    }
}

impl HostOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limits on loading a plugin.
    #[must_use]
    pub fn limits(mut self, limits: LoadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Compiles explicit checks instead of relying on signals (on Windows: vectored exceptions).
    /// Use it in a library whose process has signal handlers of its own. Plugins run somewhat
    /// slower.
    #[must_use]
    pub fn without_signal_handlers(mut self) -> Self {
        self.signals_based_traps = false;
        self
    }

    /// Compiles in a separate process, within the limits `compile-memory` and `compile-time`.
    /// Without it, the host's own process compiles: `compile-memory` does not hold, and the
    /// compiler goes on beyond `compile-time`.
    #[cfg(feature = "compiler")]
    #[must_use]
    pub fn compiler(mut self, program: CompilerProgram) -> Self {
        self.compiler = Some(program);
        self
    }

    /// Reserves memory for `sessions` concurrent sessions, so that a session starts in half the
    /// time. It is address space, at least 4 GiB for each session, and takes no memory before a
    /// session uses it. If the system refuses it, there is a warning in the [`log`], and
    /// [`Host::allocation`] says so.
    ///
    /// One session more is refused with [`SessionError::Host`](crate::SessionError::Host).
    #[must_use]
    pub fn pooled(mut self, sessions: u32) -> Self {
        self.pooled = Some(sessions);
        self
    }

    /// Changes the configuration of the engine after this library has set its own options. The
    /// limits of sessions rely on those: do not change the epoch interruption, the stack sizes or
    /// the WebAssembly features.
    ///
    /// Compiled code depends on some options. A [`CompilerProgram`](Self::compiler) does not know
    /// them, so its code is refused if they differ.
    #[must_use]
    pub fn configure(mut self, configure: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        self.configure = Some(Configure(Arc::new(configure)));
        self
    }
}

/// Compiles and runs plugins. Clones share one engine; a process needs one.
///
/// The host has one thread, which ends with the last clone.
#[derive(Clone)]
pub struct Host {
    engine: Engine,
    linker: Arc<Linker<State>>,
    ticker: Ticker,
    limits: LoadLimits,
    allocation: Allocation,
    /// The program that compiles, and whether its code relies on signal handlers.
    #[cfg(feature = "compiler")]
    compiler: Option<(CompilerProgram, bool)>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Host {
    /// Makes a host with its own engine and [`HostOptions::default`].
    ///
    /// # Errors
    /// [`HostError`] where the system cannot run compiled code.
    pub fn new() -> Result<Self, HostError> {
        Self::with_options(HostOptions::default())
    }

    /// Makes a host with its own engine.
    ///
    /// # Errors
    /// [`HostError`] where the system cannot run compiled code.
    pub fn with_options(options: HostOptions) -> Result<Self, HostError> {
        let HostOptions { limits, signals_based_traps, pooled, configure, .. } = options;
        let mut config = engine::config(limits.stack_bytes, signals_based_traps);
        if let Some(Configure(configure)) = configure {
            configure(&mut config);
        }
        let (engine, allocation) = allocation::engine(&mut config, pooled, &limits)?;
        let linker = linker::everything(&engine)?;
        let ticker = Ticker::start(&engine).map_err(wasmtime::Error::from)?;
        Ok(Self {
            engine,
            linker: Arc::new(linker),
            ticker,
            limits,
            allocation,
            #[cfg(feature = "compiler")]
            compiler: options.compiler.map(|program| (program, signals_based_traps)),
        })
    }

    /// How the memory of sessions is allocated.
    pub const fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    /// The limits on loading a plugin.
    pub const fn limits(&self) -> &LoadLimits {
        &self.limits
    }

    /// Loads a plugin from a file, under the name of the file.
    ///
    /// # Errors
    /// [`LoadError`]; nothing of the plugin has run then, and nothing has after a success.
    #[cfg(feature = "compiler")]
    pub fn load_file(&self, path: &Path) -> Result<Plugin, LoadError> {
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        self.load(&name, &read_component(path, &self.limits)?)
    }

    /// Loads a plugin from the bytes of a component, under a name for messages.
    ///
    /// # Errors
    /// [`LoadError`].
    #[cfg(feature = "compiler")]
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Plugin, LoadError> {
        let description = self.describe(name, bytes)?;
        let (component, _) = self.compile(name, bytes)?;
        self.link(name, component, description)
    }

    /// Compiles a plugin for later, for hosts with the same options and of the same version on
    /// machines like this one: [`Host::load_precompiled`] takes milliseconds.
    ///
    /// # Errors
    /// [`LoadError`], as of [`Host::load`].
    #[cfg(feature = "compiler")]
    pub fn precompile(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        let description = self.describe(name, bytes)?;
        let (component, compiled) = self.compile(name, bytes)?;
        let compiled = compiled
            .map_or_else(|| component.serialize(), Ok)
            .map_err(|source| LoadError::Compile { name: name.to_owned(), source })?;
        // Whether it fits is better known now than in the process that loads it.
        self.link(name, component, description.clone())?;
        Ok(precompiled::pack(&description, &compiled))
    }

    /// Loads what [`Host::precompile`] made, without compiling anything.
    ///
    /// # Errors
    /// [`LoadError::Precompiled`] for what is damaged, and for what another version of the host,
    /// or one with other options, has made.
    ///
    /// # Safety
    /// The bytes are run as native code, outside of any sandbox. They must come unchanged from
    /// [`Host::precompile`], through a place that is writable only by users who could also replace
    /// this program. Damage is detected; forgery is not.
    #[expect(unsafe_code, reason = "what was compiled earlier is native code")]
    pub unsafe fn load_precompiled(
        &self,
        name: &str,
        precompiled: &[u8],
    ) -> Result<Plugin, LoadError> {
        let refuse = |reason| LoadError::Precompiled { name: name.to_owned(), reason };
        let (description, compiled) = precompiled::unpack(precompiled).map_err(refuse)?;
        self.check_limits(name, &description)?;
        // SAFETY: the caller vouches for it that the bytes come from `precompile`, and that is
        // what `Component::deserialize` asks for. It checks by itself whether they were made for
        // an engine like this one.
        let component = unsafe { Component::deserialize(&self.engine, compiled) };
        let component = component.map_err(|source| {
            refuse(PrecompiledError::OtherHost { message: source.root_cause().to_string() })
        })?;
        self.link(name, component, description)
    }

    /// [`Host::load_precompiled`] for a file. Where the system can map it, it is not copied into
    /// memory.
    ///
    /// # Errors
    /// [`LoadError::Read`], and those of [`Host::load_precompiled`].
    ///
    /// # Safety
    /// As of [`Host::load_precompiled`], and for whatever takes the name of the file. The file must
    /// not be written to as long as the plugin is used.
    #[expect(unsafe_code, reason = "what was compiled earlier is native code")]
    pub unsafe fn load_precompiled_file(
        &self,
        name: &str,
        path: &Path,
    ) -> Result<Plugin, LoadError> {
        let read = |source| LoadError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(read)?;
        // SAFETY: the caller guarantees it for the file.
        unsafe { self.load_precompiled_open_file(name, &file, path) }
    }

    /// [`Host::load_precompiled_file`] for an open file: another file that takes its name is not
    /// read. `path` is for messages.
    ///
    /// # Errors
    /// As of [`Host::load_precompiled_file`].
    ///
    /// # Safety
    /// As of [`Host::load_precompiled`]. The file must not be written to as long as the plugin is
    /// used.
    #[expect(unsafe_code, reason = "what was compiled earlier is native code")]
    pub unsafe fn load_precompiled_open_file(
        &self,
        name: &str,
        file: &std::fs::File,
        path: &Path,
    ) -> Result<Plugin, LoadError> {
        let read = |source| LoadError::Read { path: path.to_owned(), source };
        // SAFETY: the caller guarantees that the file is not written to.
        let kept = unsafe { precompiled::Kept::of(file) }.map_err(read)?;
        #[cfg(target_os = "linux")]
        if let Some(handle) = precompiled::by_handle(file) {
            let refuse = |reason| LoadError::Precompiled { name: name.to_owned(), reason };
            let (description, _compiled) = precompiled::unpack(&kept).map_err(refuse)?;
            drop(kept);
            self.check_limits(name, &description)?;
            // SAFETY: as in `load_precompiled`; the path is that of the open file.
            let component = unsafe { Component::deserialize_file(&self.engine, handle) };
            let component = component.map_err(|source| {
                refuse(PrecompiledError::OtherHost { message: source.root_cause().to_string() })
            })?;
            return self.link(name, component, description);
        }
        // Elsewhere a file that is mapped cannot be replaced, or cannot be opened by its handle.
        // SAFETY: the caller guarantees it for the file.
        unsafe { self.load_precompiled(name, &kept) }
    }

    /// Tells hosts apart that cannot load what the other one has precompiled, in hexadecimal
    /// digits: those of another version, with other options, or for another machine.
    #[cfg(feature = "compiler")]
    pub fn compatibility(&self) -> String {
        use std::hash::Hash as _;
        let mut digest = precompiled::Digest::new();
        self.engine.precompile_compatibility_hash().hash(&mut digest);
        digest.hex()
    }

    /// Describes a component, if it conforms to the contract and the limits.
    #[cfg(feature = "compiler")]
    fn describe(&self, name: &str, bytes: &[u8]) -> Result<Description, LoadError> {
        self.check_size(name, bytes.len() as u64)?;
        let description = Description::of(bytes)
            .map_err(|reason| LoadError::Contract { name: name.to_owned(), reason })?;
        self.check_limits(name, &description)?;
        Ok(description)
    }

    fn check_limits(&self, name: &str, description: &Description) -> Result<(), LoadError> {
        for (what, found, limit, option) in [
            (
                "the file size",
                description.size_bytes as u64,
                self.limits.component_bytes,
                "component-bytes",
            ),
            (
                "its largest function",
                description.largest_function_bytes,
                self.limits.function_bytes,
                "function-bytes",
            ),
            (
                "locals times blocks and branches of one function",
                description.largest_function_joins,
                self.limits.function_joins,
                "function-joins",
            ),
            (
                "locals times blocks and branches of all functions",
                description.joins,
                self.limits.total_joins,
                "total-joins",
            ),
            (
                "the number of its instances",
                description.expansion,
                self.limits.expansion,
                "expansion",
            ),
        ] {
            too_large(name, what, found, limit, option)?;
        }
        Ok(())
    }

    /// Checks the types against the contract, and gets ready for sessions.
    fn link(
        &self,
        name: &str,
        component: Component,
        description: Description,
    ) -> Result<Plugin, LoadError> {
        let mismatch = |error: wasmtime::Error| LoadError::Contract {
            name: name.to_owned(),
            reason: ContractError::Types {
                message: format!("{error:#}"),
                found: description.contract_version.clone(),
                supported: CONTRACT_VERSION.to_owned(),
            },
        };
        // Whether the types fit does not depend on what is granted.
        let linked = LinkedPlugin::new(component, Arc::clone(&self.linker)).map_err(mismatch)?;
        Ok(Plugin::new(name, linked, description, self.ticker.clone()))
    }

    #[cfg(feature = "compiler")]
    fn check_size(&self, name: &str, bytes: u64) -> Result<(), LoadError> {
        too_large(name, "the file size", bytes, self.limits.component_bytes, "component-bytes")
    }

    /// Compiles a component, and returns the code as bytes, too, where it came as such.
    #[cfg(feature = "compiler")]
    fn compile(&self, name: &str, bytes: &[u8]) -> Result<(Component, Option<Vec<u8>>), LoadError> {
        let Some((program, signals_based_traps)) = &self.compiler else {
            return Ok((self.compile_here(name, bytes)?, None));
        };
        let compiled = program.compile(name, bytes, &self.limits, *signals_based_traps)?;
        // SAFETY: the embedder vouches for the program that has just made these bytes as for this
        // one.
        #[expect(unsafe_code, reason = "what is compiled is native code")]
        let component = unsafe { Component::deserialize(&self.engine, &compiled) };
        let component =
            component.map_err(|source| LoadError::Compile { name: name.to_owned(), source })?;
        Ok((component, Some(compiled)))
    }

    /// Compiles in this process, on another thread: nothing can interrupt the compiler.
    #[cfg(feature = "compiler")]
    fn compile_here(&self, name: &str, bytes: &[u8]) -> Result<Component, LoadError> {
        let failed = |source| LoadError::Compile { name: name.to_owned(), source };
        let (engine, bytes) = (self.engine.clone(), bytes.to_vec());
        let (done, wait) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("syncmgr-compile".to_owned())
            .spawn(move || {
                // The receiver is gone once the time is up.
                let _ = done.send(compiling(|| Component::new(&engine, bytes)));
            })
            .map_err(|error| failed(error.into()))?;
        match wait.recv_timeout(self.limits.compile_time) {
            Ok(compiled) => compiled.map_err(failed),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(LoadError::CompileTime {
                name: name.to_owned(),
                limit: self.limits.compile_time,
            }),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(failed(wasmtime::Error::msg("the compiler panicked")))
            }
        }
    }
}

fn too_large(
    name: &str,
    what: &'static str,
    found: u64,
    limit: u64,
    option: &'static str,
) -> Result<(), LoadError> {
    match found <= limit {
        true => Ok(()),
        false => Err(LoadError::TooLarge { name: name.to_owned(), what, found, limit, option }),
    }
}

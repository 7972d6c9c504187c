mod options;

use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "compiler")]
use std::{sync::mpsc, thread};

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

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
use crate::http::network::Network;
use crate::imports::linker::{self, LinkedPlugin};
use crate::limits::LoadLimits;
use crate::limits::allocation::{self, Allocation};
use crate::limits::ticker::Ticker;
use crate::plugin::Plugin;
use crate::state::SyncMgrCtx;
use options::Configure;
pub use options::HostOptions;

/// Compiles and runs plugins. Clones share one engine; a process needs only one.
///
/// The host has one thread, and another one from the first HTTP request of a plugin on. They end
/// with the last clone.
#[derive(Clone)]
pub struct Host {
    engine: Engine,
    linker: Arc<Linker<SyncMgrCtx>>,
    ticker: Ticker,
    network: Network,
    limits: LoadLimits,
    allocation: Allocation,
    /// The compiler program, and whether its code relies on signal handlers.
    #[cfg(feature = "compiler")]
    compiler: Option<(CompilerProgram, bool)>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Host {
    /// Creates a host with a new engine and [`HostOptions::default`].
    ///
    /// # Errors
    /// Returns [`HostError`] if the system cannot run compiled code.
    pub fn new() -> Result<Self, HostError> {
        Self::with_options(HostOptions::default())
    }

    /// Creates a host with a new engine.
    ///
    /// # Errors
    /// Returns [`HostError`] if the system cannot run compiled code.
    pub fn with_options(options: HostOptions) -> Result<Self, HostError> {
        let mut config = options.engine_config();
        let network = options.network();
        let HostOptions { limits, pooled, configure, .. } = options;
        if let Some(Configure(configure)) = configure {
            configure(&mut config);
        }
        let (engine, allocation) = match options.engine {
            Some(engine) => {
                engine::check(&engine)?;
                (engine, Allocation::Embedder)
            }
            None => allocation::engine(&mut config, pooled, &limits)?,
        };
        let mut linker = Linker::new(&engine);
        linker::add_to_linker::<SyncMgrCtx>(&mut linker)?;
        let ticker = Ticker::start(&engine).map_err(wasmtime::Error::from)?;
        Ok(Self {
            engine,
            linker: Arc::new(linker),
            ticker,
            network,
            limits,
            allocation,
            #[cfg(feature = "compiler")]
            compiler: options.compiler.map(|program| (program, options.signals_based_traps)),
        })
    }

    /// Starts the thread of the network, which the first request of a plugin would start. It has the
    /// rights of the calling thread: a host that restricts its threads before a run starts it
    /// before. If it cannot be started, requests fail.
    pub fn start_network(&self) {
        // Each request receives the error.
        let _ = self.network.get();
    }

    /// Returns how the memory of sessions is allocated.
    pub const fn allocation(&self) -> &Allocation {
        &self.allocation
    }

    /// Returns the limits on loading a plugin.
    pub const fn load_limits(&self) -> &LoadLimits {
        &self.limits
    }

    /// Loads a plugin from a file, and names it after the file. Loading runs no code of the plugin.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if the file cannot be read, checked or compiled.
    #[cfg(feature = "compiler")]
    pub fn load_file(&self, path: impl AsRef<Path>) -> Result<Plugin, LoadError> {
        let path = path.as_ref();
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        self.load(&name, &read_component(path, &self.limits)?)
    }

    /// Loads a plugin from the bytes of a component, under a name for messages.
    ///
    /// # Errors
    /// Returns a [`LoadError`] if the component does not conform or cannot be compiled.
    #[cfg(feature = "compiler")]
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Plugin, LoadError> {
        let description = self.describe(name, bytes)?;
        let (component, _) = self.compile(name, bytes)?;
        self.link(name, component, description)
    }

    /// Precompiles a plugin for hosts of the same version with the same options on similar
    /// machines: [`Host::load_precompiled`] takes milliseconds.
    ///
    /// # Errors
    /// Returns the errors of [`Host::load`].
    #[cfg(feature = "compiler")]
    pub fn precompile(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        let description = self.describe(name, bytes)?;
        let (component, compiled) = self.compile(name, bytes)?;
        let compiled = compiled.map_or_else(|| component.serialize(), Ok).map_err(|source| {
            LoadError::Compile { name: name.to_owned(), source: source.into() }
        })?;
        // A type mismatch is reported now instead of in the process that loads it.
        self.link(name, component, description.clone())?;
        Ok(precompiled::pack(&description, &compiled))
    }

    /// Loads the output of [`Host::precompile`] without compiling.
    ///
    /// # Errors
    /// Returns [`LoadError::Precompiled`] if the bytes are damaged, or from a host of another
    /// version or with other options.
    ///
    /// # Safety
    /// The bytes are run as native code, outside any sandbox. They must come unchanged from
    /// [`Host::precompile`], through a location that is writable only by users who could also
    /// replace this program. Damage is detected; forgery is not.
    #[expect(unsafe_code, reason = "what was compiled earlier is native code")]
    pub unsafe fn load_precompiled(
        &self,
        name: &str,
        precompiled: &[u8],
    ) -> Result<Plugin, LoadError> {
        let refuse = |reason| LoadError::Precompiled { name: name.to_owned(), reason };
        let (description, compiled) = precompiled::unpack(precompiled).map_err(refuse)?;
        self.check_limits(name, &description)?;
        // SAFETY: the caller guarantees that the bytes come from `precompile`, as
        // `Component::deserialize` requires. It checks itself whether they were made for a
        // compatible engine.
        let component = unsafe { Component::deserialize(&self.engine, compiled) };
        let component = component.map_err(|source| {
            refuse(PrecompiledError::OtherHost { message: source.root_cause().to_string() })
        })?;
        self.link(name, component, description)
    }

    /// Does the same as [`Host::load_precompiled`] for a file. If the system can map it, it is not
    /// copied into memory.
    ///
    /// # Errors
    /// Returns [`LoadError::Read`], and the errors of [`Host::load_precompiled`].
    ///
    /// # Safety
    /// The requirements of [`Host::load_precompiled`] apply, also to any file that replaces this
    /// one under its name. The file must not be written to while the plugin is used.
    #[expect(unsafe_code, reason = "what was compiled earlier is native code")]
    pub unsafe fn load_precompiled_file(
        &self,
        name: &str,
        path: impl AsRef<Path>,
    ) -> Result<Plugin, LoadError> {
        let path = path.as_ref();
        let read = |source| LoadError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(read)?;
        // SAFETY: the caller guarantees it for the file.
        unsafe { self.load_precompiled_open_file(name, &file, path) }
    }

    /// Does the same as [`Host::load_precompiled_file`] for an open file: another file that takes
    /// its name is not read. `path` is for messages.
    ///
    /// # Errors
    /// Returns the errors of [`Host::load_precompiled_file`].
    ///
    /// # Safety
    /// The requirements of [`Host::load_precompiled`] apply. The file must not be written to while
    /// the plugin is used.
    #[expect(unsafe_code, reason = "what was compiled earlier is native code")]
    pub unsafe fn load_precompiled_open_file(
        &self,
        name: &str,
        file: &std::fs::File,
        path: impl AsRef<Path>,
    ) -> Result<Plugin, LoadError> {
        let read = |source| LoadError::Read { path: path.as_ref().to_owned(), source };
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
        // On other systems, a mapped file cannot be replaced, or cannot be opened by its handle.
        // SAFETY: the caller guarantees it for the file.
        unsafe { self.load_precompiled(name, &kept) }
    }

    /// Returns a fingerprint in hexadecimal digits. It differs between hosts that cannot load each
    /// other's precompiled plugins: those of another version, with other options, or for another
    /// machine.
    #[cfg(feature = "compiler")]
    pub fn compatibility(&self) -> String {
        use std::hash::Hash as _;
        let mut digest = precompiled::Digest::new();
        self.engine.precompile_compatibility_hash().hash(&mut digest);
        digest.hex()
    }

    /// Describes a component that conforms to the contract and the limits.
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

    /// Checks the types against the contract, and prepares for sessions.
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
        // Whether the types match is independent of the grants.
        let linked = LinkedPlugin::new(component, Arc::clone(&self.linker)).map_err(mismatch)?;
        Ok(Plugin::new(name, linked, description, self.ticker.clone(), self.network.clone()))
    }

    #[cfg(feature = "compiler")]
    fn check_size(&self, name: &str, bytes: u64) -> Result<(), LoadError> {
        too_large(name, "the file size", bytes, self.limits.component_bytes, "component-bytes")
    }

    /// Compiles a component. Also returns the code as bytes if the compiler returned it as such.
    #[cfg(feature = "compiler")]
    fn compile(&self, name: &str, bytes: &[u8]) -> Result<(Component, Option<Vec<u8>>), LoadError> {
        let Some((program, signals_based_traps)) = &self.compiler else {
            return Ok((self.compile_here(name, bytes)?, None));
        };
        let compiled = program.compile(name, bytes, &self.limits, *signals_based_traps)?;
        // SAFETY: the embedder trusts the compiler program, which has just produced these bytes, as
        // much as this program.
        #[expect(unsafe_code, reason = "what is compiled is native code")]
        let component = unsafe { Component::deserialize(&self.engine, &compiled) };
        let component = component.map_err(|source| LoadError::Compile {
            name: name.to_owned(),
            source: source.into(),
        })?;
        Ok((component, Some(compiled)))
    }

    /// Compiles in this process, on another thread, because nothing can interrupt the compiler.
    #[cfg(feature = "compiler")]
    fn compile_here(&self, name: &str, bytes: &[u8]) -> Result<Component, LoadError> {
        let failed = |source: wasmtime::Error| LoadError::Compile {
            name: name.to_owned(),
            source: source.into(),
        };
        let (engine, bytes) = (self.engine.clone(), bytes.to_vec());
        let (done, wait) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("syncmgr-compile".to_owned())
            .spawn(move || {
                // The receiver is gone after a timeout.
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

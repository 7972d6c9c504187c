//! The lower bound: the same guest on an engine with the same settings, in a host without any
//! logic.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use conformance::SCRIPT;
use tokio::runtime::Runtime;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentNamedList, ComponentType, InstancePre, Lift, Linker, Lower, ResourceTable,
    ResourceType, Val, WasmStr,
};
use wasmtime::{Config, Engine, Error, Instance, Module, Result, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

const CALLBACK: &str = "syncmgr:plugin/synchronize-callback@0.1.0";
const SYNCHRONIZE: &str = "syncmgr:plugin/synchronize@0.1.0";

#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[component(record)]
struct Guid {
    #[component(name = "high")]
    _high: u64,
    #[component(name = "low")]
    _low: u64,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "the contract's type has them")]
enum Status {
    #[component(name = "stopped")]
    Stopped,
    #[component(name = "skipped")]
    Skipped,
    #[component(name = "pending")]
    Pending,
    #[component(name = "updating")]
    Updating,
    #[component(name = "succeeded")]
    Succeeded,
    #[component(name = "failed")]
    Failed,
    #[component(name = "paused")]
    Paused,
    #[component(name = "resuming")]
    Resuming,
    #[component(name = "updating-indeterminate")]
    UpdatingIndeterminate,
    #[component(name = "deleted")]
    Deleted,
}

/// `types.progress-item`, whose text is read as a `T`.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
struct ProgressItem<T> {
    #[component(name = "status-text")]
    _status_text: Option<T>,
    #[component(name = "status-type")]
    _status_type: Option<Status>,
    #[component(name = "prog-value")]
    _prog_value: Option<i32>,
    #[component(name = "max-value")]
    _max_value: Option<i32>,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "the contract's type has them")]
enum Response {
    #[component(name = "continue")]
    Continue,
    #[component(name = "cancel-item")]
    CancelItem,
    #[component(name = "cancel-all")]
    CancelAll,
}

/// The minimal state of a session.
struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// The settings of the host's engine that affect performance.
fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model(true).concurrency_support(false).epoch_interruption(true);
    Engine::new(&config)
}

/// Converts an error for callers with other error types.
pub(crate) fn plain(error: Error) -> anyhow::Error {
    anyhow!("{error:?}")
}

/// How a bare host reads the text of a report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text {
    /// Does not read it.
    Left,
    /// Copies it to a `String`, as generated bindings do.
    Copied,
}

/// A host whose `progress` does nothing.
pub(crate) struct Bare {
    runtime: Runtime,
    pre: InstancePre<State>,
}

impl Bare {
    pub(crate) fn new(text: Text) -> Result<Self> {
        let engine = engine()?;
        let component = Component::from_file(&engine, SCRIPT)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        match text {
            Text::Left => Self::link::<WasmStr>(&mut linker)?,
            Text::Copied => Self::link::<String>(&mut linker)?,
        }
        Self::link_rest(&mut linker, &component)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::from)?;
        Ok(Self { runtime, pre: linker.instantiate_pre(&component)? })
    }

    fn link<T>(linker: &mut Linker<State>) -> Result<()>
    where
        (Guid, ProgressItem<T>): ComponentNamedList + Lift + 'static,
    {
        linker
            .instance(CALLBACK)?
            .func_wrap("progress", |_, (_item, _report): (Guid, ProgressItem<T>)| {
                Ok((Response::Continue,))
            })?;
        Ok(())
    }

    /// The other imports of the guest: `log-error`, which does nothing, and functions that it does
    /// not call.
    fn link_rest(linker: &mut Linker<State>, component: &Component) -> Result<()> {
        let engine = linker.engine().clone();
        for (interface, item) in component.component_type().imports(&engine) {
            let ComponentItem::ComponentInstance(imported) = item.ty else { continue };
            if !interface.starts_with("syncmgr:") {
                continue;
            }
            let mut linked = linker.instance(interface)?;
            for (name, item) in imported.exports(&engine) {
                if matches!(item.ty, ComponentItem::Resource(_)) {
                    // The imports of WASI are linked already.
                    if interface.contains("directories") {
                        linked.resource(name, ResourceType::host::<()>(), |_, _| Ok(()))?;
                    }
                } else if name == "log-error" {
                    linked.func_new(name, |_, _, _, results| {
                        results[0] = Val::Result(Ok(None));
                        Ok(())
                    })?;
                } else if matches!(item.ty, ComponentItem::ComponentFunc(_)) && name != "progress" {
                    linked.func_new(name, |_, _, _, _| Err(Error::msg("not to be called")))?;
                }
            }
        }
        Ok(())
    }

    fn store(&self, commands: &str) -> Store<State> {
        let mut wasi = WasiCtx::builder();
        wasi.env("items", "a").env("synchronize", commands);
        let state = State { wasi: wasi.build(), table: ResourceTable::new() };
        let mut store = Store::new(self.pre.engine(), state);
        store.set_epoch_deadline(u64::MAX / 2);
        store
    }

    /// Returns the duration of `synchronize` with these commands.
    pub(crate) fn synchronize(&self, commands: &str) -> Result<Duration> {
        let mut store = self.store(commands);
        self.runtime.block_on(async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let interface = instance
                .get_export_index(&mut store, None, SYNCHRONIZE)
                .ok_or_else(|| Error::msg("it does not export the interface"))?;
            let function = instance
                .get_export_index(&mut store, Some(&interface), "synchronize")
                .ok_or_else(|| Error::msg("it does not export the function"))?;
            let function = instance.get_func(&mut store, function);
            let function = function.ok_or_else(|| Error::msg("it is no function"))?;
            let mut results = [Val::Bool(false)];
            let since = Instant::now();
            function.call_async(&mut store, &[], &mut results).await?;
            let took = since.elapsed();
            match matches!(results[0], Val::Result(Ok(_))) {
                true => Ok(took),
                false => Err(Error::msg(format!("{results:?}"))),
            }
        })
    }

    /// Returns a store with an instance that has run.
    pub(crate) fn open(&self) -> Result<impl Sized> {
        let mut store = self.store("");
        self.runtime.block_on(self.pre.instantiate_async(&mut store))?;
        Ok(store)
    }

    /// Returns the time to create a store and an instance.
    pub(crate) fn instantiate(&self) -> Result<Duration> {
        let since = Instant::now();
        let mut store = self.store("");
        self.runtime.block_on(self.pre.instantiate_async(&mut store))?;
        Ok(since.elapsed())
    }
}

/// Calls of a host function in core WebAssembly, with as many arguments as a report has there.
pub(crate) struct Core {
    store: Store<()>,
    instance: Instance,
}

impl Core {
    pub(crate) fn new() -> Result<Self> {
        let engine = engine()?;
        let module = wat::parse_str(
            r#"(module
                (type $report (func (param i64 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
                (import "" "progress" (func $progress (type $report)))
                (func (export "synchronize") (param $times i32)
                    (loop $again
                        (drop (call $progress
                            (i64.const 1) (i64.const 2) (i32.const 0) (i32.const 0) (i32.const 0)
                            (i32.const 1) (i32.const 3) (i32.const 1) (local.get $times)
                            (i32.const 0) (i32.const 0)))
                        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
                        (br_if $again (local.get $times)))))"#,
        );
        let module = Module::new(&engine, module.map_err(Error::new)?)?;
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        #[expect(clippy::too_many_arguments, reason = "that many")]
        fn progress(
            high: i64,
            _low: i64,
            _text: i32,
            _at: i32,
            _bytes: i32,
            _status: i32,
            _type: i32,
            _value: i32,
            _number: i32,
            _max: i32,
            _most: i32,
        ) -> i32 {
            std::hint::black_box(high);
            0
        }
        let progress = wasmtime::Func::wrap(&mut store, progress);
        let instance = Instance::new(&mut store, &module, &[progress.into()])?;
        Ok(Self { store, instance })
    }

    pub(crate) fn synchronize(&mut self, times: u32) -> Result<Duration> {
        let function = self.instance.get_typed_func::<i32, ()>(&mut self.store, "synchronize")?;
        let since = Instant::now();
        function.call(&mut self.store, times.cast_signed())?;
        Ok(since.elapsed())
    }
}

//! Runs a plugin in an application that owns its WebAssembly engine, its linker and its stores.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use syncmgr_host::sink::Discard;
use syncmgr_host::{
    Host, HostOptions, RunReport, RunRequest, SessionOptions, SyncMgrCtx, SyncMgrView,
};
use wasmtime::component::Linker;
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtxView, WasiView};

/// The data of the application's stores.
struct App {
    syncmgr: SyncMgrCtx,
    since: Instant,
}

impl WasiView for App {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.syncmgr.ctx()
    }
}

impl SyncMgrView for App {
    fn syncmgr(&mut self) -> &mut SyncMgrCtx {
        &mut self.syncmgr
    }
}

/// Runs the plugin in a file, and returns the report and the duration.
pub async fn run(plugin: &Path) -> Result<(RunReport, Duration), Box<dyn std::error::Error>> {
    let options = HostOptions::new();
    let mut config = options.engine_config();
    // The application's own settings.
    config.generate_address_map(true);
    let engine = Engine::new(&config)?;
    let plugin = Host::with_options(options.engine(engine.clone()))?.load_file(plugin)?;

    let mut linker = Linker::new(&engine);
    syncmgr_host::add_to_linker(&mut linker)?;
    let syncmgr = plugin.context(&SessionOptions::new(), Discard)?;
    let store = Store::new(&engine, App { syncmgr, since: Instant::now() });
    let mut session = plugin.start_in(store, &linker).await?;
    let report = session.run(&RunRequest::default()).await;
    Ok((report, session.store_mut().data().since.elapsed()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plugin = std::env::args().nth(1).ok_or("usage: own_engine PLUGIN.wasm")?;
    let (report, duration) = run(Path::new(&plugin)).await?;
    writeln!(std::io::stdout(), "{}: {duration:?}", report.hresult())?;
    Ok(())
}

//! Links the imports of plugins. Interfaces that are not granted are not linked: each of their
//! functions terminates the plugin, with a message that names the missing grant.

use std::sync::{Arc, OnceLock};

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types as http_types};
use wasmtime_wasi_http::{WasiHttp as HasHttp, WasiHttpView as _};

use super::{callback, http_errors, wasi_files};
use crate::bindings::{HandlerPre, WASI, directories, statistics, synchronize_callback, types};
use crate::error::HostError;
use crate::grants::Capability;
use crate::state::{HasParkedCtx, ParkedCtx, SyncMgrCtx, SyncMgrView};

/// Links all interfaces that the host provides: those of the contract, and WASI.
///
/// For programs that own their linker: see [`Plugin::start_in`](crate::Plugin::start_in).
///
/// # Errors
/// Returns [`HostError`] if the linker already has one of the interfaces.
pub fn add_to_linker<T: SyncMgrView>(linker: &mut Linker<T>) -> Result<(), HostError> {
    Ok(link(linker)?)
}

fn link<T: SyncMgrView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    // The world exports this function without a feature gate: see CONTRIBUTING.md.
    let mut wasi = wasmtime_wasi::p2::bindings::LinkOptions::default();
    wasi.network_error_code(true);
    wasmtime_wasi::p2::add_to_linker_with_options_async(linker, &wasi)?;
    wasi_files::add_to_linker(linker)?;
    // Always: a request that is not granted fails with a value.
    let http = wasmtime_wasi_http::p2::bindings::LinkOptions::default();
    outgoing_handler::add_to_linker::<_, HasHttp>(linker, |data| data.syncmgr().http())?;
    http_types::add_to_linker::<_, HasHttp>(linker, &http.into(), |data| data.syncmgr().http())?;
    http_errors::add_to_linker(linker)?;
    types::add_to_linker::<_, HasSelf<SyncMgrCtx>>(linker, T::syncmgr)?;
    synchronize_callback::add_to_linker::<_, HasSelf<SyncMgrCtx>>(linker, T::syncmgr)?;
    callback::add_to_linker(linker)?;
    statistics::add_to_linker::<_, HasSelf<SyncMgrCtx>>(linker, T::syncmgr)?;
    directories::add_to_linker::<_, HasParkedCtx>(linker, |data| ParkedCtx::new(data.syncmgr()))?;
    Ok(())
}

/// A component with its linked imports, cached for each set of capabilities in use.
pub(crate) struct LinkedPlugin {
    component: Component,
    everything: Arc<Linker<SyncMgrCtx>>,
    /// Indexed by [`index`].
    pres: [OnceLock<HandlerPre<SyncMgrCtx>>; 4],
}

impl LinkedPlugin {
    /// Links a component. Fails if the types of imports or exports do not match, which is
    /// independent of the grants.
    pub(crate) fn new(
        component: Component,
        everything: Arc<Linker<SyncMgrCtx>>,
    ) -> wasmtime::Result<Self> {
        let linked = Self { component, everything, pres: Default::default() };
        linked.pre(|_| false)?;
        Ok(linked)
    }

    /// Returns the linked component for a session with these capabilities.
    pub(crate) fn pre(
        &self,
        granted: impl Fn(Capability) -> bool,
    ) -> wasmtime::Result<&HandlerPre<SyncMgrCtx>> {
        let set = index(granted);
        if let Some(pre) = self.pres[set].get() {
            return Ok(pre);
        }
        let pre = self.link(&self.everything, set)?;
        Ok(self.pres[set].get_or_init(|| pre))
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.everything.engine()
    }

    /// Does the same with a linker of the embedder.
    pub(crate) fn pre_with<T: SyncMgrView>(
        &self,
        linker: &Linker<T>,
        granted: impl Fn(Capability) -> bool,
    ) -> wasmtime::Result<HandlerPre<T>> {
        self.link(linker, index(granted))
    }

    fn link<T: SyncMgrView>(
        &self,
        everything: &Linker<T>,
        set: usize,
    ) -> wasmtime::Result<HandlerPre<T>> {
        let linker = linker(everything, &self.component, set)?;
        HandlerPre::new(linker.instantiate_pre(&self.component)?)
    }
}

/// Returns the index of a set of capabilities.
fn index(granted: impl Fn(Capability) -> bool) -> usize {
    usize::from(granted(Capability::WallClock)) | usize::from(granted(Capability::Randomness)) << 1
}

/// Returns the capability that an interface needs to be linked: `None` if it is always linked, and
/// `Some(None)` if no grant links it.
fn capability(interface: &str) -> Option<Option<Capability>> {
    match interface {
        "wasi:clocks/wall-clock" => Some(Some(Capability::WallClock)),
        "wasi:random/random" => Some(Some(Capability::Randomness)),
        sockets if sockets.starts_with("wasi:sockets/") => Some(None),
        _other => None,
    }
}

/// Creates a linker for a component from the linker of all interfaces.
fn linker<T: SyncMgrView>(
    everything: &Linker<T>,
    component: &Component,
    set: usize,
) -> wasmtime::Result<Linker<T>> {
    let mut linker = everything.clone();
    linker.allow_shadowing(true);
    let engine = linker.engine().clone();
    for (import, item) in component.component_type().imports(&engine) {
        let interface = import.split('@').next().unwrap_or(import);
        let Some(capability) = capability(interface) else { continue };
        let bit = capability.map_or(0, |capability| index(|granted| granted == capability));
        if bit & set != 0 {
            continue;
        }
        let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
        let mut linked = linker.instance(&format!("{interface}@{WASI}"))?;
        for (function, item) in instance.exports(&engine) {
            if let ComponentItem::ComponentFunc(_) = item.ty {
                let interface = interface.to_owned();
                linked.func_new(function, move |mut store, _, _, _| {
                    Err(store.data_mut().syncmgr().deny(capability, &interface))
                })?;
            }
        }
    }
    Ok(linker)
}

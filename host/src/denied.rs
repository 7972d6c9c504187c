//! What was not granted is not linked: each of its functions ends the plugin, and says what would
//! grant it.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use crate::grants::Capability;
use crate::state::State;

/// The version of WASI that wasmtime links; any 0.2 a plugin imports is resolved to it.
pub(crate) const WASI: &str = "0.2.12";

/// One linker for each set of capabilities; [`index`] tells which.
pub(crate) type Linkers = [Linker<State>; 4];

/// The place of a set of capabilities.
pub(crate) fn index(granted: impl Fn(Capability) -> bool) -> usize {
    usize::from(granted(Capability::WallClock)) | usize::from(granted(Capability::Randomness)) << 1
}

/// What an interface belongs to that is not linked unless it is granted; `Some(None)`: to nothing
/// that can be granted. `None`: it is always linked.
fn capability(interface: &str) -> Option<Option<Capability>> {
    match interface {
        "wasi:clocks/wall-clock" => Some(Some(Capability::WallClock)),
        "wasi:random/random" => Some(Some(Capability::Randomness)),
        sockets if sockets.starts_with("wasi:sockets/") => Some(None),
        _other => None,
    }
}

/// The linkers for a component, made from one that has everything.
pub(crate) fn linkers(
    everything: &Linker<State>,
    component: &Component,
) -> wasmtime::Result<Linkers> {
    let linker = |set: usize| -> wasmtime::Result<Linker<State>> {
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
                    linked.func_new(function, move |store, _, _, _| {
                        Err(store.data().deny(capability, &interface))
                    })?;
                }
            }
        }
        Ok(linker)
    };
    Ok([linker(0)?, linker(1)?, linker(2)?, linker(3)?])
}

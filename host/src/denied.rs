//! What was not granted is not linked: each of its functions ends the plugin, and says what would
//! grant it.

use std::sync::{Arc, OnceLock};

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

use crate::bindings::HandlerPre;
use crate::grants::Capability;
use crate::state::State;

/// The version of WASI that wasmtime links; any 0.2 a plugin imports is resolved to it.
pub(crate) const WASI: &str = "0.2.12";

/// A component with what it imports, for each set of capabilities that was needed so far.
pub(crate) struct Links {
    component: Component,
    everything: Arc<Linker<State>>,
    /// By [`index`].
    pres: [OnceLock<HandlerPre<State>>; 4],
}

impl Links {
    /// Fails where the types of what is imported or exported do not fit, which does not depend on
    /// what is granted.
    pub(crate) fn new(
        component: Component,
        everything: Arc<Linker<State>>,
    ) -> wasmtime::Result<Self> {
        let links = Self { component, everything, pres: Default::default() };
        links.pre(|_| false)?;
        Ok(links)
    }

    /// What is instantiated for a session with these capabilities.
    pub(crate) fn pre(
        &self,
        granted: impl Fn(Capability) -> bool,
    ) -> wasmtime::Result<&HandlerPre<State>> {
        let set = index(granted);
        if let Some(pre) = self.pres[set].get() {
            return Ok(pre);
        }
        let linker = linker(&self.everything, &self.component, set)?;
        let pre = HandlerPre::new(linker.instantiate_pre(&self.component)?)?;
        Ok(self.pres[set].get_or_init(|| pre))
    }
}

/// The place of a set of capabilities.
fn index(granted: impl Fn(Capability) -> bool) -> usize {
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

/// A linker for a component, made from one that has everything.
fn linker(
    everything: &Linker<State>,
    component: &Component,
    set: usize,
) -> wasmtime::Result<Linker<State>> {
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
}

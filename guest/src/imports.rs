//! The imported functions: those of the host in a component, and those of [`crate::native`] in
//! tests.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::syncmgr::plugin::{
    directories, statistics, synchronize_callback as callback,
};
#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::native::{callback, directories, statistics};

#[cfg(not(target_family = "wasm"))]
pub use crate::native::Pollable;
/// A `wasi:io/poll` pollable.
#[cfg(target_family = "wasm")]
pub use wasip2::io::poll::Pollable;

/// Returns the value of a setting.
pub(crate) fn setting(name: &str) -> Option<String> {
    #[cfg(not(target_family = "wasm"))]
    if let Some(value) = crate::native::setting(name) {
        return Some(value);
    }
    std::env::var(name).ok()
}

/// Returns the names of all settings. The environment of a test is not that of a plugin.
pub(crate) fn setting_names() -> Vec<String> {
    #[cfg(not(target_family = "wasm"))]
    if let Some(names) = crate::native::setting_names() {
        return names;
    }
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
}

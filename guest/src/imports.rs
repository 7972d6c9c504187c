//! Where this library's calls go: to the sync manager, or natively, in tests, to one that is made
//! up.

#[cfg(target_family = "wasm")]
pub(crate) use crate::bindings::syncmgr::plugin::{
    directories, statistics, synchronize_callback as callback,
};
#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::imports::{callback, directories, statistics};

/// Something that becomes ready: `wasi:io/poll`.
#[cfg(target_family = "wasm")]
pub use crate::bindings::wasi::io::poll::Pollable;
#[cfg(not(target_family = "wasm"))]
pub use crate::testing::imports::Pollable;

/// The value of a setting.
pub(crate) fn setting(name: &str) -> Option<String> {
    #[cfg(not(target_family = "wasm"))]
    if let Some(value) = crate::testing::imports::setting(name) {
        return Some(value);
    }
    std::env::var(name).ok()
}

//! Files and directories below an open directory, one entry at a time and never through a link.
//! Independent of WIT and wasmtime.

#[cfg(not(unix))]
pub(crate) mod portable;
#[cfg(not(unix))]
pub(crate) use portable as system;
#[cfg(unix)]
pub(crate) mod unix;
#[cfg(unix)]
pub(crate) use unix as system;

pub(crate) mod attributes;
pub(crate) mod copy_range;
pub(crate) mod device_names;
pub(crate) mod directory;
pub(crate) mod fence;
pub(crate) mod file;
pub(crate) mod held;
pub(crate) mod holes;
pub(crate) mod links;
pub(crate) mod locks;
pub(crate) mod metadata;
pub(crate) mod open_files;
pub(crate) mod parallel;
pub(crate) mod special_names;
pub(crate) mod usage;

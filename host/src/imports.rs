//! The interfaces that a plugin imports.

mod answer;
mod callback;
mod copy_files;
mod directories;
mod directory;
mod file;
mod flush_files;
mod http_errors;
pub(crate) mod linker;
pub(crate) mod names;
mod relocation;
mod room;
mod statistics;
mod wasi_files;

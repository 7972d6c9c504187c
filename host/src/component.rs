//! Describes components without running them.

pub(crate) mod complexity;
pub(crate) mod description;
mod expansion;
pub(crate) mod features;
pub(crate) mod file;
pub(crate) mod precompiled;
pub mod requests;

//! What a component is, found out without running it.

pub(crate) mod complexity;
pub(crate) mod description;
pub(crate) mod features;
pub(crate) mod file;
pub(crate) mod precompiled;
pub mod requests;

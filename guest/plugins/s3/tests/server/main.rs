//! The plugin with a server in this process, which does what real ones do wrong.

#![allow(clippy::unwrap_used, reason = "it is a test")]

mod answers;
mod api;
mod cuts;
mod keys;
mod lists;
mod parts;
mod quirks;
mod random;
mod renames;
mod scene;
mod side;
mod traps;
mod world;

//! The plugin with a server in this process, which does what real servers do wrong.

#![allow(clippy::unwrap_used, reason = "it is a test")]

mod answers;
mod chunked;
mod cuts;
mod listing;
mod permissions;
mod probe;
mod quirks;
mod random;
mod ranges;
mod renames;
mod scene;
mod side;
mod statuses;
mod transfers;
mod traps;
mod uploads;
mod world;

//! The plugin `folder`, on real directories.

mod faults;
mod flushing;
mod servers;
mod shelf;
mod sync;

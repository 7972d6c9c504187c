//! The plugin `folder`, on real directories.

mod faults;
mod flushing;
mod servers;
mod sync;

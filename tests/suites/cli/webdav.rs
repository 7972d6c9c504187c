//! The built-in plugin `webdav` with real servers.

mod probing;
mod safety;
mod scene;
mod syncing;

//! `webdav`: keeps a directory and a WebDAV collection in sync.
//!
//! [`pair`] finds the pairs, the engine syncs each of them, and [`collection`] is the side on the
//! server.

mod answer;
pub mod collection;
pub mod multistatus;
pub mod pair;
pub mod url;

use syncmgr_engine::item;
use syncmgr_plugin::{HandlerInfo, Interrupt, ItemList, Plugin, Result, SyncContext};

use crate::pair::Pair;

/// The plugin.
#[derive(Debug, Default)]
pub struct WebDav;

impl Plugin for WebDav {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("WebDAV"))
    }

    fn items(&mut self) -> Result<ItemList> {
        item::items(&Pair::all()?)
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        item::synchronize_item(&Pair::all()?, context)
    }
}

// The exports need the imports of a component.
#[cfg(target_family = "wasm")]
syncmgr_plugin::export!(WebDav);
#[cfg(target_family = "wasm")]
syncmgr_plugin::request!(include_str!("../requests.toml"));

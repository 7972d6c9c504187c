//! `webdav`: keeps a directory and a WebDAV collection in sync.
//!
//! The engine finds the pairs and syncs each of them, and [`collection`] is the side on the server.

mod answer;
pub mod collection;
pub mod multistatus;
pub mod server;
pub mod url;

use syncmgr_engine::service::{Server, ServerPair, Service};
use syncmgr_engine::{Endpoint, item};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{HandlerInfo, Interrupt, ItemList, Plugin, Result, SyncContext};

use crate::collection::Collection;

/// The plugin.
#[derive(Debug, Default)]
pub struct WebDav;

impl Plugin for WebDav {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("WebDAV"))
    }

    fn items(&mut self) -> Result<ItemList> {
        item::items(&ServerPair::<Collection>::all()?)
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        item::synchronize_item(&ServerPair::<Collection>::all()?, context)
    }
}

impl Service for Collection {
    const NAME: &'static str = "webdav";


    fn open(server: &Server, storage: &Directory) -> Result<Box<dyn Endpoint>> {
        let Server { name, url, id } = server;
        Ok(Box::new(Self::new(url, name, *id, storage.reopen()?)?))
    }
}

// The exports need the imports of a component.
#[cfg(target_family = "wasm")]
syncmgr_plugin::export!(WebDav);
#[cfg(target_family = "wasm")]
syncmgr_plugin::request!(include_str!("../requests.toml"));

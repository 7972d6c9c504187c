//! `folder`: keeps two directories in sync.
//!
//! [`pair`] finds the pairs, and the engine syncs each of them.

pub mod pair;

use syncmgr_engine::item;
use syncmgr_plugin::{HandlerInfo, Interrupt, ItemList, Plugin, Result, SyncContext};

use crate::pair::Pair;

/// The plugin.
#[derive(Debug, Default)]
pub struct Folder;

impl Plugin for Folder {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Folder"))
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
syncmgr_plugin::export!(Folder);
#[cfg(target_family = "wasm")]
syncmgr_plugin::request!(include_str!("../requests.toml"));

//! `folder`: keeps two directories in sync.
//!
//! [`pair`] finds the pairs, [`scan`] reads both sides, [`plan`] compares them with what was
//! agreed on ([`state`]) and decides, [`apply`] does it.

pub mod apply;
pub mod filter;
pub mod names;
pub mod options;
pub mod pair;
pub mod plan;
pub mod scan;
pub mod spelling;
pub mod state;
mod sync;
pub mod tree;
mod walker;

use syncmgr_plugin::{
    Error, ErrorCode, HandlerInfo, Item, ItemList, ItemRun, Plugin, Result, Stop,
};

use crate::options::Options;
use crate::pair::Pair;

/// The plugin.
#[derive(Debug, Default)]
pub struct Folder;

impl Plugin for Folder {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Folder"))
    }

    fn items(&mut self) -> Result<ItemList> {
        let pairs = Pair::all()?;
        let keys: Vec<_> = pairs.iter().filter_map(|pair| pair.key.as_deref()).collect();
        options::check_items(&keys)?;
        for pair in &pairs {
            options(pair)?;
        }
        let items = pairs.iter().map(|pair| Item::new(pair.id(), pair.name()));
        Ok(items.collect::<Vec<_>>().into())
    }

    fn synchronize_item(&mut self, run: &mut ItemRun) -> Result<(), Stop> {
        let pairs = Pair::all()?;
        let pair = pairs.iter().find(|pair| pair.id() == run.item()).ok_or_else(|| {
            Error::new(ErrorCode::NotFound, "its directories are not granted any more")
        })?;
        sync::sync(pair, &options(pair)?, run)
    }
}

/// The settings of a pair. An error says which item it is about, if there are several.
fn options(pair: &Pair) -> Result<Options> {
    let options = Options::read(pair.key.as_deref());
    options.map_err(|error| match &pair.key {
        Some(key) => error.context(format_args!("item `{key}`")),
        None => error,
    })
}

// Only a component has the imports that this needs.
#[cfg(target_family = "wasm")]
syncmgr_plugin::export!(Folder);
#[cfg(target_family = "wasm")]
syncmgr_plugin::request!(include_str!("../requests.toml"));

//! `folder`: keeps two directories in sync.
//!
//! [`pair`] finds the pairs, and the engine syncs each of them.

pub mod pair;

use syncmgr_engine::options::{self, Options};
use syncmgr_engine::tree::Side;
use syncmgr_engine::{Endpoint, Endpoints, Local};
use syncmgr_plugin::directories::{self, Directory};
use syncmgr_plugin::{
    Error, ErrorCode, HandlerInfo, Interrupt, Item, ItemList, Plugin, Result, SyncContext,
};

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

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        let pairs = Pair::all()?;
        let pair = pairs.iter().find(|pair| pair.id() == context.item()).ok_or_else(|| {
            Error::new(ErrorCode::NotFound, "the directories of the item are not granted")
        })?;
        let storage = directories::open_storage()?;
        syncmgr_engine::sync(&pair.sides(), &options(pair)?, &storage, context, |context| {
            open(pair, &storage, context)
        })
    }
}

fn open(pair: &Pair, storage: &Directory, context: &SyncContext) -> Result<Endpoints> {
    let open = |side: Side| -> Result<Box<dyn Endpoint>> {
        let grant = &pair.grants[side.index()];
        Ok(Box::new(Local::open_grant(grant, storage, side, context)?))
    };
    Ok([open(Side::Left)?, open(Side::Right)?])
}

/// Reads the settings of a pair.
fn options(pair: &Pair) -> Result<Options> {
    Options::read(pair.key.as_deref())
}

// The exports need the imports of a component.
#[cfg(target_family = "wasm")]
syncmgr_plugin::export!(Folder);
#[cfg(target_family = "wasm")]
syncmgr_plugin::request!(include_str!("../requests.toml"));

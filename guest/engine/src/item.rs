//! The items of a plugin: its pairs.

use syncmgr_plugin::directories::{self, Directory};
use syncmgr_plugin::{
    Error, ErrorCode, Interrupt, Item, ItemId, ItemList, Result, SyncContext, settings,
};

use crate::apply::Endpoints;
use crate::options::{Options, check_items};
use crate::pair::Pair;
use crate::sync::sync;

/// A pair of a plugin, which is one of its items.
pub trait PairItem {
    /// The display name, unless the item has a key or a setting `name`.
    const NAME: &'static str;

    /// Returns the names of settings of the plugin, and of granted servers, in addition to those of
    /// [`Options`].
    fn settings() -> Vec<&'static str> {
        Vec::new()
    }

    /// Returns the key of the item in the grants and settings; `None`: it is the only pair.
    fn key(&self) -> Option<&str>;

    /// Returns the id, which identifies both sides.
    fn id(&self) -> ItemId;

    /// Returns the two sides.
    fn pair(&self) -> Pair;

    /// Opens the two sides. `storage` is that of the plugin.
    ///
    /// # Errors
    /// Fails if a side does not exist, or is in use.
    fn open(&self, storage: &Directory, context: &SyncContext) -> Result<Endpoints>;
}

/// Returns the items of a plugin.
///
/// # Errors
/// Fails for an unknown or invalid setting of any item.
pub fn items<P: PairItem>(pairs: &[P]) -> Result<ItemList> {
    let keys: Vec<_> = pairs.iter().filter_map(P::key).collect();
    check_items(&keys)?;
    for pair in pairs {
        options(pair)?;
    }
    Ok(pairs.iter().map(|pair| Item::new(pair.id(), name(pair))).collect::<Vec<_>>().into())
}

/// Synchronizes the pair that is the item of a context.
///
/// # Errors
/// See [`sync`].
pub fn synchronize_item<P: PairItem>(
    pairs: &[P],
    context: &mut SyncContext,
) -> Result<(), Interrupt> {
    let pair = pairs
        .iter()
        .find(|pair| pair.id() == context.item())
        .ok_or_else(|| Error::new(ErrorCode::NotFound, "the sides of the item are not granted"))?;
    let storage = directories::open_storage()?;
    sync(&pair.pair(), &options(pair)?, &storage, context, |context| pair.open(&storage, context))
}

fn options<P: PairItem>(pair: &P) -> Result<Options> {
    Options::read(pair.key(), pair.pair().labels(), &P::settings())
}

fn name<P: PairItem>(pair: &P) -> String {
    settings::get(pair.key(), "name")
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| pair.key().unwrap_or(P::NAME).to_owned())
}

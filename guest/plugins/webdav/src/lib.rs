//! `webdav`: keeps a directory and a WebDAV collection in sync.
//!
//! [`pair`] finds the pairs, the engine syncs each of them, and [`collection`] is the side on the
//! server.

mod answer;
pub mod collection;
pub mod multistatus;
pub mod pair;
pub mod url;

use syncmgr_engine::options::{self, Options};
use syncmgr_engine::tree::Side;
use syncmgr_engine::{Endpoint, Endpoints, Local};
use syncmgr_plugin::directories::{self, Directory};
use syncmgr_plugin::{
    Error, ErrorCode, HandlerInfo, Interrupt, Item, ItemList, Plugin, Result, SyncContext,
};

use crate::collection::Collection;
use crate::collection::chunked::{Chunked, Chunks};
use crate::pair::{COLLECTION, Pair};

/// The plugin.
#[derive(Debug, Default)]
pub struct WebDav {
    chunks: Chunks,
}

impl WebDav {
    /// Sends files in chunks of other sizes, where the server has chunked uploads.
    pub const fn with_chunks(chunks: Chunks) -> Self {
        Self { chunks }
    }
}

impl Plugin for WebDav {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("WebDAV"))
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
            Error::new(
                ErrorCode::NotFound,
                "the directory or the server of the item is not granted",
            )
        })?;
        let storage = directories::open_storage()?;
        syncmgr_engine::sync(&pair.sides(), &options(pair)?, &storage, context, |context| {
            open(pair, self.chunks, &storage, context)
        })
    }
}

fn open(
    pair: &Pair,
    chunks: Chunks,
    storage: &Directory,
    context: &SyncContext,
) -> Result<Endpoints> {
    let local = Local::open_grant(&pair.local, storage, Side::Left, context)?;
    let record = format!("upload-{:08x}", pair.sides().tag());
    let chunked = Chunked::find(&pair.server, &pair.remote, chunks, storage.reopen()?, &record);
    let remote = Collection::new(&pair.remote)?.chunked(chunked);
    let (local, remote): (Box<dyn Endpoint>, Box<dyn Endpoint>) =
        (Box::new(local), Box::new(remote));
    Ok([local, remote])
}

/// Reads the settings of a pair.
fn options(pair: &Pair) -> Result<Options> {
    Options::read_with(pair.key.as_deref(), &["remote", COLLECTION])
}

// The exports need the imports of a component.
#[cfg(target_family = "wasm")]
syncmgr_plugin::export!(WebDav);
#[cfg(target_family = "wasm")]
syncmgr_plugin::request!(include_str!("../requests.toml"));

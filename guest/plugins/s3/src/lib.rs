//! `s3`: keeps a directory and a prefix of an S3 bucket in sync.
//!
//! The engine finds the pairs and syncs each of them, and [`bucket`] is the side on the server. The
//! host signs the requests: the plugin has no keys.

mod answer;
pub mod bucket;
mod codes;
pub mod location;
pub mod server;
pub mod xml;

use syncmgr_engine::service::{Server, ServerPair, Service};
use syncmgr_engine::{Endpoint, item};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{HandlerInfo, Interrupt, ItemList, Plugin, Result, SyncContext, settings};

use crate::bucket::{Bucket, Sizes};
use crate::location::{Location, encode};

/// The setting for a prefix below the granted URL.
const PREFIX: &str = "prefix";
/// The setting for the place of the bucket's name in the URL: `host` or `path`.
const BUCKET: &str = "bucket";

/// The plugin.
#[derive(Debug, Default)]
pub struct S3;

impl Plugin for S3 {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("S3"))
    }

    fn items(&mut self) -> Result<ItemList> {
        item::items(&ServerPair::<Self>::all()?)
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        item::synchronize_item(&ServerPair::<Self>::all()?, context)
    }
}

impl Service for S3 {
    const NAME: &'static str = "s3";
    const SETTINGS: &'static [&'static str] = &[PREFIX, BUCKET];

    fn url(granted: &str, setting: &dyn Fn(&str) -> Option<String>) -> Result<String> {
        let prefix = setting(PREFIX).unwrap_or_default();
        let url = match prefix.trim_matches('/') {
            "" => granted.to_owned(),
            prefix => format!("{granted}{}/", encode(prefix)),
        };
        Location::new(&url, setting(BUCKET).as_deref()).map(|_| url)
    }

    fn open(server: &Server, storage: &Directory) -> Result<Box<dyn Endpoint>> {
        open(server, storage, Sizes::default())
    }
}

/// Opens the bucket of a server.
///
/// # Errors
/// Fails if the URL names no bucket.
pub fn open(server: &Server, storage: &Directory, sizes: Sizes) -> Result<Box<dyn Endpoint>> {
    let key = server.name.rsplit_once('.').map(|(key, _)| key);
    let location = Location::new(&server.url, settings::get(key, BUCKET).as_deref())?;
    Ok(Box::new(Bucket::new(location, &server.name, server.id, storage.reopen()?, sizes)))
}

// The exports need the imports of a component.
#[cfg(target_family = "wasm")]
syncmgr_plugin::export!(S3);
#[cfg(target_family = "wasm")]
syncmgr_plugin::request!(include_str!("../requests.toml"));

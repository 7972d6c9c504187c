//! `webdav`: keeps a directory and a WebDAV collection in sync.
//!
//! The engine finds the pairs and syncs each of them, and [`collection`] is the side on the server.

mod answer;
pub mod collection;
pub mod multistatus;
pub mod permissions;
pub mod server;
pub mod url;

use syncmgr_engine::service::{Server, ServerPair, Service};
use syncmgr_engine::{Endpoint, item};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{
    Error, ErrorCode, HandlerInfo, Interrupt, ItemList, Plugin, Result, SyncContext,
};

use crate::collection::Collection;
use crate::collection::chunked::{Chunked, Chunks};

/// The setting for the path of the collection below the granted URL.
const COLLECTION: &str = "collection";

/// The plugin.
#[derive(Debug, Default)]
pub struct WebDav;

impl Plugin for WebDav {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("WebDAV"))
    }

    fn items(&mut self) -> Result<ItemList> {
        item::items(&ServerPair::<Self>::all()?)
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        item::synchronize_item(&ServerPair::<Self>::all()?, context)
    }
}

impl Service for WebDav {
    const NAME: &'static str = "webdav";
    const SETTINGS: &'static [&'static str] = &[COLLECTION];

    fn url(granted: &str, setting: &dyn Fn(&str) -> Option<String>) -> Result<String> {
        let path = setting(COLLECTION).unwrap_or_default();
        match path.trim_matches('/') {
            "" => Ok(granted.to_owned()),
            path if path.split('/').any(|name| ["", ".", ".."].contains(&name)) => {
                let message = format!(
                    "setting `{COLLECTION}` is `{path}`; use the path of a collection below the \
                     URL of the server, such as `files/me/docs`"
                );
                Err(Error::new(ErrorCode::InvalidArgument, message))
            }
            path => Ok(format!("{granted}{}/", url::encode(path))),
        }
    }

    fn open(server: &Server, storage: &Directory) -> Result<Box<dyn Endpoint>> {
        open(server, storage, Chunks::default())
    }
}

/// Opens the collection of a server. Files are sent in chunks where the server has such uploads.
///
/// # Errors
/// Fails if the URL is not valid UTF-8 once it is decoded.
pub fn open(server: &Server, storage: &Directory, chunks: Chunks) -> Result<Box<dyn Endpoint>> {
    let Server { name, granted, url, id, transfers } = server;
    let record = format!("{}.upload", id.simple());
    let chunked = Chunked::find(granted, url, chunks, storage.reopen()?, &record);
    let collection = Collection::new(url, name, *id, storage.reopen()?)?;
    Ok(Box::new(collection.chunked(chunked).with_transfers(*transfers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_below_the_server() {
        for (collection, expected) in [
            (None, Some("https://c.example/dav/")),
            (Some(""), Some("https://c.example/dav/")),
            (Some("files/a b"), Some("https://c.example/dav/files/a%20b/")),
            (Some("/files/me/"), Some("https://c.example/dav/files/me/")),
            (Some("files//me"), None),
            (Some("../me"), None),
        ] {
            let setting = |_: &str| collection.map(str::to_owned);
            let found = WebDav::url("https://c.example/dav/", &setting).ok();
            assert_eq!(found.as_deref(), expected, "{collection:?}");
        }
    }
}

// The exports need the imports of a component.
#[cfg(target_family = "wasm")]
syncmgr_plugin::export!(WebDav);
#[cfg(target_family = "wasm")]
syncmgr_plugin::request!(include_str!("../requests.toml"));

//! Syncs a directory with a shelf: a service with JSON that keeps versions and checks conditions.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde::Deserialize;
use syncmgr_engine::endpoint::{Each, Like, Progress, Removal, changed, without_cancellation};
use syncmgr_engine::service::{Server, ServerPair, Service};
use syncmgr_engine::tree::{Fingerprint, join, split};
use syncmgr_engine::{
    Capabilities, Content, Endpoint, Entry, Metadata, OpenRequest, Received, Rename, Transfer, item,
};
use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::http::{self, Request, Response};
use syncmgr_plugin::prelude::*;

/// An entry as the service describes it. A directory has no version.
#[derive(Deserialize)]
struct Item {
    size: u64,
    version: Option<String>,
}

/// A shelf, which is the remote side.
struct Shelf {
    url: String,
    /// The entries of the service by path, at the first listing.
    listed: Option<BTreeMap<String, Item>>,
    /// Copies without a name yet.
    received: BTreeMap<String, Vec<u8>>,
}

impl Shelf {
    fn url(&self, what: &str, path: &str) -> String {
        let encode = |byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02X}") };
        format!("{}{what}/{}", self.url, path.bytes().map(encode).collect::<String>())
    }

    fn send(&self, request: Request<'_>) -> Result<Response, Interrupt> {
        let response = request.retry(3).send()?;
        match response.status() {
            // A condition does not hold.
            412 => Err(changed("the file").into()),
            _ => response.check_status(),
        }
    }

    /// Returns the description of an entry, or of all.
    fn entries<T: for<'a> Deserialize<'a>>(&self, path: &str) -> Result<T, Interrupt> {
        let body = self.send(http::get(&self.url("entries", path)))?.read_to_vec(64 << 20)?;
        let invalid = |error| Error::new(ErrorCode::InputOutput, format!("the shelf: {error}"));
        Ok(serde_json::from_slice(&body).map_err(invalid)?)
    }

    /// Sends a request that is for a version of a file, if it is still that of the plan.
    fn send_for(
        &self,
        request: Request<'_>,
        path: &str,
        expected: Option<&Fingerprint>,
    ) -> Result<(Metadata, Response), Interrupt> {
        let now: Item = self.entries(path)?;
        let (found, version) = (metadata(&now), now.version.unwrap_or_default());
        match expected.is_none_or(|expected| found.fingerprint.is_still(expected)) {
            true => Ok((found, self.send(request.header("If-Match", &version))?)),
            false => Err(changed("the file").into()),
        }
    }

    fn name(&mut self, rename: &Rename<'_>) -> Result<(), Interrupt> {
        let to = join(split(rename.path).0, rename.to);
        let Some(content) = self.received.remove(rename.path) else {
            return Ok(self.rename(rename.path, &to)?);
        };
        let url = self.url("files", &to);
        let put = http::put(&url).body(&content);
        match rename.replaces {
            Some(_) => drop(self.send_for(put, &to, rename.replaces)?),
            None => drop(put.header("If-None-Match", "*").send()?.check_status()?),
        }
        Ok(())
    }

    fn open_one(&self, file: &OpenRequest<'_>) -> Result<Content, Interrupt> {
        let get = http::get(&self.url("files", file.path));
        let (metadata, response) = self.send_for(get, file.path, file.expected)?;
        Ok(Content { metadata, reader: Box::new(response) })
    }
}

fn metadata(item: &Item) -> Metadata {
    match &item.version {
        Some(version) => Metadata::file(Fingerprint::of_version(item.size, 0, version)),
        None => Metadata::directory(),
    }
}

impl Endpoint for Shelf {
    fn capabilities(&self) -> Capabilities {
        Capabilities { has_versions: true, renames: true, ..Capabilities::default() }
    }

    fn list(&mut self, directory: &str, each: &mut Each<'_>) -> Result<(), Interrupt> {
        if self.listed.is_none() {
            self.listed = Some(self.entries("")?);
        }
        let inside = self.listed.iter().flatten().filter(|(path, _)| split(path).0 == directory);
        inside.map(|(path, item)| Entry::new(split(path).1, Ok(metadata(item)))).try_for_each(each)
    }

    fn stat(&mut self, path: &str) -> Result<Option<Metadata>> {
        match without_cancellation(self.entries(path)) {
            Err(error) if error.code == ErrorCode::NotFound => Ok(None),
            item => Ok(Some(metadata(&item?))),
        }
    }

    fn open(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
        files.iter().map(|file| without_cancellation(self.open_one(file))).collect()
    }

    fn receive(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        let mut bytes = Vec::new();
        let read =
            transfer.read(from, progress, |part| bytes.write_all(part).map_err(Into::into))?;
        self.received.insert(transfer.temp.to_owned(), bytes);
        Ok(read)
    }

    fn rename_all(&mut self, renames: &[Rename<'_>]) -> Vec<Result<Option<Metadata>>> {
        let name = |rename: &Rename<'_>| without_cancellation(self.name(rename)).map(|()| None);
        renames.iter().map(name).collect()
    }

    fn rename(&mut self, path: &str, to: &str) -> Result<()> {
        let body = serde_json::json!({ "from": path, "to": to }).to_string();
        let request = http::post(&self.url("moves", "")).body(body.as_bytes());
        without_cancellation(self.send(request)).map(drop)
    }

    fn keep_in_trash(&mut self, removals: &[Removal<'_>], stays: bool) -> Vec<Result<()>> {
        let keep = |one: &Removal<'_>| match stays {
            true => Ok(()),
            false => self.remove(one.path, Some(one.expected)),
        };
        removals.iter().map(keep).collect()
    }

    fn remove(&mut self, path: &str, expected: Option<&Fingerprint>) -> Result<()> {
        if self.received.remove(path).is_some() {
            return Ok(());
        }
        let request = http::delete(&self.url("files", path));
        without_cancellation(self.send_for(request, path, expected)).map(drop)
    }

    fn create_directory(&mut self, path: &str, _like: Option<Like<'_>>) -> Result<()> {
        let request = http::put(&self.url("directories", path)).body(b"");
        without_cancellation(self.send(request)).map(drop)
    }

    fn remove_directory(&mut self, path: &str) -> Result<()> {
        without_cancellation(self.send(http::delete(&self.url("directories", path)))).map(drop)
    }
}

impl Service for Shelf {
    const NAME: &'static str = "shelf";

    fn open(server: &Server, _storage: &Directory) -> Result<Box<dyn Endpoint>> {
        let url = server.url.clone();
        Ok(Box::new(Self { url, listed: None, received: BTreeMap::new() }))
    }
}

#[derive(Default)]
struct ShelfPlugin;

impl Plugin for ShelfPlugin {
    fn handler_info(&self) -> Result<HandlerInfo> {
        Ok(HandlerInfo::new("Shelf"))
    }

    fn items(&mut self) -> Result<ItemList> {
        item::items(&ServerPair::<Shelf>::all()?)
    }

    fn synchronize_item(&mut self, context: &mut SyncContext) -> Result<(), Interrupt> {
        item::synchronize_item(&ServerPair::<Shelf>::all()?, context)
    }
}

syncmgr_plugin::export!(ShelfPlugin);
syncmgr_plugin::request!(include_str!("shelf.toml"));

//! A two-way synchronization engine for plugins: an author writes *how to reach a service*, as an
//! [`Endpoint`], and the engine keeps it in sync with a local directory, or with another service.
//!
//! [`scan`] lists both sides, [`plan`] compares them with the baseline ([`state`]) and decides, and
//! [`apply`] carries the plan out. [`sync`](sync()) is one run of one pair.
//!
//! # Guarantees
//! - A version of a file is lost only if the trash is switched off. A conflict keeps both versions.
//! - A side is compared with its own past, never with the clock or the ids of the other one.
//! - Nothing is deleted that was not seen in sync before, and a run that would delete too much, or
//!   that finds a side empty or replaced, stops before its first change.
//! - A name always has the old or the new content, and the baseline records a change only after
//!   it is permanent. A run can be interrupted anywhere.
//!
//! # A side
//! This is a complete side, in memory. One that talks to a service has the same functions.
//! [`testing::check_side`] finds the promises that it breaks:
//! ```
//! use std::collections::BTreeMap;
//! use std::io::Cursor;
//!
//! use syncmgr_engine::endpoint::{Each, Like, Progress, Removal, changed};
//! use syncmgr_engine::testing::check_side;
//! use syncmgr_engine::tree::{Fingerprint, join, split};
//! use syncmgr_engine::{
//!     Capabilities, Content, Endpoint, Entry, Metadata, OpenRequest, Received, Rename, Transfer,
//! };
//! use syncmgr_plugin::prelude::*;
//!
//! /// Contents with their versions by path, a directory without content; and the number of writes.
//! #[derive(Default)]
//! struct Map(BTreeMap<String, (Option<Vec<u8>>, u64)>, u64);
//!
//! impl Map {
//!     fn put(&mut self, path: &str, content: Option<Vec<u8>>) {
//!         self.1 += 1;
//!         self.0.insert(path.to_owned(), (content, self.1));
//!     }
//!     fn metadata(&self, path: &str) -> Result<Metadata> {
//!         let missing = || Error::new(ErrorCode::NotFound, "it does not exist");
//!         let (content, version) = self.0.get(path).ok_or_else(missing)?;
//!         let Some(content) = content else { return Ok(Metadata::directory()) };
//!         let size = content.len() as u64;
//!         Ok(Metadata::file(Fingerprint::of_version(size, 0, &version.to_string())))
//!     }
//!     fn refuse(&self, refused: bool) -> Result<()> {
//!         let used = || Error::new(ErrorCode::AlreadyExists, "the name is used");
//!         if refused { Err(used()) } else { Ok(()) }
//!     }
//!     fn check(&self, path: &str, expected: Option<&Fingerprint>) -> Result<()> {
//!         let now = self.metadata(path)?;
//!         self.refuse(now.is_directory())?;
//!         let is_it = expected.is_none_or(|expected| now.fingerprint.is_still(expected));
//!         if is_it { Ok(()) } else { Err(changed("the file")) }
//!     }
//!     fn is_full(&self, path: &str) -> bool {
//!         self.0.keys().any(|other| split(other).0 == path)
//!     }
//!     fn rename_one(&mut self, rename: &Rename<'_>) -> Result<Option<Metadata>> {
//!         let to = join(split(rename.path).0, rename.to);
//!         if rename.replaces.is_some() {
//!             self.check(&to, rename.replaces)?;
//!         }
//!         self.refuse(rename.replaces.is_none() && self.0.contains_key(&to))?;
//!         self.metadata(rename.path)?;
//!         let entry = self.0.remove(rename.path);
//!         self.0.extend(entry.map(|entry| (to.clone(), entry)));
//!         self.metadata(&to).map(Some)
//!     }
//! }
//!
//! impl Endpoint for Map {
//!     fn capabilities(&self) -> Capabilities {
//!         Capabilities { has_versions: true, ..Capabilities::default() }
//!     }
//!     fn list(&mut self, directory: &str, each: &mut Each<'_>) -> Result<(), Interrupt> {
//!         if !directory.is_empty() && self.metadata(directory)? != Metadata::directory() {
//!             return Err(Error::failed("it is a file").into());
//!         }
//!         let inside = self.0.keys().filter(|path| split(path).0 == directory);
//!         inside.map(|path| Entry::new(split(path).1, self.metadata(path))).try_for_each(each)
//!     }
//!     fn stat(&mut self, path: &str) -> Result<Option<Metadata>> {
//!         Ok(self.metadata(path).ok())
//!     }
//!     fn open(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
//!         let open = |file: &OpenRequest<'_>| {
//!             let metadata = self.metadata(file.path)?;
//!             let content = self.0[file.path].0.clone().unwrap_or_default();
//!             Ok(Content { metadata, reader: Box::new(Cursor::new(content)) })
//!         };
//!         files.iter().map(open).collect()
//!     }
//!     fn receive(
//!         &mut self,
//!         from: &mut dyn Endpoint,
//!         transfer: &Transfer<'_>,
//!         progress: &mut Progress<'_>,
//!     ) -> Result<Received, Interrupt> {
//!         let mut content = Vec::new();
//!         let received = transfer.read(from, progress, |part| Ok(content.extend_from_slice(part)))?;
//!         self.put(transfer.temp, Some(content));
//!         Ok(received)
//!     }
//!     fn rename_all(&mut self, renames: &[Rename<'_>]) -> Vec<Result<Option<Metadata>>> {
//!         renames.iter().map(|rename| self.rename_one(rename)).collect()
//!     }
//!     fn keep_in_trash(&mut self, removals: &[Removal<'_>], stays: bool) -> Vec<Result<()>> {
//!         // A service would keep them.
//!         let keep = |one: &Removal<'_>| match stays {
//!             true => self.check(one.path, Some(one.expected)),
//!             false => self.remove(one.path, Some(one.expected)),
//!         };
//!         removals.iter().map(keep).collect()
//!     }
//!     fn remove(&mut self, path: &str, expected: Option<&Fingerprint>) -> Result<()> {
//!         self.check(path, expected)?;
//!         self.0.remove(path);
//!         Ok(())
//!     }
//!     fn create_directory(&mut self, path: &str, _like: Option<Like<'_>>) -> Result<()> {
//!         self.refuse(self.0.contains_key(path))?;
//!         if !split(path).0.is_empty() {
//!             self.metadata(split(path).0)?;
//!         }
//!         self.put(path, None);
//!         Ok(())
//!     }
//!     fn remove_directory(&mut self, path: &str) -> Result<()> {
//!         self.metadata(path)?;
//!         self.refuse(self.is_full(path))?;
//!         self.0.remove(path);
//!         Ok(())
//!     }
//! }
//!
//! assert_eq!(check_side(&mut Map::default()), []);
//! ```
#![deny(missing_docs)]

pub mod apply;
pub mod endpoint;
pub mod filter;
pub mod item;
pub mod local;
pub mod names;
pub mod options;
mod outage;
pub mod pair;
pub mod plan;
pub mod scan;
pub mod seal;
pub mod service;
pub mod spelling;
pub mod state;
mod sync;
pub mod testing;
pub mod tree;

pub use apply::Endpoints;
pub use endpoint::{Capabilities, Content, Endpoint, Entry, Identity, Metadata, Received, Rename};
pub use endpoint::{Keep, OpenRequest, Renamed, Run, Transfer};
pub use item::PairItem;
pub use local::Local;
pub use options::Options;
pub use pair::{Pair, SideGrant};
pub use sync::sync;

//! A granted directory as a side.

mod copies;
mod flush;
mod modes;
mod open;
mod permit;
mod rename;
mod stream;
mod trash;
mod walker;

use std::any::Any;
use std::collections::HashMap;

use syncmgr_plugin::directories::{self, Directory, DirectoryLock, EntryKind, EntryMetadata, File};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};
use uuid::Uuid;

use crate::endpoint::{
    Capabilities, Content, Each, Endpoint, Entry, Identity, Like, Metadata, OpenRequest, Progress,
    Received, Removal, Rename, Run, Transfer, changed,
};
use crate::names;
use crate::tree::{Digest, Fingerprint, Side, join, split};
use modes::KeptModes;
use permit::Opened;
use stream::Reader;
use trash::Trash;
pub(crate) use trash::{Place, remove_old};
use walker::{HANDLES, Walker};

/// The bytes to copy or to hash between two checks for a cancellation.
const STEP_BYTES: u64 = 4 << 20;
const HASH_BYTES: u64 = 16 << 20;
/// The number of directory handles until the changes begin.
const SCAN_HANDLES: usize = 32;

/// A granted directory.
pub struct Local {
    top: Directory,
    walker: Walker,
    storage: Directory,
    /// The directory of this side in the trash.
    side: Side,
    /// The id of the grant.
    id: Uuid,
    /// How messages name it.
    description: String,
    identity: Identity,
    run: Option<Run>,
    trash: Trash,
    opened: Opened,
    kept_modes: KeptModes,
    /// Whether unusual characters can be stored.
    trials: HashMap<String, bool>,
    /// Received copies that are open, by path.
    received: HashMap<String, File>,
    _lock: Option<DirectoryLock>,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Local({})", self.description)
    }
}

impl Local {
    /// Does something in the directory of an entry. If that is denied, makes the directory writable
    /// and tries again.
    fn permitted<T>(
        &mut self,
        path: &str,
        action: impl Fn(&mut Self, &str) -> Result<T>,
    ) -> Result<T> {
        let (parent, name) = split(path);
        match action(self, name) {
            Err(error) if error.code == ErrorCode::AccessDenied => match self.open_up(parent)? {
                true => action(self, name),
                false => Err(error),
            },
            outcome => outcome,
        }
    }

    fn parent(&mut self, path: &str) -> Result<&Directory> {
        self.walker.directory(split(path).0, false)
    }

    /// Checks that a file or link is still the expected one.
    fn check(&mut self, path: &str, expected: &Fingerprint) -> Result<()> {
        match self.stat(path)? {
            Some(now) => expect(&now.fingerprint, expected),
            None => Err(Error::new(ErrorCode::NotFound, "it does not exist")),
        }
    }

    fn verify(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.verify)
    }

    fn temp(&self) -> String {
        self.run.as_ref().map(|run| run.temps.next()).unwrap_or_default()
    }

    /// Completes the message of an error with the operation, the path and the side.
    fn cannot(&self, what: &str, path: &str, error: &Error) -> Error {
        names::cannot(what, path, &self.description, error)
    }
}

impl Endpoint for Local {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            at_once: 1,
            transfers: 8,
            keeps_times: true,
            hashes_cheaply: true,
            has_versions: false,
            has_links: true,
            renames: true,
            // Another medium may have the same file ids.
            has_ids: false,
            clock_ahead: 0,
        }
    }

    fn identity(&self) -> Identity {
        self.identity
    }

    fn repair(&mut self) -> Result<()> {
        self.repair_modes()
    }

    fn list(&mut self, directory: &str, each: &mut Each<'_>) -> Result<(), Interrupt> {
        for entry in self.walker.directory(directory, false)?.list()? {
            let entry = entry?;
            let metadata = match &entry.metadata {
                Ok(metadata) => Ok(metadata_of(metadata)),
                Err(error) => Err(Error::new(error.code, error.message.clone())),
            };
            each(Entry { name: entry.name, metadata })?;
        }
        Ok(())
    }

    fn stat(&mut self, path: &str) -> Result<Option<Metadata>> {
        let (parent, name) = split(path);
        let found = self.walker.directory(parent, false)?.stat(name)?;
        Ok(found.as_ref().map(metadata_of))
    }

    fn read_link(&mut self, path: &str) -> Result<String> {
        self.parent(path)?.read_link(split(path).1)
    }

    fn open(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
        let open = |request: &OpenRequest<'_>| {
            let path = request.path;
            let file = self.parent(path)?.open_file(split(path).1)?;
            let metadata = metadata_of(&file.metadata()?);
            Ok(Content { metadata, reader: Box::new(Reader(file)) })
        };
        files.iter().map(open).collect()
    }

    fn hash(&mut self, path: &str, progress: &mut Progress<'_>) -> Result<Digest, Interrupt> {
        let file = self.parent(path)?.open_file(split(path).1)?;
        let size = file.metadata()?.size;
        let mut read = 0;
        loop {
            let step = file.hash(HASH_BYTES)?;
            read += step;
            if step == 0 {
                return Ok(file.digest());
            }
            // Reading a file that another program keeps appending to might never end.
            if read > size {
                let message = "the file grows while it is read; the next run syncs it";
                return Err(Error::new(ErrorCode::Changed, message).into());
            }
            progress(step)?;
        }
    }

    fn begin(&mut self, run: &Run) {
        self.walker.set_handles(HANDLES);
        self.run = Some(run.clone());
    }

    fn receive(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        match local(from) {
            Some(from) => self.copy(from, transfer, progress),
            None => {
                let content = transfer.open(from)?;
                self.store(content, transfer, progress)
            }
        }
    }

    fn receive_all(
        &mut self,
        from: &mut dyn Endpoint,
        transfers: &[Transfer<'_>],
    ) -> Vec<Result<Received, Interrupt>> {
        match local(from) {
            Some(from) => self.copy_all(from, transfers),
            None => self.store_all(from, transfers),
        }
    }

    fn flush_received(&mut self, temps: &[&str], durable: bool) -> Vec<Result<()>> {
        let files: Vec<_> = temps.iter().map(|temp| self.received.remove(*temp)).collect();
        if !durable {
            return temps.iter().map(|_| Ok(())).collect();
        }
        let open: Vec<_> = files.iter().flatten().collect();
        let mut flushed = directories::flush_files(&open).into_iter();
        let missing = || Err(Error::failed("the copy is not open"));
        let result = |file: &Option<File>| match file {
            Some(_) => flushed.next().unwrap_or_else(missing),
            None => missing(),
        };
        files.iter().map(result).collect()
    }

    fn rename_all(&mut self, renames: &[Rename<'_>]) -> Vec<Result<Option<Metadata>>> {
        let rename = |one: &Rename<'_>| {
            if let Some(planned) = one.replaces
                && let Some(now) = self.stat(&join(split(one.path).0, one.to))?
            {
                // Its copy in the trash may be a link, which changes the time of the status.
                let planned = Fingerprint { changed: None, ..*planned };
                expect(&now.fingerprint, &planned)?;
            }
            self.permitted(one.path, |local, name| {
                let directory = local.parent(one.path)?;
                match one.replaces {
                    Some(_) => directory.rename(name, directory, one.to),
                    None => directory.rename_new(name, directory, one.to),
                }
            })
            .map(|()| None)
        };
        renames.iter().map(rename).collect()
    }

    fn rename(&mut self, path: &str, to: &str) -> Result<()> {
        self.rename_entry(path, to)
    }

    fn keep_in_trash(&mut self, removals: &[Removal<'_>], stays: bool) -> Vec<Result<()>> {
        let keep = |one: &Removal<'_>| {
            self.check(one.path, one.expected)?;
            self.permitted(one.path, |local, _| local.keep(one.path, stays))
        };
        removals.iter().map(keep).collect()
    }

    fn remove(&mut self, path: &str, expected: Option<&Fingerprint>) -> Result<()> {
        self.received.remove(path);
        if let Some(expected) = expected {
            self.check(path, expected)?;
        }
        self.permitted(path, |local, name| local.parent(path)?.remove_file(name))
    }

    fn create_directory(&mut self, path: &str, like: Option<Like<'_>>) -> Result<()> {
        let mode = like.as_ref().and_then(|like| like.mode).map(u32::from);
        let source = like.and_then(|like| {
            let from = local(like.side)?;
            from.walker.directory(like.path, false).and_then(Directory::reopen).ok()
        });
        self.permitted(path, |local, name| {
            let target = local.parent(path)?;
            match &source {
                Some(source) => target.create_directory_like(name, source, mode),
                None => target.create_directory(name, mode),
            }
        })
    }

    fn remove_directory(&mut self, path: &str) -> Result<()> {
        self.permitted(path, |local, name| local.parent(path)?.remove_directory(name))?;
        self.opened.is_settled(path);
        Ok(())
    }

    fn create_link(&mut self, path: &str, target: &str) -> Result<()> {
        self.permitted(path, |local, name| local.parent(path)?.create_link(name, target))
    }

    fn set_mode(&mut self, path: &str, mode: u16) -> Result<()> {
        self.parent(path)?.set_mode(split(path).1, mode.into())?;
        self.opened.is_settled(path);
        Ok(())
    }

    fn set_modified(&mut self, path: &str, modified: i64) -> Result<()> {
        self.permitted(path, |local, name| local.parent(path)?.set_modified(name, modified))
    }

    fn keeps_modes(&mut self, directory: &str, is_open: bool) -> bool {
        self.find_kept_modes(directory, is_open)
    }

    fn can_store(&mut self, directory: &str, characters: &str) -> Result<bool> {
        if let Some(known) = self.trials.get(characters) {
            return Ok(*known);
        }
        let temp = self.temp();
        let directory = self.walker.directory(directory, false)?;
        let tried = format!("{temp}{characters}");
        let can = match directory.create_file(&tried) {
            Ok(_) => {
                // Some file systems omit trailing characters.
                let is_cut = directory.stat(&temp)?.is_some();
                directory.remove_file(&tried)?;
                !is_cut
            }
            Err(error) if names::is_refused(&error) => false,
            // The operation itself determines the reason.
            Err(_) => return Ok(true),
        };
        self.trials.insert(characters.to_owned(), can);
        Ok(can)
    }

    fn take_changed_trash(&mut self) -> Vec<String> {
        self.trash.take_changed()
    }

    fn flush_directories(&mut self, directories: &[&str], in_trash: bool) -> Vec<Result<()>> {
        self.flush_all(directories, in_trash)
    }

    fn finish(&mut self) -> Vec<(&'static str, String, Error)> {
        self.shut_all()
    }

    fn forget_repairs(&mut self) {
        self.forget_note();
    }

    fn as_any(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }
}

/// Returns a side as a local directory, if it is one.
pub(crate) fn local(end: &mut dyn Endpoint) -> Option<&mut Local> {
    end.as_any()?.downcast_mut()
}

/// Converts the metadata of an entry.
fn metadata_of(metadata: &EntryMetadata) -> Metadata {
    Metadata {
        kind: metadata.kind,
        fingerprint: Fingerprint {
            size: metadata.size,
            modified: metadata.modified,
            changed: metadata.changed.and_then(std::num::NonZeroI64::new),
            file_id: metadata.file_id,
        },
        mode: mode_of(metadata),
        identity: (metadata.file_id != 0).then_some((metadata.device_id, metadata.file_id)),
    }
}

/// Returns the permission bits to sync, without setuid and setgid.
fn mode_of(metadata: &EntryMetadata) -> Option<u16> {
    let synced = match metadata.kind {
        EntryKind::Directory => 0o3777,
        EntryKind::File | EntryKind::SymbolicLink | EntryKind::Other => 0o777,
    };
    metadata.mode.and_then(|mode| u16::try_from(mode & synced).ok())
}

/// Returns whether a fingerprint is still that of the plan, or the error that it changed.
fn expect(now: &Fingerprint, planned: &Fingerprint) -> Result<()> {
    match now.is_still(planned) {
        true => Ok(()),
        false => Err(changed("the file")),
    }
}

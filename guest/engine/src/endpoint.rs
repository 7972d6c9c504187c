//! The interface to one side of a pair.

mod copy;
mod entry;

use std::any::Any;

use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};
use uuid::Uuid;

pub use copy::{Content, OpenRequest, Received, Transfer};
pub use entry::{Entry, Identity, Metadata};

use crate::names::TempNames;
use crate::tree::{Digest, Fingerprint};

/// One side of a pair: a tree of files that can be listed, read and changed.
///
/// A path is relative to the root, with `/` between names; the root is the empty path. Every
/// function fails with [`NotFound`](ErrorCode::NotFound) for an entry that does not exist, with
/// [`Changed`](ErrorCode::Changed) for one that is not what it should be, and with
/// [`NoSpace`](ErrorCode::NoSpace) if there is no room for it.
///
/// Functions for several entries return one result for each, in their order. They may work on
/// several at once, and one failure must not prevent the others.
pub trait Endpoint {
    /// Returns what this side can do.
    fn capabilities(&self) -> Capabilities;

    /// Identifies the root wherever it is mounted; `None`: unknown.
    fn identity(&self) -> Identity {
        None
    }

    /// Restores what a killed run left in a special state. Called before anything is listed,
    /// unless the run is a preview.
    ///
    /// # Errors
    /// Fails if that is impossible, which stops the run.
    fn repair(&mut self) -> Result<()> {
        Ok(())
    }

    /// Announces that these directories will be listed next, in this order. The side may request
    /// them in advance.
    fn expect_lists(&mut self, _directories: &[String]) {}

    /// Lists a directory, and passes each entry to `each`, in any order.
    ///
    /// # Errors
    /// Fails if the list is not complete: entries that are missing count as deleted. Returns the
    /// interrupts of `each`.
    fn list(&mut self, directory: &str, each: &mut Each<'_>) -> Result<(), Interrupt>;

    /// Returns the metadata of an entry; `None`: there is no such entry.
    ///
    /// # Errors
    /// Fails if that cannot be found out.
    fn stat(&mut self, path: &str) -> Result<Option<Metadata>>;

    /// Returns the metadata of several entries, see [`Endpoint::stat`].
    fn stat_all(&mut self, paths: &[&str]) -> Vec<Result<Option<Metadata>>> {
        paths.iter().map(|path| self.stat(path)).collect()
    }

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    /// Fails with [`NotImplemented`](ErrorCode::NotImplemented) on a side without links.
    fn read_link(&mut self, _path: &str) -> Result<String> {
        Err(not_implemented("symbolic links"))
    }

    /// Opens files for reading, at most [`Capabilities::transfers`].
    fn open(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>>;

    /// Returns the digest of a file's content. `progress` is called after each part, with the
    /// number of bytes.
    ///
    /// # Errors
    /// Fails with [`Changed`](ErrorCode::Changed) if the length of the file is not that of its
    /// metadata, and with the interrupts of `progress`.
    fn hash(&mut self, path: &str, progress: &mut Progress<'_>) -> Result<Digest, Interrupt> {
        let content = self.open(&[OpenRequest { path, expected: None }]).pop();
        content.unwrap_or_else(|| Err(Error::failed("no result")))?.digest(progress)
    }

    /// Begins the changes of a run.
    fn begin(&mut self, _run: &Run) {}

    /// Copies a file of the other side under a temporary name. `progress` is called after each
    /// part, with the number of bytes.
    ///
    /// # Errors
    /// Fails with [`Changed`](ErrorCode::Changed) if the source does not match
    /// [`Transfer::source`], and with the interrupts of `progress`. Then nothing is left under the
    /// temporary name, if possible.
    fn receive(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt>;

    /// Copies several small files, see [`Endpoint::receive`].
    fn receive_all(
        &mut self,
        from: &mut dyn Endpoint,
        transfers: &[Transfer<'_>],
    ) -> Vec<Result<Received, Interrupt>> {
        let each = |transfer| self.receive(from, transfer, &mut |_| Ok(()));
        transfers.iter().map(each).collect()
    }

    /// Makes received copies permanent before they get their names, with `durable`.
    fn flush_received(&mut self, temps: &[&str], _durable: bool) -> Vec<Result<()>> {
        temps.iter().map(|_| Ok(())).collect()
    }

    /// Renames files or links in their directories. A target that is to be replaced was kept in the
    /// trash before, with [`Run::trash`].
    ///
    /// Returns the metadata under the new name, if the side knows them from the change itself: they
    /// are those of the copy, and not of a file that another program has put there since. With
    /// `None`, the engine asks for them.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) for a target that exists and is not to
    /// be replaced, and with [`Changed`](ErrorCode::Changed) if the one to replace is another one.
    fn rename_all(&mut self, renames: &[Rename<'_>]) -> Vec<Result<Option<Metadata>>>;

    /// Renames an entry of any type, with everything in it. `to` is its new path, which may be in
    /// another directory, or differ only in case. Called only with [`Capabilities::renames`].
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if another entry has the new path,
    /// and with [`NotImplemented`](ErrorCode::NotImplemented) if the entry cannot be moved there,
    /// such as to another file system.
    fn rename(&mut self, _path: &str, _to: &str) -> Result<()> {
        Err(not_implemented("renames"))
    }

    /// Returns the files whose fingerprints changed when they were renamed by
    /// [`rename`](Self::rename), and forgets them. Otherwise, the next run compares their contents.
    fn take_renamed(&mut self) -> Vec<Renamed> {
        Vec::new()
    }

    /// Moves files or links that are deleted to the trash. With `stays`, they are going to be
    /// replaced, and copies in the trash are sufficient. The engine has just compared them with
    /// their fingerprints; the side compares them again, where it can once nothing else can replace
    /// them.
    ///
    /// # Errors
    /// Fails with [`NoSpace`](ErrorCode::NoSpace) if the trash is full, with
    /// [`Changed`](ErrorCode::Changed) if one is not the expected one, and with
    /// [`NotFound`](ErrorCode::NotFound) if it does not exist.
    fn keep_in_trash(&mut self, removals: &[Removal<'_>], stays: bool) -> Vec<Result<()>>;

    /// Removes a file or link. `expected` is its fingerprint, which is compared as in
    /// [`Endpoint::keep_in_trash`]; `None`: it is a temporary entry.
    ///
    /// # Errors
    /// Fails for a directory.
    fn remove(&mut self, path: &str, expected: Option<&Fingerprint>) -> Result<()>;

    /// Creates a directory. Without `like`, it has the owner and the permissions of a new one.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if the name is used.
    fn create_directory(&mut self, path: &str, like: Option<Like<'_>>) -> Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Fails with [`AlreadyExists`](ErrorCode::AlreadyExists) if it is not empty.
    fn remove_directory(&mut self, path: &str) -> Result<()>;

    /// Creates a symbolic link.
    ///
    /// # Errors
    /// Fails with [`NotImplemented`](ErrorCode::NotImplemented) on a side without links.
    fn create_link(&mut self, _path: &str, _target: &str) -> Result<()> {
        Err(not_implemented("symbolic links"))
    }

    /// Sets permission bits.
    ///
    /// # Errors
    /// Fails with [`NotImplemented`](ErrorCode::NotImplemented) on a side without them.
    fn set_mode(&mut self, _path: &str, _mode: u16) -> Result<()> {
        Err(not_implemented("permissions"))
    }

    /// Sets the modification time of a file, in ns since 1970.
    ///
    /// # Errors
    /// Fails with [`NotImplemented`](ErrorCode::NotImplemented) on a side that cannot.
    fn set_modified(&mut self, _path: &str, _modified: i64) -> Result<()> {
        Err(not_implemented("setting times"))
    }

    /// Returns whether the entries of a directory keep the permission bits that are set. `is_open`:
    /// everything on this side shows all permissions.
    fn keeps_modes(&mut self, _directory: &str, _is_open: bool) -> bool {
        false
    }

    /// Returns whether a directory can store a name with these unusual characters.
    ///
    /// # Errors
    /// Fails if the attempt leaves something behind.
    fn can_store(&mut self, _directory: &str, _characters: &str) -> Result<bool> {
        Ok(true)
    }

    /// Returns the directories of the trash that have new entries, and forgets them.
    fn take_changed_trash(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Returns whether entries of directories count as done only after
    /// [`flush_directories`](Self::flush_directories). `durable` is [`Run::durable`].
    fn flushes(&self, durable: bool) -> bool {
        durable
    }

    /// Makes the entries of directories permanent, on this side or in its trash.
    fn flush_directories(&mut self, directories: &[&str], _in_trash: bool) -> Vec<Result<()>> {
        directories.iter().map(|_| Ok(())).collect()
    }

    /// Restores what the changes of a run put into a special state. Returns what failed, as the
    /// operation, the path and the reason.
    fn finish(&mut self) -> Vec<(&'static str, String, Error)> {
        Vec::new()
    }

    /// Records that the run is complete and that nothing needs to be repaired.
    fn forget_repairs(&mut self) {}

    /// Returns itself, if sides of its type copy files between each other without the plugin.
    fn as_any(&mut self) -> Option<&mut dyn Any> {
        None
    }
}

/// Receives the entries of a listing.
pub type Each<'a> = dyn FnMut(Entry) -> Result<(), Interrupt> + 'a;

/// Receives the number of bytes of each part of a file that was read.
pub type Progress<'a> = dyn FnMut(u64) -> Result<(), Interrupt> + 'a;

/// The directory of the other side that a new one corresponds to.
pub struct Like<'a> {
    /// The side, whose owner the new one may get.
    pub side: &'a mut dyn Endpoint,
    /// The path there.
    pub path: &'a str,
    /// The permission bits of the new one; `None`: those of a new directory.
    pub mode: Option<u16>,
}

/// The capabilities of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The number of entries that functions for several of them should get, from 1.
    pub at_once: usize,
    /// The number of files that [`Endpoint::open`] should get, from 1.
    pub transfers: usize,
    /// Whether it keeps the modification times that are set. Otherwise, times alone are not
    /// synced.
    pub keeps_times: bool,
    /// Whether a digest costs less than a copy. Otherwise, a file whose fingerprint changed counts
    /// as changed.
    pub hashes_cheaply: bool,
    /// Whether another content has another fingerprint. Otherwise, the content of a file that was
    /// written within two seconds before the scan decides.
    pub has_versions: bool,
    /// Whether it has symbolic links. Otherwise, those of the other side are skipped.
    pub has_links: bool,
    /// Whether it renames entries, see [`Endpoint::rename`]. Otherwise, an entry that was moved on
    /// the other side is copied and deleted.
    pub renames: bool,
    /// Whether a file keeps its fingerprint when it is moved, and no other file ever has the same
    /// one. Otherwise, only its content shows that a file was moved; without
    /// [`hashes_cheaply`](Self::hashes_cheaply), it is copied and deleted on the other side.
    pub has_ids: bool,
    /// How far its clock is ahead of that of the plugin, in ns.
    pub clock_ahead: i64,
}

impl Default for Capabilities {
    /// Nothing, for one entry at once.
    fn default() -> Self {
        Self {
            at_once: 1,
            transfers: 8,
            keeps_times: false,
            hashes_cheaply: false,
            has_versions: false,
            has_links: false,
            renames: false,
            has_ids: false,
            clock_ahead: 0,
        }
    }
}

/// A file or link to rename.
#[derive(Clone, Copy, Debug)]
pub struct Rename<'a> {
    /// The path.
    pub path: &'a str,
    /// The new name.
    pub to: &'a str,
    /// The entry to replace; `None`: the name must be unused.
    pub replaces: Option<&'a Fingerprint>,
}

/// A file with another fingerprint after a rename.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The new path.
    pub path: String,
    /// The fingerprint before.
    pub before: Fingerprint,
    /// The fingerprint now.
    pub now: Fingerprint,
}

/// A file or link to move to the trash.
#[derive(Clone, Copy, Debug)]
pub struct Removal<'a> {
    /// The path.
    pub path: &'a str,
    /// The expected entry.
    pub expected: &'a Fingerprint,
}

/// The changes of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The name of this run's directory in the trash.
    pub stamp: String,
    /// Whether copies are read back.
    pub verify: bool,
    /// Whether changes are flushed before they count as done.
    pub durable: bool,
    /// Whether replaced and deleted files are kept in the trash.
    pub trash: bool,
    /// Names for temporary files.
    pub temps: TempNames,
    /// The ids of the left and the right side.
    pub pair: [Uuid; 2],
    /// The runs that stay in the trash.
    pub keep: Keep,
}

/// The runs of a pair that stay in the trash, in addition to the current one. A side on a server
/// keeps all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The name of the first run that is not too old; `None`: any age.
    pub since: Option<String>,
    /// The maximum size of all runs in bytes; `None`: any size.
    pub bytes: Option<u64>,
}

impl Keep {
    /// Returns whether all runs stay.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether a run is too old to stay.
    pub fn is_too_old(&self, stamp: &str) -> bool {
        self.since.as_deref().is_some_and(|since| stamp < since)
    }
}

/// Returns the error for something that is not what the plan expects.
pub fn changed(what: &str) -> Error {
    Error::new(ErrorCode::Changed, format!("{what} changed during the sync; the next run syncs it"))
}

/// Returns the error of a result in a function that cannot be cancelled. The engine sees the
/// cancellation at its next check.
pub fn without_cancellation<T>(result: Result<T, Interrupt>) -> Result<T> {
    result.map_err(|interrupt| match interrupt {
        Interrupt::Failed(error) => error,
        Interrupt::Item | Interrupt::All => Error::new(ErrorCode::Cancelled, "cancelled"),
    })
}

fn not_implemented(what: &str) -> Error {
    Error::new(ErrorCode::NotImplemented, format!("this side has no {what}"))
}

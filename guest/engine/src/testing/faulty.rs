//! A side that fails when a test wants it to.

use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use crate::endpoint::{
    Capabilities, Content, Each, Endpoint, Identity, Like, Metadata, OpenRequest, Progress,
    Received, Removal, Rename, Renamed, Run, Transfer,
};
use crate::tree::{Digest, Fingerprint};

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is made.
    Made,
    /// It fails with this code, and nothing happened.
    Failed(ErrorCode),
    /// It is made, and fails with [`NotConnected`](ErrorCode::NotConnected): its answer is lost.
    Lost,
    /// It succeeds, and nothing happened: a listing is empty, and there is no metadata. Calls that
    /// return something else are made.
    Ignored,
}

/// A side whose calls pass a function of the test first. The function gets the name of the trait's
/// function. It can change the side, or something else, just before the call. A call for several
/// entries is one call for each of them.
///
/// # Examples
/// The second rename fails, as if the connection was cut:
/// ```
/// use syncmgr_engine::testing::{Faulty, Memory, Turn};
/// use syncmgr_plugin::ErrorCode;
///
/// let mut renames = 0;
/// let side = Faulty::new(Memory::default(), move |function| {
///     renames += u32::from(function == "rename_all");
///     match function == "rename_all" && renames == 2 {
///         true => Turn::Failed(ErrorCode::NotConnected),
///         false => Turn::Made,
///     }
/// });
/// ```
pub struct Faulty<E> {
    side: E,
    turn: Box<dyn FnMut(&'static str) -> Turn>,
}

impl<E: std::fmt::Debug> std::fmt::Debug for Faulty<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faulty").field("side", &self.side).finish_non_exhaustive()
    }
}

impl<E: Endpoint> Faulty<E> {
    /// Wraps a side.
    pub fn new(side: E, turn: impl FnMut(&'static str) -> Turn + 'static) -> Self {
        Self { side, turn: Box::new(turn) }
    }

    /// Makes a call. `ignored` is the result of one that is ignored; `None`: it is made.
    fn call<T, F: From<Error>>(
        &mut self,
        function: &'static str,
        ignored: Option<T>,
        call: impl FnOnce(&mut E) -> Result<T, F>,
    ) -> Result<T, F> {
        match ((self.turn)(function), ignored) {
            (Turn::Made, _) | (Turn::Ignored, None) => call(&mut self.side),
            (Turn::Ignored, Some(result)) => Ok(result),
            (Turn::Failed(code), _) => Err(Error::new(code, "it is made to fail").into()),
            (Turn::Lost, _) => call(&mut self.side).and_then(|_| Err(lost().into())),
        }
    }

    /// Makes a call that changes something.
    fn change(
        &mut self,
        function: &'static str,
        call: impl FnOnce(&mut E) -> Result<()>,
    ) -> Result<()> {
        self.call(function, Some(()), call)
    }

    /// Makes a call that only asks.
    fn ask<T, F: From<Error>>(
        &mut self,
        function: &'static str,
        call: impl FnOnce(&mut E) -> Result<T, F>,
    ) -> Result<T, F> {
        self.call(function, None, call)
    }
}

fn lost() -> Error {
    Error::new(ErrorCode::NotConnected, "the answer is lost")
}

fn only<T>(mut results: Vec<Result<T>>) -> Result<T> {
    results.pop().unwrap_or_else(|| Err(Error::failed("no result")))
}

impl<E: Endpoint> Endpoint for Faulty<E> {
    fn capabilities(&self) -> Capabilities {
        self.side.capabilities()
    }

    fn identity(&self) -> Identity {
        self.side.identity()
    }

    fn repair(&mut self) -> Result<()> {
        self.change("repair", E::repair)
    }

    fn expect_lists(&mut self, directories: &[String]) {
        self.side.expect_lists(directories);
    }

    fn list(&mut self, directory: &str, each: &mut Each<'_>) -> Result<(), Interrupt> {
        self.call("list", Some(()), |side| side.list(directory, each))
    }

    fn stat(&mut self, path: &str) -> Result<Option<Metadata>> {
        self.call("stat", Some(None), |side| side.stat(path))
    }

    fn read_link(&mut self, path: &str) -> Result<String> {
        self.ask("read_link", |side| side.read_link(path))
    }

    fn open(&mut self, files: &[OpenRequest<'_>]) -> Vec<Result<Content>> {
        files.iter().map(|file| self.ask("open", |side| only(side.open(&[*file])))).collect()
    }

    fn hash(&mut self, path: &str, progress: &mut Progress<'_>) -> Result<Digest, Interrupt> {
        self.ask("hash", |side| side.hash(path, progress))
    }

    fn begin(&mut self, run: &Run) {
        self.side.begin(run);
    }

    fn receive(
        &mut self,
        from: &mut dyn Endpoint,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        self.ask("receive", |side| side.receive(from, transfer, progress))
    }

    fn flush_received(&mut self, temps: &[&str], durable: bool) -> Vec<Result<()>> {
        let flush = |side: &mut E, temp| only(side.flush_received(&[temp], durable));
        temps.iter().map(|temp| self.change("flush_received", |side| flush(side, temp))).collect()
    }

    fn rename_all(&mut self, renames: &[Rename<'_>]) -> Vec<Result<Option<Metadata>>> {
        let mut results = Vec::with_capacity(renames.len());
        for one in renames {
            results
                .push(self.call("rename_all", Some(None), |side| only(side.rename_all(&[*one]))));
        }
        results
    }

    fn rename(&mut self, path: &str, to: &str) -> Result<()> {
        self.change("rename", |side| side.rename(path, to))
    }

    fn keep_in_trash(&mut self, removals: &[Removal<'_>], stays: bool) -> Vec<Result<()>> {
        let keep = |side: &mut E, one| only(side.keep_in_trash(&[one], stays));
        removals.iter().map(|one| self.change("keep_in_trash", |side| keep(side, *one))).collect()
    }

    fn remove(&mut self, path: &str, expected: Option<&Fingerprint>) -> Result<()> {
        self.change("remove", |side| side.remove(path, expected))
    }

    fn create_directory(&mut self, path: &str, like: Option<Like<'_>>) -> Result<()> {
        self.change("create_directory", |side| side.create_directory(path, like))
    }

    fn remove_directory(&mut self, path: &str) -> Result<()> {
        self.change("remove_directory", |side| side.remove_directory(path))
    }

    fn create_link(&mut self, path: &str, target: &str) -> Result<()> {
        self.change("create_link", |side| side.create_link(path, target))
    }

    fn set_mode(&mut self, path: &str, mode: u16) -> Result<()> {
        self.change("set_mode", |side| side.set_mode(path, mode))
    }

    fn set_modified(&mut self, path: &str, modified: i64) -> Result<()> {
        self.change("set_modified", |side| side.set_modified(path, modified))
    }

    fn keeps_modes(&mut self, directory: &str, is_open: bool) -> bool {
        self.side.keeps_modes(directory, is_open)
    }

    fn can_store(&mut self, directory: &str, characters: &str) -> Result<bool> {
        self.ask("can_store", |side| side.can_store(directory, characters))
    }

    fn take_changed_trash(&mut self) -> Vec<String> {
        self.side.take_changed_trash()
    }

    fn take_renamed(&mut self) -> Vec<Renamed> {
        self.side.take_renamed()
    }

    fn flushes(&self, durable: bool) -> bool {
        self.side.flushes(durable)
    }

    fn flush_directories(&mut self, directories: &[&str], in_trash: bool) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(directories.len());
        for one in directories {
            results.push(self.change("flush_directories", |side| {
                only(side.flush_directories(&[*one], in_trash))
            }));
        }
        results
    }

    fn finish(&mut self) -> Vec<(&'static str, String, Error)> {
        self.side.finish()
    }

    fn forget_repairs(&mut self) {
        self.side.forget_repairs();
    }
}

//! Operations of one check, in a separate directory.

use std::collections::BTreeMap;
use std::io::Read as _;

use syncmgr_plugin::directories::EntryKind;
use syncmgr_plugin::{Error, ErrorCode, Interrupt};

use super::Memory;
use crate::endpoint::{
    Endpoint, Metadata, OpenRequest, Progress, Received, Removal, Rename, Transfer,
};
use crate::names::TempNames;
use crate::tree::{Fingerprint, join, split};

/// The outcome of a check; the error is what was found.
pub(super) type Found<T = ()> = Result<T, String>;

/// A side, and another one with the files to copy.
pub(super) struct Check<'a> {
    pub(super) side: &'a mut dyn Endpoint,
    pub(super) source: Memory,
    temps: &'a TempNames,
    directory: String,
}

/// A file to copy that the other side does not have under this path.
pub(super) const SOURCE: &str = "source";

impl<'a> Check<'a> {
    pub(super) fn new(side: &'a mut dyn Endpoint, temps: &'a TempNames, directory: String) -> Self {
        Self { side, source: Memory::default(), temps, directory }
    }

    pub(super) fn path(&self, name: &str) -> String {
        join(&self.directory, name)
    }

    /// Returns another temporary path.
    pub(super) fn temp(&self) -> String {
        self.temp_of("")
    }

    /// Returns another temporary path, in the directory of a file.
    fn temp_of(&self, name: &str) -> String {
        self.path(&join(split(name).0, &self.temps.next()))
    }

    /// Copies a file with this content under a temporary name.
    pub(super) fn receive(
        &mut self,
        temp: &str,
        name: &str,
        content: &[u8],
        replaces: bool,
    ) -> Result<Received, Interrupt> {
        self.source.put(SOURCE, content);
        let source = self.source.fingerprint(SOURCE);
        self.receive_planned(temp, name, source, replaces, &mut |_| Ok(()))
    }

    pub(super) fn receive_planned(
        &mut self,
        temp: &str,
        name: &str,
        source: Fingerprint,
        replaces: bool,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        let name = split(name).1;
        let transfer =
            Transfer { path: SOURCE, temp, name, source, mode: None, replaces, owner: false };
        self.side.receive(&mut self.source, &transfer, progress)
    }

    /// Flushes a copy, and gives it its name.
    pub(super) fn name(
        &mut self,
        temp: &str,
        name: &str,
        replaces: Option<&Fingerprint>,
    ) -> Result<Option<Metadata>, Error> {
        one(self.side.flush_received(&[temp], true))?;
        one(self.side.rename_all(&[Rename { path: temp, to: split(name).1, replaces }]))
    }

    /// Creates a file.
    pub(super) fn create(&mut self, name: &str, content: &[u8]) -> Found<Metadata> {
        let temp = self.temp_of(name);
        done("copying a file", self.receive(&temp, name, content, false))?;
        let named = done("naming a copy", self.name(&temp, name, None))?;
        self.expect_named(name, named)
    }

    /// Replaces a file by another content. The old one is in the trash.
    pub(super) fn replace(
        &mut self,
        name: &str,
        content: &[u8],
        expected: &Fingerprint,
    ) -> Found<Metadata> {
        let temp = self.temp();
        done("copying a file", self.receive(&temp, name, content, true))?;
        done("keeping a file in the trash", self.keep(name, expected, true))?;
        let named = done("replacing a file", self.name(&temp, name, Some(expected)))?;
        self.expect_named(name, named)
    }

    /// Returns the metadata of a file that has just been named, which are those that this returned.
    fn expect_named(&mut self, name: &str, named: Option<Metadata>) -> Found<Metadata> {
        let found = self.stat(name)?.ok_or_else(|| format!("{name:?} does not exist"))?;
        let is_same = named.is_none_or(|named| named == found);
        expect(is_same, || format!("naming returned {named:?}, but {name:?} is {found:?}"))?;
        Ok(found)
    }

    /// Moves a file to the trash, or copies it there.
    pub(super) fn keep(
        &mut self,
        name: &str,
        expected: &Fingerprint,
        stays: bool,
    ) -> Result<(), Error> {
        let path = self.path(name);
        one(self.side.keep_in_trash(&[Removal { path: &path, expected }], stays))
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        let now = self.side.stat(&path)?.map(|found| found.fingerprint);
        self.side.remove(&path, Some(&now.unwrap_or_default()))
    }

    pub(super) fn stat(&mut self, name: &str) -> Found<Option<Metadata>> {
        let path = self.path(name);
        done("the metadata", self.side.stat(&path))
    }

    pub(super) fn read(&mut self, name: &str) -> Found<Vec<u8>> {
        let path = self.path(name);
        let opened = self.side.open(&[OpenRequest { path: &path, expected: None }]);
        let mut content = Vec::new();
        let mut reader = done("opening a file", one(opened))?.reader;
        done("reading a file", reader.read_to_end(&mut content))?;
        Ok(content)
    }

    /// Returns the entries of the directory of this check, or of one in it.
    pub(super) fn list(&mut self, name: &str) -> Found<BTreeMap<String, Metadata>> {
        let path = if name.is_empty() { self.directory.clone() } else { self.path(name) };
        let mut found = BTreeMap::new();
        let listed = self.side.list(&path, &mut |entry| {
            found.insert(entry.name.display().to_owned(), entry.metadata?);
            Ok(())
        });
        done("listing a directory", listed)?;
        Ok(found)
    }

    /// Checks the names and types in the directory of this check.
    pub(super) fn expect_entries(&mut self, expected: &[(&str, EntryKind)]) -> Found {
        let found = self.list("")?;
        let found: Vec<_> = found.iter().map(|(name, entry)| (&**name, entry.kind)).collect();
        expect(found == expected, || format!("it lists {found:?} instead of {expected:?}"))
    }

    pub(super) fn expect_content(&mut self, name: &str, expected: &[u8]) -> Found {
        let found = self.read(name)?;
        let shown = || {
            format!(
                "{name:?} has {} bytes that differ from {} expected",
                found.len(),
                expected.len()
            )
        };
        expect(found == expected, shown)
    }
}

/// Returns the only result.
pub(super) fn one<T>(mut results: Vec<Result<T, Error>>) -> Result<T, Error> {
    match (results.len(), results.pop()) {
        (1, Some(result)) => result,
        (count, _) => Err(Error::failed(format!("{count} results for one entry"))),
    }
}

/// Returns the result of an operation that should succeed.
pub(super) fn done<T, E: std::fmt::Debug>(what: &str, result: Result<T, E>) -> Found<T> {
    result.map_err(|error| format!("{what} failed: {error:?}"))
}

/// Checks that an operation fails with this code.
pub(super) fn refused<T, E: Into<Interrupt>>(
    what: &str,
    result: Result<T, E>,
    code: ErrorCode,
) -> Found {
    match result.map_err(Into::into) {
        Err(Interrupt::Failed(error)) if error.code == code => Ok(()),
        Err(stop) => Err(format!("{what} fails with {stop:?} instead of {code:?}")),
        Ok(_) => Err(format!("{what} succeeds instead of failing with {code:?}")),
    }
}

pub(super) fn expect(is_right: bool, found: impl FnOnce() -> String) -> Found {
    if is_right { Ok(()) } else { Err(found()) }
}

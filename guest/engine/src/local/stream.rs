//! Copies from another kind of side, through the plugin.

use std::io::{self, Read};

use syncmgr_plugin::directories::File;
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::Local;
use crate::endpoint::{Content, Endpoint, OpenRequest, Progress, Received, Transfer};

/// An empty file in the storage.
const EMPTY: &str = "empty";

/// Reads a file.
pub(super) struct Reader(pub(super) File);

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let part = self.0.read(length).map_err(|error| io::Error::other(error.to_string()))?;
        buffer[..part.len()].copy_from_slice(&part);
        Ok(part.len())
    }
}

impl Local {
    /// Stores the content of a file under the temporary name.
    pub(super) fn store(
        &mut self,
        content: Content,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        let attributes = self.attributes_of(transfer)?;
        let copy = self.permitted(transfer.temp, |local, temp| {
            local.parent(transfer.temp)?.create_copy(temp, &attributes, transfer.attributes())
        })?;
        drop(attributes);
        let read = transfer.read_content(content, progress, &mut |part| Ok(copy.write(part)?));
        let finished = read.and_then(|received| {
            if self.verify() {
                self.verify_copy(transfer, received.digest, progress)?;
            }
            copy.set_modified(received.source.modified)?;
            Ok(received)
        });
        self.received.insert(transfer.temp.to_owned(), copy);
        if finished.is_err() {
            self.remove_received(transfer.temp);
        }
        finished
    }

    /// Returns a file with the attributes of a received one: the file that it replaces, or an empty
    /// one.
    fn attributes_of(&mut self, transfer: &Transfer<'_>) -> Result<File> {
        if transfer.replaces {
            let directory = self.parent(transfer.temp)?;
            return directory.open_file(transfer.name);
        }
        match self.storage.create_file(EMPTY) {
            Err(error) if error.code == ErrorCode::AlreadyExists => self.storage.open_file(EMPTY),
            created => created,
        }
    }

    /// Stores several files, of which the other side sends some at once.
    pub(super) fn store_all(
        &mut self,
        from: &mut dyn Endpoint,
        transfers: &[Transfer<'_>],
    ) -> Vec<Result<Received, Interrupt>> {
        let mut results = Vec::with_capacity(transfers.len());
        for some in transfers.chunks(from.capabilities().transfers.max(1)) {
            let files: Vec<_> = some
                .iter()
                .map(|one| OpenRequest { path: one.path, expected: Some(&one.source) })
                .collect();
            let missing = || Err(Error::new(ErrorCode::Failed, "no result"));
            let mut contents = from.open(&files).into_iter();
            results.extend(some.iter().map(|transfer| {
                let content = contents.next().unwrap_or_else(missing)?;
                self.store(content, transfer, &mut |_| Ok(()))
            }));
        }
        results
    }
}

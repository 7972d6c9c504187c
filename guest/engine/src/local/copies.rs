//! Copies between two local directories, which the host performs.

use syncmgr_plugin::directories::{
    self, CopiedFile, CopyAttributes, CopyRequest, Directory, EntryMetadata, File,
};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::{Local, STEP_BYTES, expect, metadata_of};
use crate::endpoint::{Progress, Received, Transfer, changed};
use crate::tree::{Digest, split};

/// The maximum number of directory pairs of a batch. They are open, and the host permits 128 open
/// files.
const MAX_PAIRS: usize = 8;

/// Two directories, by path, between which files are copied.
struct DirectoryPair<'a> {
    paths: [&'a str; 2],
    source: Directory,
    target: Directory,
}

impl Transfer<'_> {
    pub(super) fn attributes(&self) -> CopyAttributes<'_> {
        CopyAttributes {
            mode: self.mode.map(u32::from),
            replaces: self.replaces.then_some(self.name),
            owner: self.owner,
        }
    }
}

impl Local {
    /// Copies small files together.
    pub(super) fn copy_all(
        &mut self,
        from: &mut Self,
        transfers: &[Transfer<'_>],
    ) -> Vec<Result<Received, Interrupt>> {
        let mut results = Vec::with_capacity(transfers.len());
        let mut rest = transfers;
        while !rest.is_empty() {
            let mut pairs: Vec<DirectoryPair<'_>> = Vec::new();
            let mut at = Vec::new();
            let mut failed = None;
            for transfer in rest {
                match self.pair_of(from, transfer, &mut pairs) {
                    Ok(Some(pair)) => at.push(pair),
                    Ok(None) => break,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            let (batch, after) = rest.split_at(at.len());
            results.extend(self.copy_batch(batch, &at, &pairs));
            rest = match failed {
                Some(error) => {
                    results.push(Err(error.into()));
                    after.get(1..).unwrap_or_default()
                }
                None => after,
            };
        }
        results
    }

    /// Returns the index of the directories of a copy, which are open; `None`: too many are.
    fn pair_of<'a>(
        &mut self,
        from: &mut Self,
        transfer: &Transfer<'a>,
        pairs: &mut Vec<DirectoryPair<'a>>,
    ) -> Result<Option<usize>> {
        let paths = [split(transfer.path).0, split(transfer.temp).0];
        // Most copies have the directories of the previous one.
        if let Some(pair) = pairs.iter().rposition(|pair| pair.paths == paths) {
            return Ok(Some(pair));
        }
        if pairs.len() == MAX_PAIRS {
            return Ok(None);
        }
        let source = from.walker.directory(paths[0], false)?.reopen()?;
        let target = self.walker.directory(paths[1], false)?.reopen()?;
        pairs.push(DirectoryPair { paths, source, target });
        Ok(Some(pairs.len() - 1))
    }

    fn copy_batch(
        &mut self,
        batch: &[Transfer<'_>],
        at: &[usize],
        pairs: &[DirectoryPair<'_>],
    ) -> Vec<Result<Received, Interrupt>> {
        let verify = self.verify();
        let requests: Vec<_> = batch
            .iter()
            .zip(at)
            .map(|(transfer, at)| {
                let request = CopyRequest {
                    source: &pairs[*at].source,
                    name: split(transfer.path).1,
                    target: &pairs[*at].target,
                    target_name: split(transfer.temp).1,
                    max_size: transfer.source.size,
                    verify,
                };
                (request, transfer.attributes())
            })
            .collect();
        let copied = directories::copy_files_with(&requests);
        let take = |(transfer, copied): (&Transfer<'_>, Result<CopiedFile>)| {
            let CopiedFile { source, digest, copy } = copied?;
            let source = metadata_of(&source).fingerprint;
            self.received.insert(transfer.temp.to_owned(), copy);
            if let Err(error) = expect(&source, &transfer.source) {
                self.remove_received(transfer.temp);
                return Err(error.into());
            }
            Ok(Received { source, digest })
        };
        batch.iter().zip(copied).map(take).collect()
    }

    /// Copies a file in steps.
    pub(super) fn copy(
        &mut self,
        from: &mut Self,
        transfer: &Transfer<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<Received, Interrupt> {
        let read = |from: &mut Self| -> Result<(EntryMetadata, File)> {
            let source = from.parent(transfer.path)?.open_file(split(transfer.path).1)?;
            Ok((source.metadata()?, source))
        };
        let (metadata, file) =
            read(from).map_err(|error| from.cannot("read", transfer.path, &error))?;
        let source = metadata_of(&metadata).fingerprint;
        expect(&source, &transfer.source)?;
        let copy = self.permitted(transfer.temp, |local, temp| {
            local.parent(transfer.temp)?.create_copy(temp, &file, transfer.attributes())
        })?;
        let written = fill(&copy, &file, transfer.source.size, progress);
        // Reading the copy back counts as an open file.
        drop(file);
        let finished = written.and_then(|digest| {
            if self.verify() {
                self.verify_copy(transfer, digest, progress)?;
            }
            copy.set_modified(metadata.modified)?;
            Ok(Received { source, digest })
        });
        self.received.insert(transfer.temp.to_owned(), copy);
        if finished.is_err() {
            self.remove_received(transfer.temp);
        }
        finished
    }

    /// Reads back the written content.
    pub(super) fn verify_copy(
        &mut self,
        transfer: &Transfer<'_>,
        digest: Digest,
        progress: &mut Progress<'_>,
    ) -> Result<(), Interrupt> {
        let file = self.parent(transfer.temp)?.open_file(split(transfer.temp).1)?;
        let mut read = 0;
        loop {
            let step = file.hash(STEP_BYTES)?;
            read += step;
            if step == 0 {
                break;
            }
            progress(0)?;
        }
        match read == transfer.source.size && file.digest() == digest {
            true => Ok(()),
            false => Err(Error::new(
                ErrorCode::InputOutput,
                "what was written reads back differently; check the disk",
            )
            .into()),
        }
    }

    /// Removes a copy that is not renamed. If that fails, the next run removes it.
    pub(super) fn remove_received(&mut self, temp: &str) {
        self.received.remove(temp);
        if let Ok(directory) = self.parent(temp) {
            let _ = directory.remove_file(split(temp).1);
        }
    }
}

/// Copies the content and returns its digest.
fn fill(
    copy: &File,
    source: &File,
    size: u64,
    progress: &mut Progress<'_>,
) -> Result<Digest, Interrupt> {
    let mut copied = 0;
    loop {
        let step = copy.copy_from(source, STEP_BYTES)?;
        copied += step;
        progress(step)?;
        if step == 0 {
            break;
        }
        if copied > size {
            return Err(changed("the file").into());
        }
    }
    match copied == size {
        true => Ok(source.digest()),
        false => Err(changed("the file").into()),
    }
}

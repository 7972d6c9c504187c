//! Copies one file separately, in steps with a report after each.

use syncmgr_plugin::directories::{EntryMetadata, File};
use syncmgr_plugin::{Error, ErrorCode, Interrupt, Result};

use super::copy::{Planned, STEP_BYTES};
use super::recheck::{changed, is_still};
use super::{Applier, words};
use crate::scan::fingerprint;
use crate::tree::Digest;
use crate::walker::split;

impl Applier<'_> {
    /// Writes the copy of a file under a temporary name, and removes it on failure.
    pub(super) fn write(&mut self, planned: &Planned) -> Result<(Digest, File), Interrupt> {
        let (file, metadata, copy) = self.open(planned)?;
        let written = self.fill(&copy, &file, planned);
        // Reading the copy back counts as an open file.
        drop(file);
        let finished = written.and_then(|written| {
            if !planned.is_digest(&written) {
                return Err(changed("the file").into());
            }
            if self.options.verify {
                self.verify(planned, written)?;
            }
            copy.set_modified(metadata.modified)?;
            Ok(written)
        });
        match finished {
            Ok(written) => Ok((written, copy)),
            Err(stop) => {
                self.remove_temp(planned);
                Err(stop)
            }
        }
    }

    /// Opens a file and creates its copy.
    fn open(&mut self, planned: &Planned) -> Result<(File, EntryMetadata, File)> {
        let (from, on) = (planned.from, planned.from.other());
        let (source_parent, source_name) = split(planned.path(from));
        let (target_parent, _) = split(planned.path(on));
        let read = self.roots[from.index()]
            .directory(source_parent, false)
            .and_then(|directory| directory.open_file(source_name))
            .and_then(|source| Ok((source.metadata()?, source)));
        let (metadata, source) = read
            .map_err(|error| words::cannot("read", planned.path(from), from, self.pair, &error))?;
        if !is_still(&fingerprint(&metadata), &planned.source) {
            return Err(changed("the file"));
        }
        let create = |applier: &mut Self| {
            let target = applier.roots[on.index()].directory(target_parent, false)?;
            target.create_copy(&planned.temp, &source, planned.attributes())
        };
        let copy = match create(self) {
            Err(error) if error.code == ErrorCode::AccessDenied => {
                match self.open_up(on, target_parent)? {
                    true => create(self)?,
                    false => return Err(error),
                }
            }
            created => created?,
        };
        Ok((source, metadata, copy))
    }

    /// Copies the content and returns its digest.
    fn fill(&mut self, copy: &File, source: &File, planned: &Planned) -> Result<Digest, Interrupt> {
        let (size, path) = (planned.source.size, planned.path(planned.from.other()));
        let mut copied = 0;
        loop {
            let step = copy.copy_from(source, STEP_BYTES)?;
            copied += step;
            self.advance(step, path)?;
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

    /// Reads back the written content.
    fn verify(&mut self, planned: &Planned, digest: Digest) -> Result<(), Interrupt> {
        let on = planned.from.other();
        let (parent, _) = split(planned.path(on));
        let file = self.roots[on.index()].directory(parent, false)?.open_file(&planned.temp)?;
        let mut read = 0;
        loop {
            let step = file.hash(STEP_BYTES)?;
            read += step;
            if step == 0 {
                break;
            }
            self.context.check_cancelled()?;
        }
        match read == planned.source.size && file.digest() == digest {
            true => Ok(()),
            false => Err(Error::new(
                ErrorCode::InputOutput,
                "what was written reads back differently; check the disk",
            )
            .into()),
        }
    }
}

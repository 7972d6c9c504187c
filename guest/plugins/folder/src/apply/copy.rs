//! Copies files. A copy has a temporary name until its content is on the disk, and waits for that
//! together with others: a disk writes many at once in little more than the time of one.

use syncmgr_plugin::directories::{self, File, Metadata};
use syncmgr_plugin::{Error, ErrorCode, Result, Stop};

use super::still::{changed, check, is_still};
use super::{Applier, split};
use crate::options::Options;
use crate::plan::Operation;
use crate::scan::fingerprint;
use crate::state::BaseChildren;
use crate::tree::{Digest, Fingerprint, Side};

/// Bytes that are copied between two looks at whether the user cancelled.
const STEP_BYTES: u64 = 4 << 20;
/// Copies that wait for each other at most. They are open, and a host lets no more than 128 be so.
const BATCH_FILES: usize = 64;
/// The bytes of those copies, from which on they do not wait for more: a user who cancels waits for
/// them.
const BATCH_BYTES: u64 = 8 << 20;

/// A copy that has no name yet.
struct Copied {
    operation: Operation,
    from: Side,
    source: Fingerprint,
    replaces: Option<Fingerprint>,
    temp: String,
    digest: Digest,
}

/// Copies that are flushed together, and then get their names.
#[derive(Default)]
pub(super) struct Batch {
    copies: Vec<(Copied, File)>,
    bytes: u64,
}

impl Batch {
    /// Whether its copies are to wait no longer.
    pub(super) fn is_full(&self, options: &Options) -> bool {
        !options.durable || self.copies.len() >= BATCH_FILES || self.bytes >= BATCH_BYTES
    }
}

impl Applier<'_> {
    /// Copies a file, up to its name.
    pub(super) fn copy(
        &mut self,
        operation: &Operation,
        from: Side,
        source: &Fingerprint,
        digest: Option<&Digest>,
        replaces: Option<&Fingerprint>,
        next: &mut BaseChildren,
    ) -> Result<(), Stop> {
        let temp = self.temp();
        let copied = match self.write(operation, from, source, digest, &temp) {
            // Copies that wait are open, of which there may be too many, and what they
            // replace is still there, for which there may be no room.
            Err(Stop::Failed(error))
                if error.code != ErrorCode::Changed && !self.batch.copies.is_empty() =>
            {
                self.settle(next);
                self.write(operation, from, source, digest, &temp)
            }
            copied => copied,
        };
        let (digest, target) = copied?;
        let operation = operation.clone();
        let (source, replaces) = (*source, replaces.copied());
        self.batch.bytes += source.size;
        let copied = Copied { operation, from, source, replaces, temp, digest };
        self.batch.copies.push((copied, target));
        Ok(())
    }

    /// Writes the copy of a file under a temporary name, under which there is nothing afterwards if
    /// that fails.
    fn write(
        &mut self,
        operation: &Operation,
        from: Side,
        source: &Fingerprint,
        digest: Option<&Digest>,
        temp: &str,
    ) -> Result<(Digest, File), Stop> {
        let on = from.other();
        let target_path = &operation.paths[on.index()];
        let (target_parent, _) = split(target_path);
        let (file, metadata, target) = self.open(operation, from, source, temp)?;
        let written = self.fill(&target, &file, target_path, source.size);
        // What reads the copy back takes its place among what may be open.
        drop(file);
        let finished = written.and_then(|written| {
            if digest.is_some_and(|planned| *planned != written) {
                return Err(changed("the file").into());
            }
            if self.options.verify {
                self.verify(on, target_parent, temp, written, source.size)?;
            }
            target.set_modified(metadata.modified)?;
            if let Some(mode) = metadata.mode {
                unless_unsupported(target.set_mode(mode & 0o777))?;
            }
            Ok(written)
        });
        match finished {
            Ok(written) => Ok((written, target)),
            Err(stop) => {
                self.remove_temp(on, target_parent, temp);
                Err(stop)
            }
        }
    }

    /// Opens a file and makes what it is copied to.
    fn open(
        &mut self,
        operation: &Operation,
        from: Side,
        planned: &Fingerprint,
        temp: &str,
    ) -> Result<(File, Metadata, File)> {
        let on = from.other();
        let (source_parent, source_name) = split(&operation.paths[from.index()]);
        let (target_parent, _) = split(&operation.paths[on.index()]);
        let source = self.roots[from.index()].directory(source_parent, false)?;
        let source = source.open_file(source_name)?;
        let metadata = source.metadata()?;
        if !is_still(&fingerprint(&metadata), planned) {
            return Err(changed("the file"));
        }
        let target = self.roots[on.index()].directory(target_parent, false)?.create_file(temp)?;
        Ok((source, metadata, target))
    }

    /// Makes the copies durable that wait for it, and gives them their names.
    pub(super) fn settle(&mut self, next: &mut BaseChildren) {
        let (copies, files): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.batch).copies.into_iter().unzip();
        if copies.is_empty() {
            return;
        }
        let flushed = match self.options.durable {
            true => directories::flush_files(&files.iter().collect::<Vec<_>>()),
            false => files.iter().map(|_| Ok(())).collect(),
        };
        drop(files);
        for (copied, flushed) in copies.into_iter().zip(flushed) {
            match flushed.and_then(|()| self.name(&copied, next)) {
                Ok(()) => {
                    self.done.copied += 1;
                    self.done.bytes += copied.source.size;
                }
                Err(error) => {
                    let on = copied.from.other();
                    let (parent, _) = split(&copied.operation.paths[on.index()]);
                    self.remove_temp(on, parent, &copied.temp);
                    self.fail(&copied.operation, error);
                }
            }
        }
    }

    /// Gives a copy its name, if its source is still what it is a copy of.
    fn name(&mut self, copied: &Copied, next: &mut BaseChildren) -> Result<()> {
        let Copied { operation, from, source, replaces, temp, digest } = copied;
        let (from, on) = (*from, from.other());
        let (source_parent, source_name) = split(&operation.paths[from.index()]);
        check(self.roots[from.index()].directory(source_parent, false)?, source_name, source)?;
        self.place(on, &operation.paths[on.index()], temp, replaces.as_ref())?;
        self.note(on, operation, next, Some(*digest))?;
        if source.changed.is_none() {
            // It was renamed before it was copied.
            self.note(from, operation, next, None)?;
        }
        Ok(())
    }

    /// Removes a copy that gets no name. What cannot be removed now is removed by the next run.
    fn remove_temp(&mut self, on: Side, parent: &str, temp: &str) {
        if let Ok(directory) = self.roots[on.index()].directory(parent, false) {
            let _ = directory.remove_file(temp);
        }
    }

    /// Copies the content and returns its digest.
    fn fill(
        &mut self,
        target: &File,
        source: &File,
        path: &str,
        size: u64,
    ) -> Result<Digest, Stop> {
        let mut copied = 0;
        loop {
            let step = target.copy_from(source, STEP_BYTES)?;
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

    /// Reads back what was written.
    fn verify(
        &mut self,
        on: Side,
        parent: &str,
        temp: &str,
        digest: Digest,
        size: u64,
    ) -> Result<(), Stop> {
        let file = self.roots[on.index()].directory(parent, false)?.open_file(temp)?;
        let mut read = 0;
        loop {
            let step = file.hash(STEP_BYTES)?;
            read += step;
            if step == 0 {
                break;
            }
            self.run.check()?;
        }
        match read == size && file.digest() == digest {
            true => Ok(()),
            false => Err(Error::new(
                ErrorCode::InputOutput,
                "what was written reads back differently; check the disk",
            )
            .into()),
        }
    }
}

/// What this run made itself is its own: where its permissions cannot be set, the file system has
/// none.
pub(super) fn unless_unsupported(set: Result<()>) -> Result<()> {
    match set {
        Err(error) if error.code == ErrorCode::AccessDenied => Ok(()),
        result => result,
    }
}

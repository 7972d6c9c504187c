//! The sizes of the runs in a trash.

use std::io;

use anyhow::Context as _;

use super::tree::walk;
use super::{Part, Trash};

/// The number of places of a run: the storage, and both directories.
const PLACES: usize = 3;

/// A run in one place, with its size.
pub(crate) struct Run<'a> {
    /// One of its parts.
    pub(crate) part: &'a Part,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl<'a> Run<'a> {
    /// Returns the runs of a trash, newest first.
    pub(crate) fn all(trash: &'a Trash) -> anyhow::Result<Vec<Self>> {
        let mut runs: Vec<Self> = Vec::new();
        for part in &trash.parts {
            let (mut files, mut bytes) = (0, 0_u64);
            let opened = part.open().with_context(|| part.unreadable())?;
            walk(&opened, "", |_, entry| -> io::Result<()> {
                files += 1;
                bytes = bytes.saturating_add(entry.size());
                Ok(())
            })
            .with_context(|| part.unreadable())?;
            let mut last = runs.iter_mut().rev().take(PLACES);
            match last.find(|run| run.part.is_of_same_run(part)) {
                Some(run) => {
                    run.files += files;
                    run.bytes = run.bytes.saturating_add(bytes);
                }
                None => runs.push(Self { part, files, bytes }),
            }
        }
        Ok(runs)
    }
}

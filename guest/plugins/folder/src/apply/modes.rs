//! Determines whether a side stores permission bits. Some file systems show the same bits for every
//! file, whatever is set. Such bits are never propagated.

use std::collections::HashMap;

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{ErrorCode, Result};

use super::Applier;
use crate::tree::Side;

/// The permissions of a new file, and others that are set as a test.
const TRIED: [u32; 2] = [0o600, 0o640];

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct KeptModes {
    /// By side and file system, since others may be mounted inside a side.
    known: HashMap<(Side, u64), bool>,
    /// The result for the directory of the last query.
    last: Option<(Side, String, bool)>,
}

impl Applier<'_> {
    /// Returns whether the file system of a directory stores permission bits.
    pub(super) fn keeps_modes(&mut self, side: Side, parent: &str) -> bool {
        if let Some((last_side, last_parent, keeps)) = &self.kept_modes.last
            && (*last_side, &**last_parent) == (side, parent)
        {
            return *keeps;
        }
        // A side that cannot be tested stores them, unless everything shows all permissions there.
        let unknown = !self.is_open[side.index()];
        let keeps = self.find_out(side, parent).unwrap_or(unknown);
        self.kept_modes.last = Some((side, parent.to_owned(), keeps));
        keeps
    }

    fn find_out(&mut self, side: Side, parent: &str) -> Result<bool> {
        let temp = self.temp();
        let directory = self.roots[side.index()].directory(parent, false)?;
        let metadata = directory.metadata()?;
        if metadata.mode.is_none() {
            return Ok(false);
        }
        let key = (side, metadata.device_id);
        if let Some(keeps) = self.kept_modes.known.get(&key) {
            return Ok(*keeps);
        }
        let keeps = match keeps_tried(directory, &temp) {
            // It is read-only.
            Err(error) if error.code == ErrorCode::AccessDenied => !self.is_open[side.index()],
            keeps => keeps?,
        };
        self.kept_modes.known.insert(key, keeps);
        Ok(keeps)
    }
}

/// Returns whether the permissions of a file are those that were set.
fn keeps_tried(directory: &Directory, temp: &str) -> Result<bool> {
    let file = directory.create_file(temp)?;
    let is_now = |mode: u32| -> Result<bool> {
        Ok(file.metadata()?.mode.is_some_and(|now| now & 0o777 == mode))
    };
    let [first, second] = TRIED;
    let keeps = || Ok(is_now(first)? && file.set_mode(second).is_ok() && is_now(second)?);
    let keeps = keeps();
    directory.remove_file(temp)?;
    keeps
}

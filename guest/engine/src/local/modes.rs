//! Determines whether a side stores permission bits. Some file systems show the same bits for every
//! file, whatever is set. Such bits are never propagated.

use std::collections::HashMap;

use syncmgr_plugin::directories::Directory;
use syncmgr_plugin::{ErrorCode, Result};

use super::Local;

/// The permissions of a new file, and others that are set as a test.
const TRIED: [u32; 2] = [0o600, 0o640];

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct KeptModes {
    /// By file system, since others may be mounted inside a side.
    known: HashMap<u64, bool>,
    /// The result for the directory of the last query.
    last: Option<(String, bool)>,
}

impl Local {
    /// Returns whether the file system of a directory stores permission bits. `is_open`: everything
    /// on this side shows all permissions.
    pub(super) fn find_kept_modes(&mut self, parent: &str, is_open: bool) -> bool {
        if let Some((last, keeps)) = &self.kept_modes.last
            && last == parent
        {
            return *keeps;
        }
        // A side that cannot be tested stores them, unless everything shows all permissions there.
        let keeps = self.try_modes(parent, is_open).unwrap_or(!is_open);
        self.kept_modes.last = Some((parent.to_owned(), keeps));
        keeps
    }

    fn try_modes(&mut self, parent: &str, is_open: bool) -> Result<bool> {
        let temp = self.temp();
        let directory = self.walker.directory(parent, false)?;
        let metadata = directory.metadata()?;
        if metadata.mode.is_none() {
            return Ok(false);
        }
        if let Some(keeps) = self.kept_modes.known.get(&metadata.device_id) {
            return Ok(*keeps);
        }
        let keeps = match keeps_tried(directory, &temp) {
            // It is read-only.
            Err(error) if error.code == ErrorCode::AccessDenied => !is_open,
            keeps => keeps?,
        };
        self.kept_modes.known.insert(metadata.device_id, keeps);
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

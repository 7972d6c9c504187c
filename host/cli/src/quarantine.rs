//! Plugins that died and are not to be started again: a note in the plugin's part of the state
//! folder, out of its own reach.

use std::path::{Path, PathBuf};

use anyhow::Context;
use syncmgr_host::StartError;

pub(crate) struct Quarantine {
    note: PathBuf,
}

impl Quarantine {
    /// Of the plugin that has this part of the state folder.
    pub(crate) fn new(home: &Path) -> Self {
        Self { note: home.join("quarantine") }
    }

    /// # Errors
    /// [`StartError::Quarantined`].
    pub(crate) fn check(&self, plugin: &str) -> anyhow::Result<()> {
        match std::fs::read_to_string(&self.note) {
            Ok(death) => Err(StartError::Quarantined { plugin: plugin.to_owned(), death }.into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).context(self.note.display().to_string()),
        }
    }

    pub(crate) fn set(&self, death: &str) -> anyhow::Result<()> {
        std::fs::write(&self.note, death).context(self.note.display().to_string())
    }

    pub(crate) fn release(&self) -> anyhow::Result<()> {
        match std::fs::remove_file(&self.note) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context(self.note.display().to_string())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

//! Plugins that died and are not to be started again: a note in the plugin's part of the state
//! directory, out of its own reach.

use syncmgr_host::StartError;
use syncmgr_install::PrivateFolder;

const NOTE: &str = "quarantine";

pub(crate) struct Quarantine<'a> {
    home: &'a PrivateFolder,
}

impl<'a> Quarantine<'a> {
    /// Of the plugin that has this part of the state directory.
    pub(crate) fn new(home: &'a PrivateFolder) -> Self {
        Self { home }
    }

    /// # Errors
    /// [`StartError::Quarantined`].
    pub(crate) fn check(&self, plugin: &str) -> anyhow::Result<()> {
        match self.home.read(NOTE)? {
            Some(death) => Err(StartError::Quarantined {
                plugin: plugin.to_owned(),
                death: String::from_utf8_lossy(&death).into_owned(),
            }
            .into()),
            None => Ok(()),
        }
    }

    pub(crate) fn set(&self, death: &str) -> anyhow::Result<()> {
        Ok(self.home.replace(NOTE, death.as_bytes())?)
    }

    pub(crate) fn release(&self) -> anyhow::Result<()> {
        Ok(self.home.remove(NOTE)?)
    }
}

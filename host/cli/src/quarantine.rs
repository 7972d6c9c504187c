//! The quarantine of crashed plugins: a note in the plugin's folder of the state directory, which
//! the plugin cannot access.

use syncmgr_host::StartError;
use syncmgr_install::PrivateFolder;

const NOTE: &str = "quarantine";

pub(crate) struct Quarantine<'a> {
    home: &'a PrivateFolder,
}

impl<'a> Quarantine<'a> {
    /// `home`: the plugin's folder in the state directory.
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

    pub(crate) fn set(&self, crash: &str) -> anyhow::Result<()> {
        Ok(self.home.replace(NOTE, crash.as_bytes())?)
    }

    pub(crate) fn release(&self) -> anyhow::Result<()> {
        Ok(self.home.remove(NOTE)?)
    }
}

//! The quarantine of crashed plugins: a note for each in the state directory, named after the
//! digest of the component. A plugin does not leave the quarantine under another file name, and
//! another component of the same name is not affected.

use std::io::ErrorKind;

use syncmgr_install::{InstallError, PrivateFolder};

use crate::exit::Quarantined;
use crate::job::Job;

const FOLDER: &str = "quarantine";

/// The quarantine of the plugin that a job runs.
pub(crate) struct Quarantine<'a> {
    job: &'a Job,
}

impl<'a> Quarantine<'a> {
    pub(crate) fn new(job: &'a Job) -> Self {
        Self { job }
    }

    /// # Errors
    /// [`Quarantined`].
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let Some(notes) = self.notes()? else { return Ok(()) };
        match notes.read(&self.job.component_digest()?)? {
            Some(crash) => Err(Quarantined {
                plugin: self.job.plugin.name(),
                crash: String::from_utf8_lossy(&crash).into_owned(),
            }
            .into()),
            None => Ok(()),
        }
    }

    pub(crate) fn set(&self, crash: &str) -> anyhow::Result<()> {
        let notes = PrivateFolder::create(self.job.state_dir())?.create_folder(FOLDER)?;
        Ok(notes.replace(&self.job.component_digest()?, crash.as_bytes())?)
    }

    pub(crate) fn release(&self) -> anyhow::Result<()> {
        match self.notes()? {
            Some(notes) => Ok(notes.remove(&self.job.component_digest()?)?),
            None => Ok(()),
        }
    }

    /// The folder of all notes, if any plugin was ever put into quarantine.
    fn notes(&self) -> Result<Option<PrivateFolder>, InstallError> {
        let opened = PrivateFolder::open(self.job.state_dir());
        match opened.and_then(|state| state.folder(FOLDER)) {
            Err(InstallError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }
}

//! Plugins that died and are not to be started again: a note in the plugin's part of the state
//! directory, out of its own reach.

use syncmgr_store::PrivateFolder;

const NOTE: &str = "quarantine";

/// A plugin that crashed earlier is not to be started again.
#[derive(Debug)]
pub(crate) struct Quarantined {
    plugin: String,
    crash: String,
}

impl Quarantined {
    /// A stable code for programs.
    pub(crate) const fn code(&self) -> &'static str {
        "plugin-quarantined"
    }
}

impl std::fmt::Display for Quarantined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { plugin, crash } = self;
        write!(
            f,
            "the plugin {plugin} is in quarantine since it died: {crash}; once it is mended, let it \
             run again with `syncmgr run --release`"
        )
    }
}

impl std::error::Error for Quarantined {}

pub(crate) struct Quarantine<'a> {
    home: &'a PrivateFolder,
}

impl<'a> Quarantine<'a> {
    /// Of the plugin that has this part of the state directory.
    pub(crate) fn new(home: &'a PrivateFolder) -> Self {
        Self { home }
    }

    /// # Errors
    /// [`Quarantined`].
    pub(crate) fn check(&self, plugin: &str) -> anyhow::Result<()> {
        match self.home.read(NOTE)? {
            Some(crash) => Err(Quarantined {
                plugin: plugin.to_owned(),
                crash: String::from_utf8_lossy(&crash).into_owned(),
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

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syncmgr_host::{Capability, OutputHook};
use uuid::Uuid;

use crate::check::error::KitError;

/// What a plugin is tested with. The folders are copied for every run, and stay as they are.
#[derive(Clone, Debug, Default)]
pub struct Fixture {
    /// Folders, by the names of the grants.
    pub directories: BTreeMap<String, PathBuf>,
    /// Settings.
    pub settings: BTreeMap<String, String>,
    /// What else is allowed, of what the plugin asks for. `None`: all of it.
    pub capabilities: Option<Vec<Capability>>,
    /// As what a plugin is to know its directories again, by their names. Those that are not here
    /// have an id that follows from the name.
    pub ids: BTreeMap<String, Uuid>,
    /// Receives what the plugin writes to its standard streams.
    pub output_hook: Option<OutputHook>,
}

impl Fixture {
    /// The folders in a folder, each granted under its own name.
    ///
    /// # Errors
    /// [`KitError::File`].
    pub fn of_folder(folder: &Path) -> Result<Self, KitError> {
        let mut fixture = Self::default();
        for entry in fs::read_dir(folder).map_err(KitError::file("list", folder))? {
            let path = entry.map_err(KitError::file("list", folder))?.path();
            if let Some(name) = path.file_name().and_then(|name| name.to_str())
                && path.is_dir()
            {
                fixture.directories.insert(name.to_owned(), path);
            }
        }
        Ok(fixture)
    }
}

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syncmgr_host::{Capability, OutputHook};
use uuid::Uuid;

use crate::check::error::CheckError;

/// The directories and settings of a test. Every run gets copies of the directories.
#[derive(Clone, Debug, Default)]
pub struct Fixture {
    /// Folders, by the names of the grants.
    pub directories: BTreeMap<String, PathBuf>,
    /// Settings.
    pub settings: BTreeMap<String, String>,
    /// The capabilities to grant, if the plugin requests them; `None`: all.
    pub capabilities: Option<Vec<Capability>>,
    /// The ids of the directories, by the names of the grants. Others get an id derived from the
    /// name.
    pub ids: BTreeMap<String, Uuid>,
    /// Receives the lines of the plugin's standard streams.
    pub output_hook: Option<OutputHook>,
}

impl Fixture {
    /// Returns a fixture with the folders in a folder, each under its own name.
    ///
    /// # Errors
    /// [`CheckError::File`].
    pub fn of_folder(folder: &Path) -> Result<Self, CheckError> {
        let mut fixture = Self::default();
        for entry in fs::read_dir(folder).map_err(CheckError::file("list", folder))? {
            let path = entry.map_err(CheckError::file("list", folder))?.path();
            if let Some(name) = path.file_name().and_then(|name| name.to_str())
                && path.is_dir()
            {
                fixture.directories.insert(name.to_owned(), path);
            }
        }
        Ok(fixture)
    }
}

use std::fs;
use std::path::PathBuf;

use syncmgr_host::Description;

use crate::project::Project;
use crate::project::error::ProjectError;
use crate::project::metadata;
use crate::project::write::write;

/// A packed plugin.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The file.
    pub file: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its description.
    pub description: Description,
}

impl Project {
    /// Writes the built component with the metadata of the manifest to `dist/NAME-VERSION.wasm`.
    ///
    /// # Errors
    /// [`ProjectError`].
    pub fn pack(&self) -> Result<Packed, ProjectError> {
        let component = self.component();
        let bytes = fs::read(&component).map_err(ProjectError::file("read", &component))?;
        let about = &self.manifest().plugin;
        let bytes = metadata::with_about(&bytes, about)?;
        let description = Description::of(&bytes)?;
        let folder = self.root().join("dist");
        fs::create_dir_all(&folder).map_err(ProjectError::file("create", &folder))?;
        let file = folder.join(format!("{}-{}.wasm", about.name, about.version));
        write(&file, &bytes)?;
        Ok(Packed { file, bytes: bytes.len() as u64, description })
    }
}

use std::fs;
use std::path::PathBuf;

use syncmgr_host::Description;

use crate::error::AuthoringError;
use crate::files::write;
use crate::metadata;
use crate::project::Project;

/// A plugin that is ready to be given away.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The file.
    pub file: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What it tells of itself.
    pub description: Description,
}

impl Project {
    /// Makes one file of what was built, with what the manifest says about it:
    /// `dist/NAME-VERSION.wasm`.
    ///
    /// # Errors
    /// [`AuthoringError`].
    pub fn pack(&self) -> Result<Packed, AuthoringError> {
        let component = self.component();
        let bytes = fs::read(&component).map_err(AuthoringError::file("read", &component))?;
        let about = &self.manifest().plugin;
        let bytes = metadata::with_about(&bytes, about)?;
        let description = Description::of(&bytes)?;
        let folder = self.root().join("dist");
        fs::create_dir_all(&folder).map_err(AuthoringError::file("make", &folder))?;
        let file = folder.join(format!("{}-{}.wasm", about.name, about.version));
        write(&file, &bytes)?;
        Ok(Packed { file, bytes: bytes.len() as u64, description })
    }
}

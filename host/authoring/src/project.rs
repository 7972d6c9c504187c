use std::fs;
use std::path::{Path, PathBuf};

use crate::error::AuthoringError;
use crate::manifest::Manifest;

/// The name of the manifest.
pub const MANIFEST: &str = "syncmgr.toml";

/// A folder with a plugin in the making.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
    manifest: Manifest,
}

impl Project {
    /// The project that a folder is, or is in.
    ///
    /// # Errors
    /// [`AuthoringError::NoProject`], [`AuthoringError::Manifest`].
    pub fn find(folder: &Path) -> Result<Self, AuthoringError> {
        let place = std::path::absolute(folder).map_err(AuthoringError::file("find", folder))?;
        let root = place.ancestors().find(|folder| folder.join(MANIFEST).is_file());
        let root = root.ok_or_else(|| AuthoringError::NoProject { path: folder.to_owned() })?;
        let path = root.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(AuthoringError::file("read", &path))?;
        let manifest =
            Manifest::parse(&text).map_err(|message| AuthoringError::Manifest { path, message })?;
        Ok(Self { root: root.to_owned(), manifest })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What it says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the plugin is once it is built.
    pub fn component(&self) -> PathBuf {
        self.build_folder().join(format!("{}.wasm", self.manifest.plugin.name))
    }

    pub(crate) fn build_folder(&self) -> PathBuf {
        self.root.join("build")
    }
}

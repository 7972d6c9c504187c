//! Projects of plugin authors: creating one, building it with the tool of its language, and packing
//! the result.
//!
//! A project is a folder with a [`Manifest`] in the file [`MANIFEST`]. `create` creates one,
//! [`Project::build`] builds it, and [`Project::pack`] makes the file to distribute.

mod build;
mod create;
mod error;
mod files;
mod language;
mod manifest;
mod metadata;
mod name;
mod pack;
mod published;
mod stamp;
mod template;
mod tool;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use build::Built;
pub use create::create;
pub use error::ProjectError;
pub use language::Language;
pub use manifest::Manifest;
pub(crate) use metadata::{Metadata, embed_requests};
pub use published::Sdk;
pub use template::Template;
pub(crate) use write::write;

/// Folders of a project that tools write to.
const NOT_SOURCES: [&str; 8] =
    [".git", ".venv", "build", "dist", "node_modules", "stubs", "target", "types"];
/// Files that a build may write.
const LOCK_FILES: [&str; 2] = ["Cargo.lock", "package-lock.json"];

/// The name of the manifest.
pub const MANIFEST: &str = "syncmgr.toml";

/// The folder of a project.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
    manifest: Manifest,
}

impl Project {
    /// Finds the project that contains a folder.
    ///
    /// # Errors
    /// [`ProjectError::NoProject`], [`ProjectError::Manifest`].
    pub fn find(folder: &Path) -> Result<Self, ProjectError> {
        let absolute = std::path::absolute(folder).map_err(ProjectError::file("find", folder))?;
        let root = absolute.ancestors().find(|folder| folder.join(MANIFEST).is_file());
        let root = root.ok_or_else(|| ProjectError::NoProject { path: folder.to_owned() })?;
        let path = root.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(ProjectError::file("read", &path))?;
        let manifest =
            Manifest::parse(&text).map_err(|message| ProjectError::Manifest { path, message })?;
        Ok(Self { root: root.to_owned(), manifest })
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the path of the built component.
    pub fn component(&self) -> PathBuf {
        self.build_folder().join(format!("{}.wasm", self.manifest.plugin.name))
    }

    pub(crate) fn build_folder(&self) -> PathBuf {
        self.root.join("build")
    }
}

/// Returns the source files of a project, in order, without the outputs of builds.
pub fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !path.is_symlink() {
                let is_top = folder == root;
                if name != "__pycache__" && !(is_top && NOT_SOURCES.contains(&name.as_str())) {
                    folders.push(path);
                }
            } else if !LOCK_FILES.contains(&name.as_str()) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
